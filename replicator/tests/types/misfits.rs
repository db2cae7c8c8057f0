//! Values that a destination cannot hold.

use testdata::Version;

use crate::common::{Job, connect, quiet, server};

#[cfg(feature = "postgres")]
#[test]
fn an_older_postgresql_has_no_infinite_interval() {
    let source = server(Version::V18);
    let place = crate::place::postgres(quiet(Version::V14));
    let mut here = connect(&source, "postgres");
    here.batch("CREATE TABLE spans (id int PRIMARY KEY, span interval, path jsonpath); INSERT INTO spans VALUES (1, '1 day', '$.a')")
        .unwrap();
    let job = Job::new(&source, "postgres").into(place.url());
    job.run_to_current();
    here.batch("INSERT INTO spans VALUES (2, 'infinity', '$.a.bigint()')")
        .unwrap();
    let finished = job.run(&["--until", "current", "--on-misfit", "clamp"]);
    assert_eq!(finished.code, Some(3), "{}", finished.log);
    for word in ["public.spans", "id = 2", "infinity", "--on-misfit text"] {
        assert!(finished.log.contains(word), "{word:?} in {}", finished.log);
    }

    // Into tables that are made with the policy everything goes.
    let place = crate::place::postgres(quiet(Version::V14));
    let job = Job::new(&source, "postgres")
        .into(place.url())
        .slot("other");
    let job = job.options(&["--on-misfit", "text"]);
    job.run_to_current();
    here.batch("UPDATE spans SET span = '-infinity' WHERE id = 1")
        .unwrap();
    job.run_to_current();
    let rows = place.rows("SELECT span, path, pg_typeof(span)::text FROM spans ORDER BY id");
    let expected = [
        ["-infinity", "$.\"a\"", "text"],
        ["infinity", "$.\"a\".bigint()", "text"],
    ];
    assert_eq!(
        rows,
        expected.map(|row| row.map(|text| Some(text.to_owned())).to_vec())
    );
}

#[cfg(feature = "mysql")]
#[test]
fn what_is_clamped_is_said_once_and_counted() {
    let source = server(Version::NEWEST);
    let place = crate::place::mariadb(testdata::MariaDb::builder());
    let mut here = connect(&source, "postgres");
    here.batch(
        "CREATE TABLE days (id date PRIMARY KEY, at timestamptz, x float8);
         INSERT INTO days VALUES ('2024-01-01', 'infinity', 'Infinity'), ('2024-01-02', '-infinity', 1)",
    )
    .unwrap();
    let job = Job::new(&source, "postgres").into(place.url());
    let job = job.options(&["--on-misfit", "clamp"]);
    let log = job.run_to_current();
    assert_eq!(log.matches("is stored instead").count(), 2, "{log}");
    here.batch(
        "UPDATE days SET at = '0044-03-15 12:00:00+00 BC'; INSERT INTO days VALUES ('2024-01-03', NULL, '-Infinity')",
    )
    .unwrap();
    let log = job.run_to_current();
    assert_eq!(log.matches("is stored instead").count(), 2, "{log}");
    // An update carries the whole row, and so the number of the first once more.
    assert_eq!(log.matches("count=2").count(), 2, "{log}");
    let rows = place.rows("SELECT CAST(at AS CHAR), CAST(x AS CHAR) FROM days ORDER BY id");
    let year = Some("0001-01-01 00:00:00.000000".to_owned());
    let number = |text: &str| Some(text.to_owned());
    assert_eq!(
        rows,
        [
            [year.clone(), number("1.7976931348623157e308")],
            [year, number("1")],
            [None, number("-1.7976931348623157e308")],
        ]
    );

    // Two keys would become one.
    here.batch("INSERT INTO days VALUES ('infinity')").unwrap();
    let finished = job.run(&["--until", "current"]);
    assert_eq!(finished.code, Some(3), "{}", finished.log);
    for word in [
        "public.days",
        "column id",
        "infinity",
        "--on-misfit text",
        "--skip",
    ] {
        assert!(finished.log.contains(word), "{word:?} in {}", finished.log);
    }
}
