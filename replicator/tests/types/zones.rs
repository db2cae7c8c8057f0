//! A moment is the same moment on both sides, in whatever zones servers, databases, roles and the process itself are.

use testdata::{Client, Version};

use crate::common::{Job, connect, quiet};
use crate::place::Place;

/// In zones that are none of UTC, with a role that has one of its own.
const SOURCE_ZONE: &str = "Asia/Kathmandu";

/// Moments where zones do something, as the source is told them.
const MOMENTS: &[&str] = &[
    "2024-01-01 00:00:00+00",
    "2024-03-31 02:30:00+01",
    "2024-10-27 02:30:00+02",
    "1969-12-31 23:59:59.999999+00",
    "1883-11-18 12:00:00-05",
    "0001-01-02 03:04:05+00",
    "9999-12-31 12:00:00+00",
];

/// Replicates moments that were copied and moments that were streamed; their numbers since 1970 as the source has them.
fn moments(place: &Place, told: &[&str]) -> Vec<(String, String)> {
    let source = quiet(Version::NEWEST)
        .setting("timezone", SOURCE_ZONE)
        .start();
    let mut here: Client = connect(&source, "postgres");
    here.batch(
        "ALTER ROLE postgres SET TimeZone = 'America/St_Johns'; ALTER DATABASE postgres SET TimeZone = 'Asia/Tokyo';
         ALTER ROLE postgres SET DateStyle = 'German';
         CREATE TABLE moments (id int PRIMARY KEY, at timestamptz, of timestamp)",
    )
    .unwrap();
    let insert = |here: &mut Client, from: usize| {
        for (at, moment) in told.iter().enumerate() {
            let sql = format!(
                "INSERT INTO moments VALUES ({}, '{moment}', timestamptz '{moment}' AT TIME ZONE 'UTC')",
                from + at
            );
            here.batch(&sql).unwrap();
        }
    };
    insert(&mut here, 0);
    let job = Job::new(&source, "postgres").into(place.url());
    // The process is somewhere else again.
    let run = || {
        let mut command = job.command(&["--until", "current"]);
        command
            .env("TZ", "Pacific/Chatham")
            .env("PGTZ", "Pacific/Marquesas");
        let finished = job.start_command(command).wait();
        assert_eq!(finished.code, Some(0), "{}", finished.log);
    };
    run();
    insert(&mut here, 100);
    here.batch("UPDATE moments SET at = at + interval '1 day' - interval '1 day' WHERE id = 100")
        .unwrap();
    run();
    let rows = here
        .query(
            "SELECT to_char(at AT TIME ZONE 'UTC', 'YYYY-MM-DD HH24:MI:SS.US'), extract(epoch FROM at)::numeric(20, 6)::text
             FROM moments ORDER BY id",
        )
        .unwrap();
    assert_eq!(rows.len(), 2 * told.len());
    rows.into_iter()
        .map(|row| {
            let [text, epoch] = row.try_into().unwrap();
            (text.unwrap(), epoch.unwrap())
        })
        .collect()
}

#[cfg(feature = "sqlite")]
#[test]
fn moments_in_sqlite_are_at_utc() {
    let folder = tempfile::tempdir().unwrap();
    let place = crate::place::sqlite(folder.path());
    let here = moments(&place, MOMENTS);
    let there = place.rows("SELECT at, of FROM moments ORDER BY id");
    for ((text, _), row) in here.iter().zip(&there) {
        let plain = text.trim_end_matches('0').trim_end_matches('.');
        assert_eq!(row[0].as_deref(), Some(&*format!("{plain}+00")));
        assert_eq!(row[1].as_deref(), Some(plain));
    }
    assert_eq!(here.len(), there.len());
}

#[cfg(feature = "postgres")]
#[test]
fn moments_in_postgresql_are_the_same() {
    let builder = quiet(Version::NEWEST).setting("timezone", "America/Caracas");
    let place = crate::place::postgres(builder);
    place.sql("ALTER ROLE postgres SET TimeZone = 'Australia/Eucla'; ALTER DATABASE place SET TimeZone = 'Asia/Tehran'");
    place.sql("ALTER ROLE postgres SET DateStyle = 'SQL, DMY'");
    let here = moments(&place, MOMENTS);
    let there = place.rows(
        "SELECT extract(epoch FROM at)::numeric(20, 6)::text, extract(epoch FROM of)::numeric(20, 6)::text FROM moments ORDER BY id",
    );
    for ((_, epoch), row) in here.iter().zip(&there) {
        assert_eq!(row[0].as_ref(), Some(epoch));
        assert_eq!(row[1].as_ref(), Some(epoch));
    }
    assert_eq!(here.len(), there.len());
}

#[cfg(feature = "mysql")]
#[test]
fn moments_in_mariadb_are_at_utc() {
    let builder = testdata::MariaDb::builder().setting("default_time_zone", "+05:45");
    let place = crate::place::mariadb(builder);
    let here = moments(&place, MOMENTS);
    let there = place.rows("SELECT CAST(at AS CHAR), CAST(of AS CHAR) FROM moments ORDER BY id");
    for ((text, _), row) in here.iter().zip(&there) {
        assert_eq!(row[0].as_ref(), Some(text));
        assert_eq!(row[1].as_ref(), Some(text));
    }
    assert_eq!(here.len(), there.len());
}
