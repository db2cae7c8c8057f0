//! Tables that are there already: taken over if they are wide enough, refused by the name of a column if not.

use testdata::{Server, Version};

use crate::common::{Job, connect, server};
use crate::place::Place;

/// A type of the source, one of the destination that holds it, and the values that show it.
type Wide = (&'static str, &'static str, &'static [&'static str]);

/// A type of the source, and one of the destination that does not hold it.
type Narrow = (&'static str, &'static str);

/// Replicates into a table of these columns, and compares; then into one for each that is too narrow.
fn takes_over(source: &Server, place: &Place, wide: &[Wide], narrow: &[Narrow], options: &str) {
    // `bigint` is no type of a strict table.
    let id = if options.contains("STRICT") {
        "INTEGER"
    } else {
        "bigint"
    };
    let mut here = connect(source, "postgres");
    let ours: Vec<String> = wide
        .iter()
        .enumerate()
        .map(|(at, wide)| format!("c{at} {}", wide.0))
        .collect();
    here.batch(&format!(
        "CREATE TABLE wide (id int PRIMARY KEY, {})",
        ours.join(", ")
    ))
    .unwrap();
    // In another order, and with a column more.
    let theirs: Vec<String> = wide
        .iter()
        .enumerate()
        .rev()
        .map(|(at, wide)| format!("c{at} {}", wide.1))
        .collect();
    let theirs = theirs.join(", ");
    place.sql(&format!(
        "CREATE TABLE wide ({theirs}, more int DEFAULT 7, id {id} NOT NULL PRIMARY KEY){options}"
    ));
    let job = Job::new(source, "postgres").into(place.url()).slot("wide");
    let job = job.options(&["--copy", "no", "--tables", "public.wide"]);
    job.run_to_current();

    let most = wide.iter().map(|wide| wide.2.len()).max().unwrap();
    for row in 0..most {
        let values: Vec<String> = wide
            .iter()
            .map(|(of, _, values)| format!("{}::{of}", literal(values[row % values.len()])))
            .collect();
        here.batch(&format!(
            "INSERT INTO wide VALUES ({row}, {})",
            values.join(", ")
        ))
        .unwrap();
        here.batch(&format!(
            "INSERT INTO wide VALUES ({}, {})",
            row + 100,
            values.join(", ")
        ))
        .unwrap();
    }
    here.batch("UPDATE wide SET id = id + 1000 WHERE id >= 101; DELETE FROM wide WHERE id = 100")
        .unwrap();
    job.run_to_current();
    let compared = equal(source, place, "wide");
    assert_eq!(compared, 2 * most as u64 - 1);
    job_is_over(&mut here, "wide");

    for (count, (ours, theirs)) in narrow.iter().enumerate() {
        let name = format!("narrow_{count}");
        here.batch(&format!(
            "CREATE TABLE {name} (id int PRIMARY KEY, good int, c {ours})"
        ))
        .unwrap();
        place.sql(&format!(
            "CREATE TABLE {name} (id {id} NOT NULL PRIMARY KEY, good int, c {theirs}){options}"
        ));
        let tables = format!("public.{name}");
        let job = Job::new(source, "postgres").into(place.url()).slot(&name);
        let finished = job
            .options(&["--copy", "no", "--tables", &tables])
            .run(&["--until", "current"]);
        assert_eq!(
            finished.code,
            Some(3),
            "{ours} into {theirs}: {}",
            finished.log
        );
        assert!(
            finished.log.contains("column c of the destination's table")
                && finished.log.contains(&name),
            "{ours} into {theirs}: {}",
            finished.log
        );
        let rows = place.rows(&format!("SELECT c FROM {name}"));
        assert!(rows.is_empty());
        job_is_over(&mut here, &name);
    }
}

/// The next job makes a publication and a slot of its own.
fn job_is_over(source: &mut testdata::Client, slot: &str) {
    source
        .batch("DROP PUBLICATION IF EXISTS replicator")
        .unwrap();
    let drop = format!(
        "SELECT pg_drop_replication_slot(slot_name) FROM pg_replication_slots WHERE slot_name = '{slot}'"
    );
    source.query(&drop).unwrap();
}

fn literal(text: &str) -> String {
    match text {
        "NULL" => text.to_owned(),
        text => format!("'{}'", text.replace('\'', "''")),
    }
}

/// Compares through the program's own eyes; how many rows there are.
fn equal(source: &Server, place: &Place, slot: &str) -> u64 {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap();
    let (from, to) = (source.url("postgres"), place.url());
    let report = runtime
        .block_on(replicator::compare::compare(&from, &to, slot))
        .unwrap();
    assert!(
        report.is_equal(),
        "{:#?}",
        report.differences().collect::<Vec<_>>()
    );
    report.tables[0].rows_destination
}

#[cfg(feature = "sqlite")]
#[test]
fn into_sqlite() {
    let source = server(Version::NEWEST);
    let folder = tempfile::tempdir().unwrap();
    let place = crate::place::sqlite(folder.path());
    let wide: &[Wide] = &[
        ("smallint", "bigint", &["-32768", "32767", "NULL"]),
        ("bool", "boolean", &["t", "f"]),
        (
            "bigint",
            "numeric",
            &["-9223372036854775808", "9223372036854775807"],
        ),
        ("double precision", "", &["NaN", "-0", "0.1", "1e300"]),
        (
            "numeric(10,2)",
            "varchar(3)",
            &["1.50", "NaN", "12345678.90"],
        ),
        ("text", "", &["1.50", "1e5", " 7", ""]),
        (
            "timestamptz",
            "text",
            &["infinity", "0044-03-15 12:00:00+05:30 BC"],
        ),
        ("bytea", "text", &["\\x00ff", "\\x"]),
        ("uuid", "blob", &["00000000-0000-0000-0000-000000000000"]),
    ];
    let narrow = &[
        ("numeric(10,2)", "numeric"),
        ("timestamptz", "timestamp"),
        ("double precision", "double"),
        ("int", "text"),
        ("int", "int GENERATED ALWAYS AS (id + 1)"),
    ];
    takes_over(&source, &place, wide, narrow, "");
    let kept = place.rows("SELECT CAST(more AS text), typeof(c5), c5 FROM wide WHERE id = 0");
    assert_eq!(
        kept,
        [["7", "text", "1.50"].map(|text| Some(text.to_owned()))]
    );
}

#[cfg(feature = "sqlite")]
#[test]
fn into_strict_tables_of_sqlite() {
    let source = server(Version::NEWEST);
    let folder = tempfile::tempdir().unwrap();
    let place = crate::place::sqlite(folder.path());
    let wide: &[Wide] = &[
        ("int", "INT", &["-1", "NULL"]),
        ("double precision", "ANY", &["NaN", "-0", "0.1"]),
        ("text", "ANY", &["1.50", ""]),
        ("text", "TEXT", &["1.50", ""]),
        ("bytea", "BLOB", &["\\x00ff", "\\x"]),
    ];
    let narrow = &[
        ("bytea", "TEXT"),
        ("double precision", "REAL"),
        ("text", "BLOB"),
    ];
    takes_over(&source, &place, wide, narrow, " STRICT");
}

#[cfg(feature = "postgres")]
#[test]
fn into_postgresql() {
    let source = server(Version::NEWEST);
    connect(&source, "postgres")
        .batch("CREATE TYPE mood AS ENUM ('sad', 'it''s ok')")
        .unwrap();
    let place = crate::place::postgres(crate::common::quiet(Version::V14));
    let wide: &[Wide] = &[
        ("smallint", "int4", &["-32768", "32767", "NULL"]),
        ("int4", "int8", &["-2147483648"]),
        ("int4", "numeric", &["2147483647", "0"]),
        ("int8", "numeric(19,0)", &["-9223372036854775808"]),
        ("int4", "text", &["-7"]),
        ("bool", "text", &["t", "f"]),
        ("varchar(10)", "varchar(20)", &["a  ", "ÄÖÜäöüß\u{1F600}"]),
        ("varchar(10)", "text", &["", "\\N"]),
        ("char(5)", "varchar(5)", &["a", ""]),
        (
            "timestamp(3)",
            "timestamp",
            &["infinity", "2024-02-29 12:00:00.123"],
        ),
        (
            "timestamptz",
            "varchar(32)",
            &["294276-12-31 23:59:59.999999+00", "-infinity"],
        ),
        ("numeric(10,2)", "numeric(12,2)", &["1.50", "NaN"]),
        ("numeric(10,2)", "numeric", &["1.50", "0"]),
        ("real", "float8", &["0.1", "1e20", "-0", "NaN"]),
        ("mood", "text", &["sad", "it's ok"]),
        ("uuid", "text", &["00000000-0000-0000-0000-000000000000"]),
        (
            "uuid",
            "varchar(36)",
            &["ffffffff-ffff-ffff-ffff-ffffffffffff"],
        ),
        ("jsonb", "json", &["{\"b\": 1, \"a\": 1.50}"]),
        ("int[]", "text", &["[0:1]={7,8}", "{}"]),
        ("bit(5)", "varbit(8)", &["10101"]),
    ];
    let narrow = &[
        ("int8", "int4"),
        ("int4", "numeric(10,2)"),
        ("varchar(10)", "varchar(9)"),
        ("text", "char(10)"),
        ("timestamp", "timestamp(3)"),
        ("timestamptz", "timestamp"),
        ("numeric(10,2)", "float8"),
        ("mood", "varchar(10)"),
    ];
    takes_over(&source, &place, wide, narrow, "");
    let kept = place.rows("SELECT more, c4, c8, c12 FROM wide WHERE id = 0");
    assert_eq!(
        kept,
        [["7", "-7", "a    ", "1.50"].map(|text| Some(text.to_owned()))]
    );
}

#[cfg(feature = "mysql")]
#[test]
fn into_mariadb() {
    let source = server(Version::NEWEST);
    connect(&source, "postgres")
        .batch("CREATE TYPE mood AS ENUM ('sad', 'it''s ok')")
        .unwrap();
    let place = crate::place::mariadb(testdata::MariaDb::builder());
    let wide: &[Wide] = &[
        ("smallint", "int", &["-32768", "32767", "NULL"]),
        ("bool", "bigint unsigned", &["t", "f"]),
        ("int4", "decimal(12,0)", &["-2147483648", "0"]),
        ("oid", "int unsigned", &["4294967295"]),
        (
            "int8",
            "varchar(20) character set latin1",
            &["-9223372036854775808"],
        ),
        (
            "varchar(10)",
            "text character set utf8mb4",
            &["a  ", "ÄÖÜäöüß\u{1F600}"],
        ),
        ("char(5)", "varchar(5) character set utf8mb4", &["a", ""]),
        (
            "timestamp(3)",
            "datetime(6)",
            &["0001-01-01 00:00:00", "2024-02-29 12:00:00.123"],
        ),
        (
            "timestamptz",
            "varchar(40) character set ascii",
            &["294276-12-31 23:59:59.999999+00", "-infinity"],
        ),
        ("time(0)", "time(3)", &["24:00:00", "12:34:56"]),
        ("numeric(10,2)", "decimal(12,2)", &["1.50", "-12345678.90"]),
        ("real", "double", &["0.1", "1e20", "-1e-30"]),
        (
            "mood",
            "longtext character set utf8mb4",
            &["sad", "it's ok"],
        ),
        (
            "uuid",
            "char(36)",
            &["00000000-0000-0000-0000-000000000000"],
        ),
        ("bytea", "longblob", &["\\x00ff", "\\x"]),
    ];
    let narrow = &[
        ("int8", "int"),
        ("int4", "decimal(10,2)"),
        ("varchar(10)", "varchar(9) character set utf8mb4"),
        ("varchar(10)", "varchar(10) character set latin1"),
        ("text", "text character set utf8mb4"),
        ("timestamp", "datetime(3)"),
        ("timestamptz", "timestamp(6) NULL"),
        ("real", "float"),
        ("uuid", "uuid"),
    ];
    takes_over(&source, &place, wide, narrow, " ENGINE = InnoDB");
    let kept = place.rows("SELECT more, c4, c9, c10 FROM wide WHERE id = 0");
    let expected = ["7", "-9223372036854775808", "24:00:00.000", "1.50"];
    assert_eq!(kept, [expected.map(|text| Some(text.to_owned()))]);
}
