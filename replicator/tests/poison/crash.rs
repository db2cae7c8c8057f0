//! `kill -9` between the file and the commit: what is left out may be in the file twice, and is never nowhere.

use std::collections::BTreeMap;

use crate::bench::{Bench, Product};

/// Dies there.
fn dies<P: Product>(bench: &Bench<P>, options: &[&str], place: &str) {
    let file = bench.file();
    let file = ["--quarantine", file.to_str().unwrap()];
    let mut command = bench.job.command(&[&file, options].concat());
    command.env("REPLICATOR_FAILPOINT", place);
    let finished = bench.job.start_command(command).wait();
    assert_eq!(finished.signal, Some(6), "{place}: {}", finished.log);
}

/// How often each key is in the file.
fn counts<P: Product>(bench: &Bench<P>) -> BTreeMap<String, usize> {
    let mut counts = BTreeMap::new();
    for line in bench.left_out() {
        let id = line["key"]["id"].as_str().unwrap().to_owned();
        *counts.entry(id).or_default() += 1;
    }
    counts
}

/// The place, the visit that comes after the file was begun, and how often a line is there then and in the end.
///
/// Two visits of `batch-before-commit`: the batch as a whole fails before it comes there, and the transaction before
/// the one at fault is one of its own.
const PLACES: [(&str, usize, usize); 4] = [
    ("quarantine-written:1", 0, 1),
    ("quarantine-synced:1", 1, 2),
    ("batch-before-commit:2", 1, 2),
    ("batch-after-commit:2", 1, 1),
];

pub(crate) fn between_file_and_commit<P: Product>() {
    for (place, then, finally) in PLACES {
        let mut bench = Bench::<P>::new(&[]);
        bench.play(
            "INSERT INTO t VALUES (1, 1, 'one')\n\n\
             BEGIN; INSERT INTO t VALUES (2, 2, 'two'), (3, 300, 'three'), (4, 4, 'four'), (5, 500, 'five'); COMMIT",
        );
        dies(&bench, &[], place);
        let found = counts(&bench);
        assert!(
            found.values().all(|count| *count == then) && found.len() == 2 * then,
            "{place}: {found:?}"
        );
        let log = bench.run_with_quarantine(&[]);
        let found = counts(&bench);
        let expected = ["3", "5"].map(|id| (id.to_owned(), finally));
        assert_eq!(found, BTreeMap::from(expected), "{place}: {log}");
        assert_eq!(bench.differences().len(), 2, "{place}");
    }
}

pub(crate) fn of_a_skipped_transaction<P: Product>() {
    for (place, then, finally) in PLACES {
        let mut bench = Bench::<P>::new(&[]);
        bench.play(
            "INSERT INTO t VALUES (1, 1, 'one')\n\nINSERT INTO t VALUES (2, 2, 'two'), (3, 300, 'three')",
        );
        let printed = bench.stops(&[]);
        let at = printed.find("--skip ").unwrap() + 7;
        let lsn = printed[at..].split(' ').next().unwrap().to_owned();
        // That stop has applied the first.
        let place = place.replace(":2", ":1");
        dies(&bench, &["--skip", &lsn], &place);
        let found = counts(&bench);
        assert!(
            found.values().all(|count| *count == then) && found.len() == 2 * then,
            "{place}: {found:?}"
        );
        let log = bench.run_with_quarantine(&["--skip", &lsn]);
        let found = counts(&bench);
        let expected = ["2", "3"].map(|id| (id.to_owned(), finally));
        assert_eq!(found, BTreeMap::from(expected), "{place}: {log}");
        assert_eq!(bench.differences().len(), 2, "{place}");
    }
}
