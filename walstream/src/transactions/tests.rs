mod pieces;
mod prepared;
mod sequences;

use std::path::Path;

use testdata::writer::{self, Value};
use walproto::Column;

use super::*;
use crate::changes::Change;

const TABLE: u32 = 16384;
const OTHER: u32 = 16385;

fn assembler_with(memory: u64) -> (Arc<Usage>, Assembler) {
    let usage = Arc::<Usage>::default();
    let folder = std::env::temp_dir();
    (
        Arc::clone(&usage),
        Assembler::new(Decoder::new(), Delivery::default(), usage, folder, memory),
    )
}

fn delivering(prepared: PreparedDelivery, streamed: StreamedDelivery) -> Assembler {
    let delivery = Delivery {
        prepared,
        streamed,
        until: None,
    };
    let (usage, folder) = (Arc::default(), std::env::temp_dir());
    Assembler::new(Decoder::new(), delivery, usage, folder, u64::MAX)
}

fn assembler() -> Assembler {
    assembler_with(u64::MAX).1
}

/// Feeds messages; the transactions that come out, as (xid, rows).
fn feed(assembler: &mut Assembler, messages: &[Vec<u8>]) -> Vec<(u32, Vec<String>)> {
    let mut out = Vec::new();
    for message in messages {
        match assembler.receive(Lsn(7), message).unwrap() {
            Some(Assembled::Transaction(whole)) => out.push((whole.ended.xid.0, rows(whole))),
            Some(Assembled::Message(message)) => out.push((0, vec![message.prefix])),
            Some(other) => panic!("{other:?}"),
            None => {}
        }
    }
    out
}

fn refuse(assembler: &mut Assembler, messages: &[Vec<u8>]) -> AssembleError {
    let (last, before) = messages.split_last().unwrap();
    feed(assembler, before);
    assembler.receive(Lsn(7), last).unwrap_err()
}

/// What the changes of a transaction say: `table:value`, or the kind for others.
fn rows(whole: Box<Whole>) -> Vec<String> {
    let Whole { mut body, .. } = *whole;
    texts(&mut body)
}

fn texts(body: &mut Body) -> Vec<String> {
    let mut changes = body.changes().unwrap();
    let mut rows = Vec::new();
    while let Some((_, change)) = changes.next().unwrap() {
        rows.push(match change {
            Change::Insert { relation, new } => match new.columns().next() {
                Some(Column::Text(text)) => {
                    format!("{}:{}", relation.name, String::from_utf8_lossy(text))
                }
                other => format!("{}:{other:?}", relation.name),
            },
            Change::Truncate { relations, .. } => relations
                .iter()
                .map(|relation| relation.name.as_str())
                .collect::<Vec<_>>()
                .join("+"),
            Change::Message(message) => format!("message {}", message.prefix),
            Change::Savepoint(subxid) => format!("savepoint {subxid}"),
            Change::Relation(_) | Change::Type(_) => continue,
            other => format!("{other:?}"),
        });
    }
    rows
}

fn relation_named(xid: Option<u32>, oid: u32, name: &str) -> Vec<u8> {
    let column = writer::Column {
        flags: 1,
        name: "id",
        type_oid: 23,
        typmod: -1,
    };
    writer::relation(xid, oid, "public", name, b'd', &[column])
}

fn relation(xid: Option<u32>) -> Vec<u8> {
    relation_named(xid, TABLE, "t")
}

fn insert(xid: Option<u32>, value: &str) -> Vec<u8> {
    writer::insert(xid, TABLE, &[Value::text(value)])
}

fn whole(xid: u32, commit: u64, between: &[Vec<u8>]) -> Vec<Vec<u8>> {
    let mut messages = vec![writer::begin(commit, 0, xid)];
    messages.extend_from_slice(between);
    messages.push(writer::commit(0, commit, commit + 8, 0));
    messages
}

fn block(xid: u32, first: u8, between: &[Vec<u8>]) -> Vec<Vec<u8>> {
    let mut messages = vec![writer::stream_start(xid, first)];
    messages.extend_from_slice(between);
    messages.push(writer::stream_stop());
    messages
}

fn stream_commit(xid: u32, commit: u64) -> Vec<u8> {
    writer::stream_commit(xid, 0, commit, commit + 8, 0)
}

#[test]
fn a_transaction_sent_whole_comes_out_whole() {
    let messages = whole(
        700,
        100,
        &[relation(None), insert(None, "1"), insert(None, "2")],
    );
    assert_eq!(
        feed(&mut assembler(), &messages),
        [(700, vec!["t:1".to_owned(), "t:2".to_owned()])]
    );
}

#[test]
fn five_hundred_rows_rolled_back_to_a_savepoint_leave_the_others() {
    let (top, sub) = (700, 701);
    let rows = |xid: u32, values: std::ops::Range<u32>| {
        values
            .map(|value| insert(Some(xid), &value.to_string()))
            .collect::<Vec<_>>()
    };
    let mut messages = Vec::new();
    let mut first = vec![relation(Some(top))];
    first.extend(rows(top, 0..500));
    messages.extend(block(top, 1, &first));
    messages.extend(block(top, 0, &rows(sub, 500..1000)));
    messages.push(writer::stream_abort(top, sub, None));
    let mut last = vec![relation(Some(top))];
    last.extend(rows(top, 1000..1005));
    messages.extend(block(top, 0, &last));
    messages.push(stream_commit(top, 100));
    let out = feed(&mut assembler(), &messages);
    let [(700, rows)] = out.as_slice() else {
        panic!("{out:?}")
    };
    assert_eq!(rows.len(), 505);
    assert_eq!(
        (rows[499].as_str(), rows[500].as_str()),
        ("t:499", "t:1000")
    );
}

#[test]
fn interleaved_streams_stay_apart_and_leave_in_commit_order() {
    let mut messages = block(700, 1, &[relation(Some(700)), insert(Some(700), "a1")]);
    messages.extend(block(
        800,
        1,
        &[relation(Some(800)), insert(Some(800), "b1")],
    ));
    messages.extend(whole(900, 50, &[relation(None), insert(None, "c")]));
    messages.extend(block(700, 0, &[insert(Some(700), "a2")]));
    messages.push(stream_commit(800, 100));
    messages.push(stream_commit(700, 200));
    let out = feed(&mut assembler(), &messages);
    let strings = |values: &[&str]| {
        values
            .iter()
            .map(|&value| value.to_owned())
            .collect::<Vec<_>>()
    };
    assert_eq!(
        out,
        [
            (900, strings(&["t:c"])),
            (800, strings(&["t:b1"])),
            (700, strings(&["t:a1", "t:a2"]))
        ]
    );
}

#[test]
fn a_rolled_back_stream_vanishes() {
    let mut messages = block(700, 1, &[relation(Some(700)), insert(Some(700), "gone")]);
    messages.push(writer::stream_abort(700, 700, None));
    messages.extend(whole(900, 50, &[relation(None), insert(None, "here")]));
    let (usage, mut assembler) = assembler_with(u64::MAX);
    assert_eq!(
        feed(&mut assembler, &messages),
        [(900, vec!["t:here".to_owned()])]
    );
    assert_eq!(usage.memory(), 0, "nothing of it is kept");
}

#[test]
fn aborts_of_what_was_never_seen_are_ignored() {
    let mut messages = vec![
        writer::stream_abort(600, 601, None), // a transaction of which nothing was sent
        writer::stream_abort(600, 600, None),
    ];
    messages.extend(block(
        700,
        1,
        &[relation(Some(700)), insert(Some(700), "1")],
    ));
    messages.push(writer::stream_abort(700, 799, None)); // a subtransaction without changes
    messages.push(stream_commit(700, 100));
    assert_eq!(
        feed(&mut assembler(), &messages),
        [(700, vec!["t:1".to_owned()])]
    );
}

#[test]
fn empty_blocks_and_empty_transactions_are_legal() {
    let mut messages = whole(700, 100, &[]);
    messages.extend(block(800, 1, &[]));
    messages.push(stream_commit(800, 200));
    assert_eq!(
        feed(&mut assembler(), &messages),
        [(700, vec![]), (800, vec![])]
    );
}

#[test]
fn a_stream_that_begins_again_replaces_what_was_kept() {
    let mut messages = block(700, 1, &[relation(Some(700)), insert(Some(700), "old")]);
    messages.extend(block(
        700,
        1,
        &[relation(Some(700)), insert(Some(700), "new")],
    ));
    messages.push(stream_commit(700, 100));
    assert_eq!(
        feed(&mut assembler(), &messages),
        [(700, vec!["t:new".to_owned()])]
    );
}

#[test]
fn relations_count_where_they_stand_and_for_others_from_the_commit_on() {
    let mut messages = whole(
        600,
        50,
        &[relation_named(None, TABLE, "before"), insert(None, "1")],
    );
    messages.extend(block(
        700,
        1,
        &[
            relation_named(Some(700), TABLE, "after"),
            insert(Some(700), "2"),
        ],
    ));
    // Not yet committed: the table is still what it was for everybody else.
    messages.extend(whole(800, 100, &[insert(None, "3")]));
    messages.push(stream_commit(700, 200));
    // The server takes it as known from here on.
    messages.extend(whole(900, 300, &[insert(None, "4")]));
    let names: Vec<String> = feed(&mut assembler(), &messages)
        .into_iter()
        .flat_map(|(_, rows)| rows)
        .collect();
    assert_eq!(names, ["before:1", "before:3", "after:2", "after:4"]);
}

#[test]
fn the_relation_of_a_rolled_back_subtransaction_counts_for_nobody() {
    let mut messages = whole(
        600,
        50,
        &[relation_named(None, TABLE, "right"), insert(None, "1")],
    );
    let altered = [
        relation_named(Some(701), TABLE, "wrong"),
        insert(Some(701), "2"),
    ];
    messages.extend(block(700, 1, &altered));
    messages.push(writer::stream_abort(700, 701, None));
    messages.push(stream_commit(700, 100));
    messages.extend(whole(900, 200, &[insert(None, "3")]));
    let names: Vec<String> = feed(&mut assembler(), &messages)
        .into_iter()
        .flat_map(|(_, rows)| rows)
        .collect();
    assert_eq!(names, ["right:1", "right:3"]);
}

#[test]
fn messages_outside_a_transaction_come_at_once_and_inside_with_it() {
    let mut messages = vec![writer::logical(None, 0, 5, "alone", b"x")];
    messages.push(writer::begin(100, 0, 700));
    messages.push(writer::logical(None, 1, 6, "inside", b"x"));
    messages.push(writer::logical(None, 0, 7, "between", b"x"));
    messages.push(writer::commit(0, 100, 108, 0));
    let out = feed(&mut assembler(), &messages);
    let strings = |value: &str| vec![value.to_owned()];
    assert_eq!(
        out,
        [
            (0, strings("alone")),
            (0, strings("between")),
            (700, strings("message inside"))
        ]
    );
}

#[test]
fn a_transactional_message_survives_the_abort_of_its_subtransaction() {
    // The server gives it the top-level transaction; seen on 17 and 18.
    let mut messages = block(700, 1, &[writer::logical(Some(700), 1, 6, "kept", b"x")]);
    messages.push(writer::stream_abort(700, 701, None));
    messages.push(stream_commit(700, 100));
    assert_eq!(
        feed(&mut assembler(), &messages),
        [(700, vec!["message kept".to_owned()])]
    );
}

#[test]
fn an_origin_stands_right_behind_the_beginning() {
    let mut assembler = assembler();
    feed(
        &mut assembler,
        &[writer::begin(100, 0, 700), writer::origin(55, "node")],
    );
    let Some(Assembled::Transaction(whole)) = assembler
        .receive(Lsn(7), &writer::commit(0, 100, 108, 0))
        .unwrap()
    else {
        panic!("no transaction");
    };
    assert_eq!(
        whole.body.origin,
        Some(Origin {
            commit_lsn: Lsn(55),
            name: "node".to_owned()
        })
    );
    let late = [
        writer::begin(200, 0, 701),
        relation(None),
        writer::origin(55, "node"),
    ];
    assert!(matches!(
        refuse(&mut assembler, &late),
        AssembleError::OutOfPlace { .. }
    ));
}

#[test]
fn truncate_names_every_table() {
    let messages = whole(
        700,
        100,
        &[
            relation(None),
            relation_named(None, OTHER, "u"),
            writer::truncate(None, 0, &[TABLE, OTHER]),
        ],
    );
    assert_eq!(
        feed(&mut assembler(), &messages),
        [(700, vec!["t+u".to_owned()])]
    );
}

#[test]
fn past_the_memory_bound_the_largest_goes_to_its_file() {
    let (usage, mut assembler) = assembler_with(100_000);
    let value = "x".repeat(1000);
    let mut small = block(800, 1, &[relation(Some(800)), insert(Some(800), "small")]);
    small.extend(block(700, 1, &[relation(Some(700))]));
    feed(&mut assembler, &small);
    for _ in 0..1000 {
        feed(&mut assembler, &block(700, 0, &[insert(Some(700), &value)]));
        assert!(usage.memory() < 500_000, "{}", usage.memory());
    }
    assert!(usage.disk() > 500_000);
    let out = feed(
        &mut assembler,
        &[stream_commit(800, 100), stream_commit(700, 200)],
    );
    assert_eq!(out[0], (800, vec!["t:small".to_owned()]));
    assert_eq!(out[1].1.len(), 1000);
    assert!(out[1].1.iter().all(|row| row.len() == 1002));
    assert_eq!((usage.memory(), usage.disk()), (0, 0));
}

#[test]
fn a_spool_that_cannot_be_written_is_an_error() {
    let folder = Path::new("/nonexistent/folder").to_owned();
    let mut assembler = Assembler::new(
        Decoder::new(),
        Delivery::default(),
        Arc::default(),
        folder,
        0,
    );
    let large = insert(None, &"x".repeat(100_000));
    let error = refuse(
        &mut assembler,
        &[writer::begin(100, 0, 700), relation(None), large],
    );
    assert!(matches!(error, AssembleError::Spool(_)), "{error:?}");
}

#[test]
fn rows_that_do_not_fit_their_relation_are_refused_with_both_readings() {
    let cases = [
        (writer::insert(None, 99, &[Value::text("1")]), "relation 99"),
        (
            writer::insert(None, TABLE, &[Value::text("1"), Value::Null]),
            "2 columns",
        ),
        (writer::delete(None, TABLE, b'K', &[]), "0 columns"),
        (writer::truncate(None, 0, &[TABLE, 99]), "relation 99"),
    ];
    for (message, expected) in cases {
        let mut assembler = assembler();
        let messages = whole(700, 100, &[relation(None), message]);
        let (commit, before) = messages.split_last().unwrap();
        feed(&mut assembler, before);
        let Some(Assembled::Transaction(whole)) = assembler.receive(Lsn(7), commit).unwrap() else {
            panic!()
        };
        let Whole { mut body, .. } = *whole;
        let mut changes = body.changes().unwrap();
        changes.next().unwrap();
        let error = changes.next().unwrap_err();
        assert!(error.to_string().contains(expected), "{error}");
    }
}
