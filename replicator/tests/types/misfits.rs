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
    for word in ["public.spans", "id = 2", "infinity"] {
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
