use walproto::Oid;

use super::*;

/// A column as the catalog describes this declaration.
fn found(declaration: &str) -> ExistingColumn {
    let (declaration, collation) = declaration
        .split_once(" in ")
        .unwrap_or((declaration, "SQL_Latin1_General_CP1_CI_AS"));
    let (data_type, rest) = declaration.split_once('(').unwrap_or((declaration, ""));
    let mut numbers = rest
        .split([',', ')'])
        .map(|number| number.trim().parse().ok());
    let (first, second): (Option<i32>, Option<i32>) =
        (numbers.next().flatten(), numbers.next().flatten());
    let unit = if data_type.starts_with('n') { 2 } else { 1 };
    let is_text = data_type.ends_with("char");
    ExistingColumn {
        name: "c".to_owned(),
        data_type: data_type.to_owned(),
        length: first.map_or(-1, |first| first * unit),
        precision: first.unwrap_or_default(),
        scale: second.or(first).unwrap_or_default(),
        collation: is_text.then(|| collation.to_owned()),
        ..ExistingColumn::default()
    }
}

fn column(oid: u32, typmod: i32) -> Column {
    Column::new("c", Oid(oid), typmod, Oid(oid))
}

fn table(column: Column, key: &[usize]) -> Table {
    Table {
        oid: Oid(1),
        schema: "public".to_owned(),
        name: "t".to_owned(),
        destination: "dbo.t".to_owned(),
        columns: vec![column],
        key: key.to_vec(),
        identity: 'd',
        relfilenode: 1,
    }
}

fn existing(columns: Vec<ExistingColumn>) -> Existing {
    Existing {
        durable: true,
        columns,
        folds: true,
    }
}

const NUMERIC_10_2: i32 = (10 << 16 | 2) + 4;

#[test]
fn columns_that_are_wide_enough_are_taken_over() {
    const UTF8: &str = " in Latin1_General_100_CI_AS_SC_UTF8";
    let utf8 = |text: &str| format!("{text}{UTF8}");
    let (utf8_max, utf8_60, utf8_59) = (
        utf8("varchar(max)"),
        utf8("varchar(60)"),
        utf8("varchar(59)"),
    );
    for (oid, typmod, wide, narrow) in [
        (
            16,
            -1,
            &["bit", "tinyint", "bigint", "nvarchar(1)", "varchar(1)"][..],
            &["float", "char(1)"][..],
        ),
        (
            21,
            -1,
            &["smallint", "int", "bigint", "decimal(5,0)", "varchar(6)"],
            &[
                "bit",
                "tinyint",
                "decimal(4,0)",
                "decimal(6,1)",
                "varchar(5)",
                "float",
            ],
        ),
        (
            23,
            -1,
            &[
                "int",
                "bigint",
                "numeric(10,0)",
                "nvarchar(11)",
                "nvarchar(max)",
            ],
            &["smallint", "decimal(9,0)", "real", "money"],
        ),
        (
            26,
            -1,
            &["bigint", "decimal(10,0)"],
            &["int", "decimal(9,0)"],
        ),
        (
            20,
            -1,
            &["bigint", "decimal(19,0)"],
            &["int", "decimal(18,0)"],
        ),
        (
            701,
            -1,
            &["float", "varchar(24)"],
            &["real", "varchar(23)", "decimal(38,10)"],
        ),
        (
            1700,
            NUMERIC_10_2,
            &["decimal(10,2)", "numeric(38,2)", "varchar(15)"],
            &[
                "decimal(9,2)",
                "decimal(12,3)",
                "money",
                "float",
                "varchar(14)",
            ],
        ),
        (
            1700,
            -1,
            &["nvarchar(max)", "varchar(max)"],
            &["decimal(38,10)", "nvarchar(4000)"],
        ),
        (
            1043,
            10 + 4,
            &["nvarchar(20)", "nvarchar(max)", &utf8_max, &utf8_60],
            &["nvarchar(19)", "nchar(20)", "varchar(max)", &utf8_59],
        ),
        (
            25,
            -1,
            &["nvarchar(max)", &utf8_max],
            &["nvarchar(4000)", "ntext", "varchar(max)"],
        ),
        (
            17,
            -1,
            &["varbinary(max)"],
            &["varbinary(8000)", "image", "nvarchar(max)"],
        ),
        (
            1082,
            -1,
            &["date", "varchar(13)"],
            &["datetime2(6)", "smalldatetime", "varchar(12)"],
        ),
        (
            1083,
            3,
            &["time(3)", "time(7)", "varchar(15)"],
            &["time(2)"],
        ),
        (
            1114,
            -1,
            &["datetime2(6)", "datetime2(7)", "nvarchar(29)"],
            &["datetime2(3)", "datetime", "datetimeoffset(6)"],
        ),
        (
            1184,
            -1,
            &["datetimeoffset(7)", "nvarchar(32)"],
            &["datetimeoffset(0)", "datetime2(7)"],
        ),
        (
            2950,
            -1,
            &["uniqueidentifier", "varchar(36)"],
            &["varchar(35)", "binary(16)"],
        ),
    ] {
        let ours = column(oid, typmod);
        let made = Held::of(&ours, OnMisfit::Fail);
        for declaration in wide {
            assert!(
                found(declaration).keeps(&ours, made).is_some(),
                "{oid}: {declaration}"
            );
        }
        for declaration in narrow {
            let kept = found(declaration).keeps(&ours, made);
            assert_eq!(kept, None, "{oid}: {declaration}");
        }
    }
}

#[test]
fn values_go_into_what_is_there_as_it_is() {
    use crate::dialect::Shape;
    let target = |oid: u32, declaration: &str, key: &[usize]| {
        let table = table(column(oid, -1), key);
        existing(vec![found(declaration)])
            .target(&table, OnMisfit::Fail)
            .unwrap()
    };
    let bit = target(16, "tinyint", &[]);
    assert_eq!(
        bit.held()[0].back(Some(b"1")),
        Ok(crate::value::Value::Integer(1))
    );
    // Its own collation, so that its index is of use, and no length that a varchar counts otherwise.
    let day = target(1082, "varchar(20) in Latin1_General_CI_AS", &[0]);
    assert_eq!(
        day.statement(&Shape::Delete, 1),
        "DELETE FROM [dbo].[t] WHERE [c] = CONVERT(varchar(20), @P1)"
    );
    let ready = day.staged(&Shape::Delete, 1).ready;
    let create = "CREATE TABLE #_replicator_stage_1 ([c0] varchar(20) COLLATE Latin1_General_CI_AS NULL) ELSE";
    assert!(ready.contains(create), "{ready}");
    // Without a key a text is compared in our collation, whatever the column's.
    let note = target(25, "varchar(max) in Latin1_General_100_CI_AS_SC_UTF8", &[]);
    assert_eq!(
        note.statement(&Shape::Delete, 1),
        "DELETE TOP (1) t FROM [dbo].[t] AS t WHERE EXISTS (\
         SELECT CONVERT(nvarchar(max), t.[c]) COLLATE Latin1_General_100_BIN2, DATALENGTH(CONVERT(nvarchar(max), t.[c])) \
         INTERSECT SELECT CONVERT(nvarchar(max), @P1) COLLATE Latin1_General_100_BIN2, \
         DATALENGTH(CONVERT(nvarchar(max), @P1)))"
    );
}

#[test]
fn what_does_not_fit_is_named_with_what_would() {
    let refused = |oid: u32, existing: Existing, key: &[usize]| {
        let error = existing
            .target(&table(column(oid, -1), key), OnMisfit::Fail)
            .unwrap_err();
        assert_eq!(error.exit_code(), 3);
        format!("{error}: {}", error.hint().unwrap())
    };
    let one = |declaration: &str| existing(vec![found(declaration)]);
    let with = |change: fn(&mut ExistingColumn)| {
        let mut more = found("int");
        more.name = "more".to_owned();
        change(&mut more);
        existing(vec![found("int"), more])
    };
    let text = refused(25, one("nvarchar(20)"), &[]);
    assert!(
        text.contains("is nvarchar(20)")
            && text.ends_with("make it nvarchar(max), or drop the table and let us make it"),
        "{text}"
    );
    let text = refused(25, one("nvarchar(850)"), &[0]);
    assert!(
        text.contains("SQL_Latin1_General_CP1_CI_AS calls different texts equal")
            && text.ends_with("nvarchar(850) COLLATE Latin1_General_100_BIN2"),
        "{text}"
    );
    // The second is what Babelfish makes of the first.
    for collation in ["Latin1_General_100_BIN2", "bbf_unicode_bin2"] {
        let binary = one(&format!("nvarchar(850) in {collation}"));
        binary
            .target(&table(column(25, -1), &[0]), OnMisfit::Fail)
            .unwrap();
    }
    let text = refused(23, with(|more| more.required = true), &[]);
    assert!(text.contains("column more"), "{text}");
    with(|_| {})
        .target(&table(column(23, -1), &[]), OnMisfit::Fail)
        .unwrap();
    let mut identity = one("int");
    identity.columns[0].generated = true;
    assert!(refused(23, identity, &[]).contains("filled by the server"));
    let text = refused(23, existing(vec![]), &[]);
    assert!(text.contains("no column c"), "{text}");
    let in_memory = Existing {
        durable: false,
        ..one("int")
    };
    assert!(refused(23, in_memory, &[]).contains("SCHEMA_ONLY"));
}

#[test]
fn names_are_compared_as_the_database_does() {
    let mut there = existing(vec![found("int")]);
    there.columns[0].name = "C".to_owned();
    assert!(there.has("c"));
    let table = table(column(23, -1), &[0]);
    assert!(there.target(&table, OnMisfit::Fail).is_ok());
    there.folds = false;
    assert!(!there.has("c"));
    assert!(there.target(&table, OnMisfit::Fail).is_err());
}
