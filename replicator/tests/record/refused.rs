//! What is refused, each with words that help, and what can be gone on with.

use std::fs;

use super::common::{Site, lsn};
use super::tape::Tape;
use super::*;

#[test]
fn a_missing_slot_or_publication_says_how_to_make_it() {
    let studio = Studio::new();
    let outcome = studio.record(&["--until", "current"]);
    outcome.failed(3, &["no replication slot", &studio.site.slot]);
    assert!(
        outcome.stderr.contains("--create-slot"),
        "{}",
        outcome.stderr
    );
    assert_eq!(studio.site.slot_column("slot_name"), None);

    let outcome = studio.record(&["--create-slot", "--publication", "q"]);
    outcome.failed(3, &["\"q\"", "does not exist"]);
    assert!(
        outcome
            .stderr
            .contains("CREATE PUBLICATION \"q\" FOR TABLE"),
        "{}",
        outcome.stderr
    );
    assert_eq!(
        studio.site.slot_column("slot_name"),
        None,
        "a slot would not see a publication younger than itself"
    );
    studio.begin();
}

/// What is confirmed by a recording would be lost to a replication: it is never its slot by default.
#[test]
fn the_slot_of_a_replication_is_left_alone() {
    let studio = Studio::new();
    studio
        .site
        .sql("SELECT pg_create_logical_replication_slot('replicator', 'pgoutput')");
    let mut program = common::program();
    program
        .env("REPLICATOR_SLOT", "replicator")
        .args(["record", "--publication", "p", "--until", "current"])
        .args(["--source", &studio.site.source()])
        .arg("--output")
        .arg(studio.file());
    Running::start(&mut program)
        .wait(PATIENCE)
        .failed(3, &["no replication slot named \"replicator_record\""]);
    studio
        .site
        .sql("SELECT pg_drop_replication_slot('replicator')");
}

#[test]
fn a_slot_that_is_gone_is_never_made_again_by_itself() {
    let studio = Studio::new();
    studio.begin();
    studio.insert(1, 1);
    studio.catch_up(&[]);
    let drop = format!("SELECT pg_drop_replication_slot('{}')", studio.site.slot);
    studio.site.sql(&drop);
    let before = fs::read(studio.file()).unwrap();
    let outcome = studio.record(&["--create-slot", "--until", "current"]);
    outcome.failed(3, &["no replication slot"]);
    assert!(outcome.stderr.contains("are lost"), "{}", outcome.stderr);
    assert_eq!(studio.site.slot_column("slot_name"), None);
    assert_eq!(fs::read(studio.file()).unwrap(), before);
}

#[test]
fn a_slot_that_somebody_else_moved_is_a_gap() {
    let studio = Studio::new();
    studio.begin();
    studio.insert(1, 1);
    studio.catch_up(&[]);
    studio.insert(2, 2);
    let advance = format!(
        "SELECT pg_replication_slot_advance('{}', pg_current_wal_lsn())",
        studio.site.slot
    );
    studio.site.sql(&advance);
    let before = fs::read(studio.file()).unwrap();
    let outcome = studio.record(&["--until", "current"]);
    outcome.failed(3, &["was confirmed up to", "are lost"]);
    assert_eq!(fs::read(studio.file()).unwrap(), before);
}

#[test]
fn records_of_another_cluster_are_not_continued() {
    let studio = Studio::new();
    studio.begin();
    let other = Studio::at(Site::own(Server::start(Version::NEWEST)));
    fs::copy(studio.file(), other.file()).unwrap();
    let outcome = other.record(&["--create-slot", "--until", "current"]);
    outcome.failed(3, &["holds records of the cluster"]);
    assert_eq!(other.site.slot_column("slot_name"), None);
}

#[test]
fn a_file_that_is_no_capture_is_left_alone() {
    let studio = Studio::new();
    fs::write(studio.file(), "hello, this is something else").unwrap();
    studio
        .record(&["--create-slot", "--until", "current"])
        .failed(2, &["not a capture file"]);
    assert_eq!(
        fs::read_to_string(studio.file()).unwrap(),
        "hello, this is something else"
    );
    assert_eq!(studio.site.slot_column("slot_name"), None);

    let mut command = studio.command(&[]);
    command.args(["--output", "/dev/null"]);
    let outcome = Running::start(&mut command).wait(PATIENCE);
    assert_eq!(outcome.code, Some(2), "{}", outcome.stderr);
}

#[test]
fn two_do_not_write_one_file() {
    let studio = Studio::new();
    studio.begin();
    let mut running = Running::start(&mut studio.command(&[]));
    running.until("it records", || {
        studio.site.slot_column("active").as_deref() == Some("true")
    });
    studio
        .record(&["--until", "current"])
        .failed(1, &["is being written by another process"]);
    running.terminate().done();
}

#[test]
fn a_torn_end_is_cut_off_and_nothing_is_lost() {
    let studio = Studio::new();
    studio.begin();
    studio.insert(1, 10);
    studio.catch_up(&[]);
    let good = fs::read(studio.file()).unwrap();
    // As much of a record as a crash may leave, and zeros where a file had grown before its content came.
    let record = &good[10..10 + 100];
    let tails: [Vec<u8>; 4] = [
        record[..3].to_vec(),
        record[..30].to_vec(),
        record[..99].to_vec(),
        vec![0; 5000],
    ];
    for (at, tail) in (11..).zip(&tails) {
        let whole = fs::read(studio.file()).unwrap();
        fs::write(studio.file(), [&whole[..], tail].concat()).unwrap();
        assert!(studio.tape().torn.is_some());
        studio.insert(at, at);
        let outcome = studio.record(&["--until", "current"]);
        outcome.done();
        assert!(outcome.stderr.contains("cut off"), "{}", outcome.stderr);
        assert_eq!(studio.tape().ids(), (1..=at).collect::<Vec<_>>());
        assert_eq!(fs::read(studio.file()).unwrap()[..whole.len()], whole);
    }
}

#[test]
fn an_end_that_was_confirmed_and_is_gone_is_a_gap() {
    let studio = Studio::new();
    studio.begin();
    studio.insert(1, 10);
    studio.catch_up(&[]);
    let whole = fs::read(studio.file()).unwrap();
    fs::write(studio.file(), &whole[..whole.len() - 5]).unwrap();
    let outcome = studio.record(&["--until", "current"]);
    outcome.failed(3, &["was cut"]);
    assert!(
        outcome.stderr.contains("does not send again"),
        "{}",
        outcome.stderr
    );
    assert_eq!(fs::read(studio.file()).unwrap(), whole[..whole.len() - 5]);
}

#[test]
fn a_damaged_file_is_refused_and_stays_as_it_is() {
    let studio = Studio::new();
    studio.begin();
    studio.insert(1, 100);
    studio.catch_up(&[]);
    let mut bytes = fs::read(studio.file()).unwrap();
    let middle = bytes.len() / 2;
    bytes[middle] ^= 0x40;
    fs::write(studio.file(), &bytes).unwrap();
    let outcome = studio.record(&["--until", "current"]);
    outcome.failed(3, &["damaged", "byte"]);
    assert_eq!(fs::read(studio.file()).unwrap(), bytes);
}

/// What is behind the confirmed position may be broken in any way: it comes again.
#[test]
fn damage_behind_what_was_confirmed_is_cut_off() {
    let studio = Studio::new();
    studio.begin();
    studio.insert(1, 1);
    studio.catch_up(&[]);
    let mut tail = fs::read(studio.file()).unwrap()[10..200].to_vec();
    tail[50] ^= 1;
    let whole = fs::read(studio.file()).unwrap();
    fs::write(studio.file(), [&whole[..], &tail].concat()).unwrap();
    studio.insert(2, 2);
    studio.catch_up(&[]);
    assert_eq!(studio.tape().ids(), [1, 2]);
}

#[test]
fn a_publication_dropped_meanwhile_is_noticed() {
    for version in [Version::ALL[0], Version::NEWEST] {
        let studio = Studio::at(Site::on(version));
        studio.begin();
        let mut running = Running::start(&mut studio.command(&[]));
        running.until("it records", || {
            studio.site.slot_column("active").as_deref() == Some("true")
        });
        studio.site.sql("DROP PUBLICATION p");
        studio.insert(1, 1);
        let outcome = running.wait(PATIENCE);
        outcome.failed(3, &["publication"]);
    }
}

#[test]
fn a_full_disk_is_said_and_gone_on_from() {
    let studio = Studio::new();
    studio.begin();
    studio.insert(1, 5);
    studio.catch_up(&[]);
    studio
        .site
        .sql("INSERT INTO t SELECT i, repeat('x', 1000) FROM generate_series(6, 3000) i");
    // A limit of the system on the size of a file, in blocks of half a kB or one, looks like a full disk.
    let program = studio.command(&["--until", "current"]);
    let mut limited = Command::new("sh");
    limited
        .args(["-c", "trap '' XFSZ; ulimit -f 300; exec \"$0\" \"$@\""])
        .arg(program.get_program())
        .args(program.get_args());
    let outcome = Running::start(&mut limited).wait(PATIENCE);
    outcome.failed(1, &["no room", "shop.capture"]);
    assert!(
        outcome.stderr.contains("nothing is lost"),
        "{}",
        outcome.stderr
    );
    let tape = studio.tape();
    assert!(tape.torn.is_none(), "what could not be written is cut off");
    assert!(tape.reached >= studio.confirmed());
    studio.catch_up(&[]);
    assert_eq!(studio.tape().ids(), (1..=3000).collect::<Vec<_>>());
}

#[test]
fn a_server_that_forgot_sends_nothing_twice() {
    let mut studio = Studio::at(Site::own(Server::start(Version::NEWEST)));
    studio.begin();
    // A server may write a slot down at any time, and then forgets nothing.
    let forgot = (1..=5).find(|&id| {
        studio.site.sql("CHECKPOINT");
        studio.insert(id, id);
        studio.catch_up(&[]);
        let confirmed = studio.confirmed();
        studio.site.server_mut().kill();
        studio.site.server_mut().start_again();
        studio.confirmed() < confirmed
    });
    let last = forgot.expect("a server that forgets nothing needs no test") + 1;
    studio.insert(last, last);
    studio.catch_up(&[]);
    let ids: Vec<_> = (1..=last).collect();
    assert_eq!(Tape::read(&studio.file()).ids(), ids);
    assert!(lsn(&studio.site.ask("SELECT pg_current_wal_lsn()")) > 0);
}
