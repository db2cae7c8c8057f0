//! Prepared transactions.

use super::*;

fn prepared(xid: u32, lsn: u64, gid: &str, between: &[Vec<u8>]) -> Vec<Vec<u8>> {
    let mut messages = vec![writer::begin_prepare(lsn, lsn + 8, 0, xid, gid)];
    messages.extend_from_slice(between);
    messages.push(writer::prepare(0, lsn, lsn + 8, 0, xid, gid));
    messages
}

fn commit_prepared(xid: u32, lsn: u64, gid: &str) -> Vec<u8> {
    writer::commit_prepared(0, lsn, lsn + 8, 0, xid, gid)
}

fn rollback_prepared(xid: u32, prepare: u64, lsn: u64, gid: &str) -> Vec<u8> {
    writer::rollback_prepared(0, prepare + 8, lsn + 8, 0, 0, xid, gid)
}

/// What comes out, in words.
fn say(assembler: &mut Assembler, messages: &[Vec<u8>]) -> Vec<String> {
    let mut out = Vec::new();
    for message in messages {
        out.extend(
            assembler
                .receive(Lsn(7), message)
                .unwrap()
                .map(|it| match it {
                    Assembled::Transaction(whole) => {
                        let gid = whole
                            .prepared
                            .as_ref()
                            .map_or("plain", |id| &id.gid)
                            .to_owned();
                        format!("{gid} {}", rows(whole).join(" "))
                    }
                    Assembled::Held(id) => format!("hold {}", id.gid),
                    Assembled::Released { id, .. } => format!("release {}", id.gid),
                    Assembled::Prepared(mut it) => {
                        format!("prepared {} {}", it.id.gid, texts(&mut it.body).join(" "))
                    }
                    Assembled::CommitPrepared { gid, .. } => format!("commit {gid}"),
                    Assembled::RollbackPrepared(it) => format!("roll back {}", it.id.gid),
                    other => panic!("{other:?}"),
                }),
        );
    }
    out
}

fn row(value: &str) -> [Vec<u8>; 2] {
    [relation(None), insert(None, value)]
}

#[test]
fn the_content_waits_for_its_commit() {
    let mut messages = prepared(700, 100, "a", &row("1"));
    messages.extend(prepared(701, 200, "b", &[insert(None, "2")]));
    messages.extend(whole(702, 300, &[insert(None, "3")]));
    messages.push(commit_prepared(701, 400, "b"));
    messages.push(rollback_prepared(700, 100, 500, "a"));
    assert_eq!(
        say(&mut assembler(), &messages),
        ["hold a", "hold b", "plain t:3", "b t:2", "release a"]
    );
}

#[test]
fn asked_for_it_comes_at_its_prepare() {
    let mut assembler = delivering(PreparedDelivery::AtPrepare, StreamedDelivery::AtCommit);
    let mut messages = prepared(700, 100, "a", &row("1"));
    messages.extend(prepared(701, 200, "b", &[]));
    messages.push(commit_prepared(701, 400, "b"));
    messages.push(rollback_prepared(700, 100, 500, "a"));
    assert_eq!(
        say(&mut assembler, &messages),
        ["prepared a t:1", "prepared b ", "commit b", "roll back a"]
    );
}

#[test]
fn blocks_that_end_in_a_prepare_are_one_transaction_without_what_was_rolled_back() {
    let mut messages = block(700, 1, &[relation(Some(700)), insert(Some(700), "1")]);
    messages.extend(block(700, 0, &[insert(Some(701), "2")]));
    messages.push(writer::stream_abort(700, 701, None));
    messages.push(writer::stream_prepare(0, 100, 108, 0, 700, "a"));
    messages.push(commit_prepared(700, 200, "a"));
    assert_eq!(say(&mut assembler(), &messages), ["hold a", "a t:1"]);
}

/// The server takes what it described before a prepare as known to us, and what it described in blocks that ended in
/// one not.
#[test]
fn relations_count_for_others_as_the_server_takes_it() {
    let named = |name: &str, xid| relation_named(xid, TABLE, name);
    let mut messages = whole(600, 50, &[named("first", None), insert(None, "1")]);
    messages.extend(prepared(700, 100, "a", &[named("second", None)]));
    messages.extend(whole(601, 150, &[insert(None, "2")]));
    messages.extend(block(800, 1, &[named("third", Some(800))]));
    messages.push(writer::stream_prepare(0, 200, 208, 0, 800, "b"));
    messages.extend(whole(602, 250, &[insert(None, "3")]));
    assert_eq!(
        say(&mut assembler(), &messages),
        [
            "plain first:1",
            "hold a",
            "plain second:2",
            "hold b",
            "plain second:3"
        ]
    );
}

/// As they were when it was prepared, whatever came since.
#[test]
fn a_content_that_waited_is_read_with_its_own_relations() {
    let mut messages = whole(
        600,
        50,
        &[relation_named(None, TABLE, "then"), insert(None, "1")],
    );
    messages.extend(prepared(700, 100, "a", &[insert(None, "2")]));
    messages.extend(whole(601, 150, &[relation_named(None, TABLE, "since")]));
    messages.push(commit_prepared(700, 200, "a"));
    assert_eq!(
        say(&mut assembler(), &messages),
        ["plain then:1", "hold a", "plain ", "a then:2"]
    );
}

#[test]
fn one_that_comes_again_takes_the_place_of_the_first() {
    let mut messages = prepared(700, 100, "a", &row("1"));
    messages.extend(prepared(700, 100, "a", &row("1")));
    messages.push(commit_prepared(700, 200, "a"));
    assert_eq!(
        say(&mut assembler(), &messages),
        ["hold a", "hold a", "a t:1"]
    );
}

#[test]
fn one_from_before_the_slot_had_two_phase_may_lie_before_what_came() {
    let mut messages = whole(600, 300, &row("1"));
    messages.extend(prepared(700, 100, "a", &[insert(None, "2")]));
    messages.push(commit_prepared(700, 400, "a"));
    assert_eq!(
        say(&mut assembler(), &messages),
        ["plain t:1", "hold a", "a t:2"]
    );
}

#[test]
fn ends_of_what_is_not_here_say_so() {
    let mut messages = vec![
        commit_prepared(700, 100, "a"),
        rollback_prepared(701, 50, 200, "b"),
    ];
    // Another one of that name, which was rolled back before this one was prepared.
    messages.extend(prepared(703, 300, "c", &[]));
    messages.push(rollback_prepared(702, 200, 400, "c"));
    messages.push(commit_prepared(703, 500, "c"));
    assert_eq!(
        say(&mut assembler(), &messages),
        ["commit a", "roll back b", "hold c", "roll back c", "c "]
    );
}

#[test]
fn ends_that_do_not_fit_name_both_readings() {
    let prepare = prepared(700, 100, "a", &[]);
    let cases = [
        (commit_prepared(701, 200, "a"), ["701", "700"]),
        (commit_prepared(700, 101, "a"), ["0/65", "0/6C"]),
    ];
    for (end, readings) in cases {
        let mut assembler = assembler();
        say(&mut assembler, &prepare);
        let error = assembler.receive(Lsn(7), &end).unwrap_err().to_string();
        for reading in readings {
            assert!(error.contains(reading), "{error:?} lacks {reading}");
        }
    }
    let mut assembler = assembler();
    let twice = [prepare, prepared(701, 200, "a", &[])].concat();
    let (last, before) = twice.split_last().unwrap();
    say(&mut assembler, before);
    let error = assembler.receive(Lsn(7), last).unwrap_err().to_string();
    assert!(error.contains("700") && error.contains("701"), "{error}");
}

#[test]
fn what_waits_can_be_moved_to_its_file() {
    let (usage, mut assembler) = assembler_with(100_000);
    let value = "x".repeat(90_000);
    say(
        &mut assembler,
        &prepared(700, 100, "a", &[relation(None), insert(None, &value)]),
    );
    let out = say(
        &mut assembler,
        &prepared(701, 200, "b", &[insert(None, &value), insert(None, "1")]),
    );
    assert_eq!(out, ["hold b"]);
    assert!(usage.memory() < 100_000, "{}", usage.memory());
    let out = say(&mut assembler, &[commit_prepared(700, 300, "a")]);
    assert_eq!(out, [format!("a t:{value}")]);
}
