//! Streamed transactions that leave in pieces.

use super::*;

fn in_pieces() -> Assembler {
    delivering(PreparedDelivery::AtCommit, StreamedDelivery::AsReceived)
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
                    Assembled::Piece(mut it) => {
                        let first = if it.first { "first " } else { "" };
                        let xid = it.body.xid;
                        format!("{first}{xid}: {}", texts(&mut it.body).join(" "))
                    }
                    Assembled::Abort(it) => match it.savepoint {
                        Some(subxid) => format!("back {} {subxid}", it.xid),
                        None => format!("undo {}", it.xid),
                    },
                    Assembled::StreamCommit {
                        ended,
                        prepared,
                        handed,
                    } => {
                        let gid = prepared.map_or(String::new(), |id| format!(" as {}", id.gid));
                        let handed = if handed { "" } else { ", nothing of it" };
                        format!("commit {}{gid}{handed}", ended.xid)
                    }
                    Assembled::Transaction(whole) => format!("whole {}", rows(whole).join(" ")),
                    Assembled::Held(id) => format!("hold {}", id.gid),
                    Assembled::Released { id, handed, .. } => {
                        format!("release {} {handed}", id.gid)
                    }
                    other => panic!("{other:?}"),
                }),
        );
    }
    out
}

fn rows_of(xid: u32, sub: u32, values: &[&str]) -> Vec<Vec<u8>> {
    let mut messages = vec![relation(Some(sub))];
    messages.extend(values.iter().map(|value| insert(Some(sub), value)));
    block(xid, 0, &messages)
}

fn first(xid: u32, values: &[&str]) -> Vec<Vec<u8>> {
    let mut messages = vec![relation(Some(xid))];
    messages.extend(values.iter().map(|value| insert(Some(xid), value)));
    block(xid, 1, &messages)
}

#[test]
fn each_block_is_a_piece_and_the_commit_comes_alone() {
    let mut messages = first(700, &["1"]);
    messages.extend(first(800, &["a"]));
    messages.extend(whole(900, 50, &[relation(None), insert(None, "w")]));
    messages.extend(rows_of(700, 700, &["2", "3"]));
    messages.push(stream_commit(800, 100));
    messages.push(writer::stream_abort(700, 700, None));
    assert_eq!(
        say(&mut in_pieces(), &messages),
        [
            "first 700: t:1",
            "first 800: t:a",
            "whole t:w",
            "700: t:2 t:3",
            "commit 800",
            "undo 700"
        ]
    );
}

#[test]
fn a_savepoint_stands_before_the_first_change_of_each_subtransaction() {
    let mut messages = first(700, &["1"]);
    messages.extend(rows_of(700, 701, &["2"]));
    messages.extend(rows_of(700, 701, &["3"]));
    messages.extend(rows_of(700, 702, &["4"]));
    // The upper one goes on after the lower one.
    messages.extend(rows_of(700, 701, &["5"]));
    assert_eq!(
        say(&mut in_pieces(), &messages)[1..],
        [
            "700: savepoint 701 t:2",
            "700: t:3",
            "700: savepoint 702 t:4",
            "700: t:5"
        ]
    );
}

#[test]
fn who_goes_back_forgets_the_savepoints_set_after_it() {
    let mut assembler = in_pieces();
    let mut messages = first(700, &["1"]);
    messages.extend(rows_of(700, 701, &["2"]));
    messages.extend(rows_of(700, 702, &["3"]));
    messages.extend(rows_of(700, 703, &["4"]));
    messages.extend(rows_of(700, 704, &["4"]));
    say(&mut assembler, &messages);
    let aborts = [
        writer::stream_abort(700, 702, None), // with it those inside
        writer::stream_abort(700, 703, None),
        writer::stream_abort(700, 704, None),
        writer::stream_abort(700, 799, None), // nothing came of it
    ];
    assert_eq!(say(&mut assembler, &aborts), ["back 700 702"]);
    let mut messages = rows_of(700, 701, &["5"]);
    messages.extend(rows_of(700, 705, &["6"]));
    messages.push(stream_commit(700, 100));
    assert_eq!(
        say(&mut assembler, &messages),
        ["700: t:5", "700: savepoint 705 t:6", "commit 700"]
    );
}

#[test]
fn a_large_block_leaves_in_parts() {
    let value = "x".repeat(300_000);
    let out = say(&mut in_pieces(), &first(700, &[value.as_str(); 10]));
    assert!(out.len() >= 3, "{}", out.len());
    assert!(out.iter().all(|piece| piece.len() < 2_000_000));
    let values: usize = out.iter().map(|piece| piece.matches("t:x").count()).sum();
    assert_eq!(values, 10, "each is readable by itself");
}

#[test]
fn pieces_are_read_with_the_relations_of_their_place() {
    let named = |name: &str, xid| relation_named(xid, TABLE, name);
    let mut assembler = in_pieces();
    let mut messages = whole(600, 50, &[named("others", None), insert(None, "1")]);
    messages.extend(block(
        700,
        1,
        &[named("own", Some(700)), insert(Some(700), "2")],
    ));
    messages.extend(block(700, 0, &[insert(Some(700), "3")]));
    messages.extend(block(
        700,
        0,
        &[named("lower", Some(701)), insert(Some(701), "4")],
    ));
    messages.push(writer::stream_abort(700, 701, None));
    messages.extend(block(700, 0, &[insert(Some(700), "5")]));
    // Until it commits, for others it is as it was.
    messages.extend(whole(601, 100, &[insert(None, "6")]));
    messages.push(stream_commit(700, 150));
    messages.extend(whole(602, 200, &[insert(None, "7")]));
    assert_eq!(
        say(&mut assembler, &messages),
        [
            "whole others:1",
            "first 700: own:2",
            "700: own:3",
            "700: savepoint 701 lower:4",
            "back 700 701",
            "700: own:5",
            "whole others:6",
            "commit 700",
            "whole own:7"
        ]
    );
}

#[test]
fn nothing_is_undone_that_was_not_handed_over() {
    let mut messages = block(700, 1, &[]);
    messages.push(writer::stream_abort(700, 700, None));
    messages.push(writer::stream_abort(600, 601, None));
    messages.extend(block(800, 1, &[]));
    messages.push(stream_commit(800, 100));
    assert_eq!(
        say(&mut in_pieces(), &messages),
        ["commit 800, nothing of it"]
    );
}

#[test]
fn one_that_begins_again_is_undone_first() {
    let mut messages = first(700, &["1"]);
    messages.extend(first(700, &["1", "2"]));
    assert_eq!(
        say(&mut in_pieces(), &messages),
        ["first 700: t:1", "undo 700", "first 700: t:1 t:2"]
    );
}

#[test]
fn one_that_is_prepared_stays_open_until_its_end() {
    let mut assembler = in_pieces();
    let mut messages = first(700, &["1"]);
    messages.push(writer::stream_prepare(0, 100, 108, 0, 700, "a"));
    messages.extend(first(701, &["2"]));
    messages.push(writer::stream_prepare(0, 200, 208, 0, 701, "b"));
    messages.extend(first(702, &["3"]));
    assert_eq!(
        say(&mut assembler, &messages),
        [
            "first 700: t:1",
            "hold a",
            "first 701: t:2",
            "hold b",
            "first 702: t:3"
        ]
    );
    assert_eq!(assembler.in_pieces(), [Xid(700), Xid(701), Xid(702)]);
    let ends = [
        writer::commit_prepared(0, 300, 308, 0, 700, "a"),
        writer::rollback_prepared(0, 208, 408, 0, 0, 701, "b"),
    ];
    assert_eq!(
        say(&mut assembler, &ends),
        ["commit 700 as a", "release b true"]
    );
    assert_eq!(assembler.in_pieces(), [Xid(702)]);
}

#[test]
fn a_transactional_message_needs_no_savepoint() {
    // The server gives it the top-level transaction, whatever subtransaction wrote it.
    let messages = block(700, 1, &[writer::logical(Some(700), 1, 6, "kept", b"x")]);
    assert_eq!(
        say(&mut in_pieces(), &messages),
        ["first 700: message kept"]
    );
}
