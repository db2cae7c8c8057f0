use std::sync::Arc;

use testdata::writer;
use walproto::{Decoder, Xid};

use super::*;
use crate::delivery::StreamedDelivery;
use crate::error::ErrorKind;
use crate::stream::queue::Reached;
use crate::transactions::Assembler;

/// A server that sends, and what of it waits for the consumer.
struct Run {
    assembler: Assembler,
    handover: Handover,
}

fn run(delivery: Delivery, skip: u64, written: u64) -> Run {
    let reached = Reached {
        lsn: Lsn(skip),
        message: Lsn(skip),
    };
    let folder = std::env::temp_dir();
    Run {
        assembler: Assembler::new(Decoder::new(), delivery, Arc::default(), folder, u64::MAX),
        handover: Handover::new(delivery, reached, Lsn(written)),
    }
}

fn prepared(prepared: PreparedDelivery) -> Delivery {
    Delivery {
        prepared,
        ..Delivery::default()
    }
}

fn until(lsn: u64) -> Delivery {
    Delivery {
        until: Some(Lsn(lsn)),
        ..Delivery::default()
    }
}

impl Run {
    /// Each message with the position at which it is sent.
    fn feed(&mut self, messages: &[(u64, Vec<u8>)]) -> Result<Vec<String>, Error> {
        let mut out = Vec::new();
        for (lsn, message) in messages {
            if self.handover.is_ended() {
                break;
            }
            if let Some(assembled) = self.assembler.receive(Lsn(*lsn), message).unwrap() {
                self.handover.decide(assembled, &mut out)?;
            }
        }
        Ok(out.iter().map(say).collect())
    }

    fn expect(&mut self, messages: &[(u64, Vec<u8>)], expected: &[&str]) {
        assert_eq!(self.feed(messages).unwrap(), expected);
    }
}

fn say(waiting: &Waiting) -> String {
    match waiting {
        Waiting::Transaction(it) => format!("transaction {}", it.ended.xid),
        Waiting::Message(it, _) => format!("message {}", it.prefix),
        Waiting::Held(id) => format!("hold {}", id.gid),
        Waiting::Released(id) => format!("release {}", id.gid),
        Waiting::Prepared(it) => format!("prepared {}", it.id.gid),
        Waiting::CommitPrepared(gid, _) => format!("commit {gid}"),
        Waiting::RollbackPrepared(it) => format!("roll back {}", it.id.gid),
        Waiting::Piece(it) => format!("piece {}", it.body.xid),
        Waiting::Abort(it) => format!("undo {}", it.xid),
        Waiting::StreamCommit(it, _) => format!("stream commit {}", it.xid),
        Waiting::StreamPrepare(it) => format!("stream prepare {}", it.id.gid),
        Waiting::Reconnected(_) => panic!("{waiting:?}"),
    }
}

/// Sent from `first` on, with a commit record from `commit` to eight bytes behind it.
fn whole(xid: u32, first: u64, commit: u64) -> Vec<(u64, Vec<u8>)> {
    vec![
        (first, writer::begin(commit, 0, xid)),
        (commit + 8, writer::commit(0, commit, commit + 8, 0)),
    ]
}

fn prepare(gid: &str, xid: u32, lsn: u64) -> Vec<(u64, Vec<u8>)> {
    vec![
        (lsn - 1, writer::begin_prepare(lsn, lsn + 8, 0, xid, gid)),
        (lsn + 8, writer::prepare(0, lsn, lsn + 8, 0, xid, gid)),
    ]
}

fn commit(gid: &str, xid: u32, lsn: u64) -> (u64, Vec<u8>) {
    (
        lsn + 8,
        writer::commit_prepared(0, lsn, lsn + 8, 0, xid, gid),
    )
}

fn roll_back(gid: &str, xid: u32, prepare: u64, lsn: u64) -> (u64, Vec<u8>) {
    let message = writer::rollback_prepared(0, prepare + 8, lsn + 8, 0, 0, xid, gid);
    (lsn + 8, message)
}

/// A block of one message.
fn block(xid: u32, first: u8, lsn: u64) -> Vec<(u64, Vec<u8>)> {
    vec![
        (lsn, writer::stream_start(xid, first)),
        (lsn, writer::logical(Some(xid), 1, lsn, "inside", b"x")),
        (lsn, writer::stream_stop()),
    ]
}

fn stream_commit(xid: u32, lsn: u64) -> (u64, Vec<u8>) {
    (lsn + 8, writer::stream_commit(xid, 0, lsn, lsn + 8, 0))
}

fn message(lsn: u64) -> (u64, Vec<u8>) {
    (lsn, writer::logical(None, 0, lsn, "alone", b"x"))
}

#[test]
fn what_committed_before_the_place_of_the_consumer_is_a_repeat() {
    let mut messages = [whole(700, 40, 92), whole(701, 50, 100), vec![message(100)]].concat();
    messages.push(message(101));
    run(Delivery::default(), 100, 0).expect(&messages, &["transaction 701", "message alone"]);
}

#[test]
fn a_repeated_commit_lets_go_of_its_prepare() {
    let mut run = run(prepared(PreparedDelivery::AtCommit), 200, 0);
    let mut messages = [prepare("a", 700, 100), prepare("b", 701, 120)].concat();
    messages.extend([commit("a", 700, 150), roll_back("b", 701, 120, 160)]);
    run.expect(&messages, &["hold a", "hold b", "release a", "release b"]);
    // Its content went to an earlier process, which handed over the commit too.
    run.expect(&[commit("c", 702, 190)], &[]);
    // A rollback needs no content.
    run.expect(&[roll_back("d", 703, 50, 210)], &[]);
    let error = run.feed(&[commit("e", 704, 220)]).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::TwoPhase);
}

#[test]
fn repeated_ends_of_prepared_ones_are_left_out() {
    let mut run = run(prepared(PreparedDelivery::AtPrepare), 200, 0);
    let messages = [
        commit("a", 700, 150),
        roll_back("b", 701, 120, 192),
        commit("c", 702, 200),
        roll_back("d", 703, 120, 210),
    ];
    run.expect(&messages, &["commit c", "roll back d"]);
}

#[test]
fn a_prepare_that_was_handed_over_and_is_open_does_not_come_again() {
    let mut run = run(prepared(PreparedDelivery::AtPrepare), 200, 0);
    let known = PreparedId {
        gid: "a".to_owned(),
        xid: Xid(700),
        end_lsn: Lsn(108),
    };
    let reached = run.handover.skip;
    run.handover.restart(reached, [known].into(), false);
    let mut messages = prepare("a", 700, 100);
    // Not even where its commit is the next.
    messages.push(commit("a", 700, 200));
    run.expect(&messages, &["commit a"]);
}

#[test]
fn an_older_prepare_comes_only_directly_before_its_commit() {
    let delivery = prepared(PreparedDelivery::AtPrepare);
    let old = prepare("a", 700, 100);
    let with = |next: Vec<(u64, Vec<u8>)>| [old.clone(), next].concat();
    let both: &[&str] = &["prepared a", "commit a"];
    let cases = [
        (with(vec![commit("a", 700, 200)]), both),
        // Both are repeats.
        (with(vec![commit("a", 700, 190)]), &[]),
        (with(vec![commit("b", 700, 200)]), &["commit b"]),
        (with(vec![commit("a", 701, 200)]), &["commit a"]),
        (
            with([whole(702, 200, 210), vec![commit("a", 700, 220)]].concat()),
            &["transaction 702", "commit a"],
        ),
        (with(vec![roll_back("a", 700, 100, 200)]), &["roll back a"]),
    ];
    for (messages, expected) in cases {
        run(delivery, 200, 0).expect(&messages, expected);
    }
    // One that ends behind the place of the consumer is new, whatever follows.
    run(delivery, 200, 0).expect(&prepare("a", 700, 193), &["prepared a"]);
}

#[test]
fn an_older_prepare_behind_the_end_does_not_come_either() {
    for (end, expected) in [(99, &[][..]), (100, &["prepared a"])] {
        let delivery = Delivery {
            until: Some(Lsn(end)),
            ..prepared(PreparedDelivery::AtPrepare)
        };
        let mut run = run(delivery, 200, 0);
        let mut messages = prepare("a", 700, 100);
        messages.push(commit("a", 700, 200));
        run.expect(&messages, expected);
        assert!(run.handover.is_ended());
    }
}

#[test]
fn repeats_in_pieces_are_undone() {
    let delivery = |prepared| Delivery {
        prepared,
        streamed: StreamedDelivery::AsReceived,
        until: None,
    };
    let mut messages = [block(700, 1, 100), block(701, 1, 110)].concat();
    messages.extend([stream_commit(700, 150), stream_commit(701, 200)]);
    run(delivery(PreparedDelivery::AtCommit), 200, 0).expect(
        &messages,
        &["piece 700", "piece 701", "undo 700", "stream commit 701"],
    );

    let stream_prepare = |xid: u32, lsn: u64| {
        let message = writer::stream_prepare(0, lsn, lsn + 8, 0, xid, "a");
        (lsn + 8, message)
    };
    let mut old = block(700, 1, 100);
    old.push(stream_prepare(700, 150));
    let mut at_prepare = run(delivery(PreparedDelivery::AtPrepare), 200, 0);
    let mut messages = old.clone();
    messages.extend(whole(702, 200, 210));
    at_prepare.expect(&messages, &["piece 700", "undo 700", "transaction 702"]);
    let mut messages = old.clone();
    messages.push(commit("a", 700, 220));
    at_prepare.expect(&messages, &["piece 700", "stream prepare a", "commit a"]);

    let mut at_commit = run(delivery(PreparedDelivery::AtCommit), 200, 0);
    old.push(commit("a", 700, 190));
    at_commit.expect(&old, &["piece 700", "hold a", "undo 700", "release a"]);
}

#[test]
fn the_end_comes_with_the_first_that_crosses_it_or_lies_behind() {
    let all = ["transaction 700", "transaction 701", "transaction 702"];
    let cases = [
        (100, 0, true),  // where the first begins
        (101, 1, true),  // inside it
        (150, 1, true),  // where the second begins
        (151, 2, true),  // inside it
        (208, 3, true),  // where it ends, inside the third
        (300, 3, true),  // at the commit of the third
        (301, 3, false), // one byte behind: another may cross
    ];
    for (end, expected, ended) in cases {
        let mut run = run(until(end), 0, 0);
        let messages = [
            whole(700, 100, 140),
            whole(701, 150, 200),
            whole(702, 160, 300),
        ]
        .concat();
        run.expect(&messages, &all[..expected]);
        assert_eq!(run.handover.is_ended(), ended, "{end}");
        assert_eq!(run.handover.wants_end(), !ended);
    }
}

#[test]
fn the_word_of_the_server_ends_it_once_that_is_behind_what_was_written_at_the_beginning() {
    let mut run = run(until(100), 0, 300);
    run.handover.passed(Lsn(299));
    assert!(!run.handover.is_ended());
    // Crosses, and was written before the stream began.
    run.expect(&whole(700, 90, 250), &["transaction 700"]);
    assert!(run.handover.is_ended());

    let mut run = self::run(until(100), 0, 300);
    run.handover.passed(Lsn(300));
    assert!(run.handover.is_ended());
    let mut run = self::run(until(400), 0, 300);
    run.handover.passed(Lsn(399));
    assert!(!run.handover.is_ended());
    run.handover.passed(Lsn(400));
    assert!(run.handover.is_ended());
    let mut run = self::run(Delivery::default(), 0, 300);
    run.handover.passed(Lsn(u64::MAX));
    assert!(!run.handover.is_ended() && !run.handover.wants_end());
}

#[test]
fn messages_and_rollbacks_up_to_the_end_come_too() {
    let messages = [message(100), message(101)];
    run(until(100), 0, 0).expect(&messages[..1], &["message alone"]);
    let mut late = run(until(100), 0, 200);
    // One that crosses may follow, and its position would stand for the second too.
    late.expect(&messages, &["message alone"; 2]);
    assert!(!late.handover.is_ended());

    let delivery = Delivery {
        until: Some(Lsn(108)),
        ..prepared(PreparedDelivery::AtPrepare)
    };
    let mut run = run(delivery, 0, 200);
    let ends = [roll_back("a", 700, 50, 100), roll_back("b", 701, 50, 110)];
    run.expect(&ends, &["roll back a"]);
    assert!(run.handover.is_ended());
}
