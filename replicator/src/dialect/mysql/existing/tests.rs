use super::*;
use crate::config::OnMisfit;
use walproto::Oid;

/// A column as `information_schema` describes this declaration.
fn found(declaration: &str) -> ExistingColumn {
    let (declaration, charset) = declaration
        .split_once(" in ")
        .unwrap_or((declaration, "utf8mb4"));
    let (head, rest) = declaration.split_once('(').unwrap_or((declaration, ""));
    let data_type = head.split(' ').next().unwrap().to_owned();
    let mut numbers = rest.split([',', ')']).map(|number| number.parse().ok());
    let (first, second) = (numbers.next().flatten(), numbers.next().flatten());
    let is_text = matches!(
        &*data_type,
        "char" | "varchar" | "tinytext" | "text" | "mediumtext" | "longtext"
    );
    let bytes = match &*data_type {
        "tinytext" => Some(255),
        "text" | "blob" => Some(65_535),
        "mediumtext" => Some(16_777_215),
        "longtext" | "longblob" => Some(4_294_967_295),
        _ => None,
    };
    ExistingColumn {
        name: "c".to_owned(),
        column_type: declaration.to_owned(),
        length: bytes.or(first),
        precision: first,
        scale: second,
        digits: first,
        charset: is_text.then(|| charset.to_owned()),
        collation: is_text.then(|| format!("{charset}_general_ci")),
        data_type,
        ..ExistingColumn::default()
    }
}

fn column(oid: u32, typmod: i32) -> Column {
    Column::new("c", Oid(oid), typmod, Oid(oid))
}

fn numeric(precision: i32, scale: i32) -> i32 {
    (precision << 16 | scale) + 4
}

const BOOL: u32 = 16;
const BYTEA: u32 = 17;
const INT8: u32 = 20;
const INT2: u32 = 21;
const INT4: u32 = 23;
const TEXT: u32 = 25;
const OID: u32 = 26;
const JSON: u32 = 114;
const FLOAT4: u32 = 700;
const FLOAT8: u32 = 701;
const INT4_ARRAY: u32 = 1007;
const BPCHAR: u32 = 1042;
const VARCHAR: u32 = 1043;
const UUID: u32 = 2950;
const DATE: u32 = 1082;
const TIME: u32 = 1083;
const TIMESTAMP: u32 = 1114;
const TIMESTAMPTZ: u32 = 1184;
const INTERVAL: u32 = 1186;
const NUMERIC: u32 = 1700;
const ENUM: u32 = 70_000;

#[test]
fn columns_that_are_wide_enough_are_taken_over() {
    for (oid, typmod, wide, narrow) in [
        (
            BOOL,
            -1,
            &[
                "tinyint(1)",
                "bigint(20) unsigned",
                "varchar(1)",
                "char(1) in latin1",
            ][..],
            &["bit(1)", "decimal(1,0)"][..],
        ),
        (
            INT2,
            -1,
            &[
                "smallint(6)",
                "mediumint(9)",
                "int(11)",
                "bigint",
                "decimal(5,0)",
                "varchar(6)",
            ],
            &[
                "tinyint(4)",
                "smallint(5) unsigned",
                "int unsigned",
                "decimal(4,0)",
                "decimal(10,2)",
                "varchar(5)",
                "double",
            ],
        ),
        (
            INT4,
            -1,
            &[
                "int(11)",
                "bigint(20)",
                "decimal(10,0)",
                "varchar(11) in ascii",
                "longtext",
            ],
            &[
                "mediumint(9)",
                "int(10) unsigned",
                "decimal(9,0)",
                "decimal(12,2)",
                "decimal(10,0) unsigned",
                "float",
            ],
        ),
        (
            INT8,
            -1,
            &[
                "bigint(20)",
                "decimal(19,0)",
                "decimal(65,0)",
                "varchar(20)",
                "text",
            ],
            &[
                "int(11)",
                "bigint(20) unsigned",
                "decimal(18,0)",
                "varchar(19)",
                "double",
            ],
        ),
        (
            OID,
            -1,
            &[
                "int(10) unsigned",
                "bigint(20)",
                "bigint(20) unsigned",
                "decimal(10,0)",
            ],
            &["int(11)", "decimal(9,0)"],
        ),
        (
            FLOAT4,
            -1,
            &["double", "varchar(15)"],
            &[
                "float",
                "double(10,2)",
                "double unsigned",
                "decimal(30,10)",
                "varchar(14)",
            ],
        ),
        (
            FLOAT8,
            -1,
            &["double", "varchar(24)", "tinytext"],
            &["float", "varchar(23)"],
        ),
        (
            NUMERIC,
            numeric(10, 2),
            &[
                "decimal(10,2)",
                "decimal(12,2)",
                "varchar(15)",
                "longtext in latin1",
            ],
            &[
                "decimal(9,2)",
                "decimal(12,3)",
                "decimal(10,2) unsigned",
                "double",
                "varchar(14)",
            ],
        ),
        (
            NUMERIC,
            -1,
            &["longtext"],
            &["decimal(65,30)", "mediumtext", "varchar(1000)"],
        ),
        (
            DATE,
            -1,
            &["date", "varchar(13)", "char(13)"],
            &["datetime(0)", "varchar(12)", "timestamp(0)"],
        ),
        (
            TIME,
            3,
            &["time(3)", "time(6)", "varchar(15)"],
            &["time(2)", "datetime(6)"],
        ),
        (
            TIMESTAMP,
            -1,
            &["datetime(6)", "varchar(29)"],
            &["datetime(3)", "timestamp(6)", "date", "varchar(28)"],
        ),
        (
            TIMESTAMPTZ,
            0,
            &["datetime(0)", "datetime(3)", "varchar(32)"],
            &["timestamp(0)", "varchar(31)"],
        ),
        (
            BYTEA,
            -1,
            &["longblob", "longtext"],
            &["blob", "varbinary(100)", "varchar(100)"],
        ),
        (
            TEXT,
            -1,
            &["longtext"],
            &[
                "mediumtext",
                "text",
                "varchar(255)",
                "longtext in latin1",
                "longblob",
                "char(255)",
            ],
        ),
        (
            VARCHAR,
            10 + 4,
            &["varchar(10)", "varchar(20)", "tinytext", "text", "longtext"],
            &[
                "varchar(9)",
                "char(10)",
                "varchar(10) in utf8mb3",
                "varchar(10) in latin1",
            ],
        ),
        (
            BPCHAR,
            10 + 4,
            &["varchar(10)"],
            &["char(10)", "varchar(9)"],
        ),
        (
            UUID,
            -1,
            &["char(36)", "varchar(36) in ascii"],
            // MariaDB's own type refuses some, by their version and variant.
            &["char(35)", "binary(16)", "uuid"],
        ),
        (JSON, -1, &["longtext"], &["json", "text"]),
        (
            INTERVAL,
            -1,
            &["longtext in ascii"],
            &["time(6)", "varchar(255)"],
        ),
        (INT4_ARRAY, -1, &["longtext"], &["json", "varchar(100)"]),
        (ENUM, -1, &["longtext"], &["enum('a','b')", "varchar(63)"]),
    ] {
        let ours = Column::new(
            "c",
            Oid(oid),
            typmod,
            Oid(if oid == ENUM { TEXT } else { oid }),
        );
        let made = Held::of(&ours, OnMisfit::Fail);
        for declaration in wide {
            let there = found(declaration).keeps(&ours, made);
            assert!(there.is_some(), "{oid} in {declaration}");
        }
        for declaration in narrow {
            let there = found(declaration).keeps(&ours, made);
            assert_eq!(there, None, "{oid} in {declaration}");
        }
    }
}

/// Two columns, the first one being the key.
fn table(key: Column) -> Table {
    let note = Column::new("Note", Oid(VARCHAR), 10 + 4, Oid(VARCHAR));
    Table {
        oid: Oid(1),
        schema: "public".to_owned(),
        name: "t".to_owned(),
        destination: "t".to_owned(),
        columns: vec![key, note],
        key: vec![0],
        identity: 'd',
        relfilenode: 1,
    }
}

fn existing(key: ExistingColumn) -> Existing {
    let note = ExistingColumn {
        name: "note".to_owned(),
        ..found("varchar(10)")
    };
    Existing {
        engine: "InnoDB".to_owned(),
        columns: vec![key, note],
    }
}

#[test]
fn a_refusal_names_the_column_and_what_would_do() {
    let refusal = |change: fn(&mut Existing)| {
        let mut existing = existing(found("bigint"));
        change(&mut existing);
        let error = existing
            .held(&table(column(INT8, -1)), &Mysql::mariadb())
            .unwrap_err();
        assert_eq!(error.exit_code(), 3);
        (error.to_string(), error.hint().unwrap().to_owned())
    };
    let (what, next) = refusal(|there| there.columns[1].length = Some(9));
    assert!(
        what.contains("column Note of the destination's table t is varchar(10)"),
        "{what}"
    );
    assert!(
        next.starts_with("make it VARCHAR(10) CHARACTER SET utf8mb4"),
        "{next}"
    );
    let (what, _) = refusal(|there| there.columns.truncate(1));
    assert!(what.contains("no column Note"), "{what}");
    let (what, _) = refusal(|there| there.engine = "MyISAM".to_owned());
    assert!(what.contains("kept by MyISAM"), "{what}");
    let (what, _) = refusal(|there| there.columns[1].generated = true);
    assert!(what.contains("is generated there"), "{what}");
    let (what, _) = refusal(|there| {
        there.columns.push(ExistingColumn {
            name: "more".to_owned(),
            required: true,
            ..found("int")
        });
    });
    assert!(
        what.contains("column more") && what.contains("must not be NULL"),
        "{what}"
    );
}

#[test]
fn a_key_that_a_collation_would_merge_is_refused() {
    let held = |ours: Column, there: &str, collation: &str| {
        let mut there = found(there);
        there.collation = Some(collation.to_owned());
        existing(there).held(&table(ours), &Mysql::mariadb())
    };
    let text = || column(TEXT, -1);
    for collation in ["utf8mb4_general_ci", "utf8mb4_bin"] {
        let error = held(text(), "varchar(768)", collation).unwrap_err();
        assert!(error.to_string().contains(collation), "{error}");
    }
    assert!(held(text(), "varchar(768)", "utf8mb4_nopad_bin").is_ok());
    assert!(
        held(text(), "varchar(767)", "utf8mb4_nopad_bin").is_err(),
        "narrower than we would make it"
    );
    assert!(
        held(column(UUID, -1), "char(36)", "utf8mb4_general_ci").is_ok(),
        "lower case only"
    );
    // Outside of the key nothing is compared.
    assert!(
        existing(found("bigint"))
            .held(&table(column(INT8, -1)), &Mysql::new())
            .is_ok()
    );
}
