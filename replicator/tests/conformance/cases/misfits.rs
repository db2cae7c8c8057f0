//! Values that the place's own types do not hold: refused by name, unless told otherwise.

use testdata::Version;

use crate::place::Place;
use crate::stage::Stage;

/// The first start stops with the row that it cannot copy.
pub(crate) fn refused_while_copying<P: Place>() {
    for (kind, value) in P::MISFITS {
        let mut stage = Stage::<P>::new(Version::NEWEST);
        stage.play(&format!(
            "CREATE TABLE t (id int PRIMARY KEY, c {kind}); INSERT INTO t VALUES (1, NULL), (2, '{value}')"
        ));
        let finished = stage.stops(&["public.t", value, "--on-misfit"]);
        let column = ["column c", "\"c\"", "column `c`"];
        assert!(
            column.iter().any(|name| finished.log.contains(name)),
            "{}",
            finished.log
        );
        let tables = stage.place.tables();
        let t = stage.place.name("public", "t");
        if tables.contains(&t) {
            let held = stage.place.reader()(&format!("SELECT id FROM {t} WHERE id = 2"));
            assert!(held.is_empty(), "{kind} {value}: {held:?}");
        }
        // Told so from the start, it takes the same value as it is.
        let mut told = Stage::<P>::told(Version::NEWEST, P::EXACT);
        told.follow_through(&format!(
            "CREATE TABLE t (id int PRIMARY KEY, c {kind}); INSERT INTO t VALUES (1, NULL), (2, '{value}')"
        ));
        told.follow_through(&format!(
            "INSERT INTO t VALUES (3, '{value}'); UPDATE t SET c = '{value}' WHERE id = 1; UPDATE t SET c = NULL WHERE id = 2"
        ));
    }
}

/// What came before stands; nothing of the transaction does, nor of what comes after.
pub(crate) fn refused_in_the_stream<P: Place>() {
    for (kind, value) in P::MISFITS {
        let mut stage = Stage::<P>::new(Version::NEWEST);
        stage.follow_through(&format!(
            "CREATE TABLE t (id int PRIMARY KEY, c {kind}); INSERT INTO t VALUES (1, NULL)"
        ));
        stage.play("INSERT INTO t VALUES (2, NULL)");
        let position = "SELECT pg_current_wal_insert_lsn()";
        let before = stage.source.value(position).unwrap();
        stage.play(&format!(
            "INSERT INTO t VALUES (3, NULL); INSERT INTO t VALUES (4, '{value}')\n\nINSERT INTO t VALUES (5, NULL)"
        ));
        let after = stage.source.value(position).unwrap();
        for _ in 0..2 {
            let finished = stage.stops(&["public.t", value, "--on-misfit", "id = 4"]);
            let named = positions(&finished.log);
            assert!(
                named
                    .iter()
                    .any(|&at| number(&before) <= at && at <= number(&after)),
                "no position between {before} and {after} in {}",
                finished.log
            );
            let t = stage.place.name("public", "t");
            let held = stage.place.reader()(&format!("SELECT id FROM {t} WHERE id > 1"));
            assert_eq!(held, [[Some("2".to_owned())]], "{kind} {value}");
        }
    }
}

/// Of what is written like one, the positions in a log's last lines.
fn positions(log: &str) -> Vec<u64> {
    let lines: Vec<&str> = log.lines().rev().take(8).collect();
    let words = lines
        .iter()
        .flat_map(|line| line.split(|sign: char| !(sign.is_ascii_hexdigit() || sign == '/')));
    let is_one = |word: &&str| {
        let halves = word.split_once('/');
        halves.is_some_and(|(high, low)| !high.is_empty() && !low.is_empty() && !low.contains('/'))
    };
    words.filter(is_one).map(number).collect()
}

fn number(position: &str) -> u64 {
    let (high, low) = position.split_once('/').unwrap();
    let half = |digits| u64::from_str_radix(digits, 16).unwrap_or(0);
    half(high) << 32 | half(low)
}
