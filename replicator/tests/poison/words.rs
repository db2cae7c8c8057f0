//! What is printed where a run stops: table, column, key, position, statement, the destination's words, and the ways on.

use crate::bench::{Bench, Case, Product};

/// Plays it among others; they arrive up to it. The words are as they must be, whatever the position is.
fn stops<P: Product>(bench: &mut Bench<P>, change: &str, case: Case) {
    let before = bench.place.reader()(&format!("SELECT id FROM {}", bench.name("free"))).len();
    bench.play(&format!(
        "INSERT INTO free VALUES (100, 'before')\n\nINSERT INTO free VALUES (101, 'before')\n\n\
         INSERT INTO free VALUES (102, 'before')\n\nBEGIN; INSERT INTO free VALUES (103, 'with'); {change}; COMMIT\n\n\
         INSERT INTO free VALUES (104, 'after')"
    ));
    for _ in 0..2 {
        let printed = bench.stops(&[]);
        let at = printed.find(" at ").unwrap() + 4;
        let lsn = printed[at..].split([':', ' ']).next().unwrap();
        let url = bench.place.url();
        let database = url.rsplit('/').next().unwrap();
        let printed = printed.replace(lsn, "LSN").replace(database, "DATABASE");
        assert_eq!(printed, P::words(case));
        let free = bench.there(&format!("SELECT id FROM {}", bench.name("free")));
        assert_eq!(free.len(), before + 3, "{free:?}");
    }
}

pub(crate) fn a_check<P: Product>() {
    let mut bench = Bench::<P>::new(&[]);
    stops(
        &mut bench,
        "INSERT INTO t VALUES (7, 100, 'much')",
        Case::Check,
    );
}

pub(crate) fn a_trigger<P: Product>() {
    let mut bench = Bench::<P>::new(&[]);
    bench.place.forbid(&bench.name("t"));
    let change = "INSERT INTO t VALUES (7, 1, 'forbidden')";
    stops(&mut bench, change, Case::Trigger);
}

pub(crate) fn a_missing_value<P: Product>() {
    let mut bench = Bench::<P>::new(&[]);
    bench.play("INSERT INTO t VALUES (1, 1, 'one')");
    bench.run(&[]);
    let change = "UPDATE t SET v = NULL WHERE id = 1";
    stops(&mut bench, change, Case::Missing);
}

pub(crate) fn a_conflict<P: Product>() {
    let mut bench = Bench::<P>::new(&[]);
    bench.play("INSERT INTO t VALUES (1, 1, 'one')");
    bench.run(&[]);
    let name = bench.name("t");
    bench.place.sql(&format!("DELETE FROM {name} WHERE id = 1"));
    stops(&mut bench, "DELETE FROM t WHERE id = 1", Case::Conflict);
}

pub(crate) fn a_key_of_another_row<P: Product>() {
    let mut bench = Bench::<P>::new(&[]);
    let name = bench.name("free");
    bench
        .place
        .sql(&format!("INSERT INTO {name} VALUES (7, 'planted')"));
    stops(
        &mut bench,
        "INSERT INTO free VALUES (7, 'ours')",
        Case::Another,
    );
}
