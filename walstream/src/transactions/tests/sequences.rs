//! Which message may stand where.

use super::*;

/// What each message is in each state: taken, or what the error says.
///
/// `blocks` is between the blocks of streamed transaction 700. `inside` and `outside` name the place; `block` is the
/// decoder's word, which knows by itself that no other message can be there; `never` says that its beginning is missing.
const TABLE_OF_STATES: &str = "
                    idle     blocks   transaction  prepare  in block
begin               ok       ok       inside       inside   block
commit              outside  outside  ok           inside   block
origin              outside  outside  ok           ok       ok
relation            ok       ok       ok           ok       ok
type                ok       ok       ok           ok       ok
insert              outside  outside  ok           ok       ok
update              outside  outside  ok           ok       ok
delete              outside  outside  ok           ok       ok
truncate            outside  outside  ok           ok       ok
message-in          outside  outside  ok           ok       ok
message-alone       ok       ok       ok           ok       ok
stream-start-first  ok       ok       inside       inside   block
stream-start-next   never    ok       inside       inside   block
stream-stop         block    block    block        block    ok
stream-commit       never    ok       inside       inside   block
stream-abort        ok       ok       inside       inside   block
begin-prepare       ok       ok       inside       inside   block
prepare             outside  outside  inside       ok       block
commit-prepared     ok       ok       inside       inside   block
rollback-prepared   ok       ok       inside       inside   block
stream-prepare      never    ok       inside       inside   block
";

fn before(state: &str) -> Vec<Vec<u8>> {
    match state {
        "idle" => Vec::new(),
        "blocks" => block(700, 1, &[]),
        "transaction" => vec![writer::begin(100, 0, 700)],
        "prepare" => vec![writer::begin_prepare(100, 108, 0, 700, "g")],
        "in block" => vec![writer::stream_start(700, 1)],
        other => panic!("{other}"),
    }
}

fn message(name: &str, xid: Option<u32>) -> Vec<u8> {
    let one = [Value::text("1")];
    match name {
        "begin" => writer::begin(100, 0, 701),
        "commit" => writer::commit(0, 100, 108, 0),
        "origin" => writer::origin(5, "node"),
        "relation" => relation(xid),
        "type" => writer::r#type(xid, 99, "public", "mood"),
        "insert" => insert(xid, "1"),
        "update" => writer::update(xid, TABLE, None, &one),
        "delete" => writer::delete(xid, TABLE, b'K', &one),
        "truncate" => writer::truncate(xid, 0, &[TABLE]),
        "message-in" => writer::logical(xid, 1, 5, "p", b"x"),
        "message-alone" => writer::logical(xid, 0, 5, "p", b"x"),
        "stream-start-first" => writer::stream_start(700, 1),
        "stream-start-next" => writer::stream_start(700, 0),
        "stream-stop" => writer::stream_stop(),
        "stream-commit" => stream_commit(700, 100),
        "stream-abort" => writer::stream_abort(700, 700, None),
        "begin-prepare" => writer::begin_prepare(100, 108, 0, 701, "g"),
        "prepare" => writer::prepare(0, 100, 108, 0, 700, "g"),
        "commit-prepared" => writer::commit_prepared(0, 100, 108, 0, 700, "g"),
        "rollback-prepared" => writer::rollback_prepared(0, 50, 108, 0, 0, 700, "g"),
        "stream-prepare" => writer::stream_prepare(0, 100, 108, 0, 700, "g"),
        other => panic!("{other}"),
    }
}

#[test]
fn each_message_in_each_state_is_taken_or_refused_by_name() {
    let states = ["idle", "blocks", "transaction", "prepare", "in block"];
    let rows: Vec<&str> = TABLE_OF_STATES.trim().lines().skip(1).collect();
    assert_eq!(rows.len(), 21, "every kind of message");
    for row in rows {
        let mut cells = row.split_whitespace();
        let name = cells.next().unwrap();
        for state in states {
            let expected = cells.next().unwrap();
            let mut assembler = assembler();
            for message in before(state) {
                assert!(assembler.receive(Lsn(7), &message).unwrap().is_none());
            }
            let xid = (state == "in block").then_some(700);
            let found = match assembler.receive(Lsn(7), &message(name, xid)) {
                Ok(_) => "ok",
                Err(AssembleError::Decode(_)) => "block",
                Err(AssembleError::OutOfPlace { place, .. }) if place.starts_with("inside") => {
                    assert!(place.contains("700"), "{place}");
                    "inside"
                }
                Err(AssembleError::OutOfPlace { place, .. }) if place.starts_with("outside") => {
                    "outside"
                }
                Err(AssembleError::Contradiction(text))
                    if text.contains("never came") || text.contains("no block of it came") =>
                {
                    "never"
                }
                Err(error) => panic!("{name} in {state}: {error}"),
            };
            assert_eq!(found, expected, "{name} in {state}");
        }
    }
}

#[test]
fn contradictions_name_both_readings() {
    let cases: Vec<(Vec<Vec<u8>>, [&str; 2])> = vec![
        (
            vec![writer::begin(100, 0, 700), writer::commit(0, 101, 108, 0)],
            ["0/64", "0/65"],
        ),
        (
            [whole(700, 100, &[]), whole(701, 90, &[])].concat(),
            ["0/62", "0/6C"],
        ),
        (
            vec![
                writer::begin_prepare(100, 108, 0, 700, "g"),
                writer::prepare(0, 100, 108, 0, 700, "other"),
            ],
            ["\"g\"", "\"other\""],
        ),
        (
            vec![
                writer::begin_prepare(100, 108, 0, 700, "g"),
                writer::prepare(0, 100, 109, 0, 700, "g"),
            ],
            ["0/6C", "0/6D"],
        ),
        (
            vec![
                writer::begin_prepare(100, 108, 0, 700, "g"),
                writer::prepare(0, 100, 108, 0, 701, "g"),
            ],
            ["700", "701"],
        ),
        (
            vec![
                writer::begin_prepare(100, 100, 0, 700, "g"),
                writer::prepare(0, 100, 100, 0, 700, "g"),
            ],
            ["prepared at 0/64", "ended at 0/64"],
        ),
        (
            vec![
                writer::begin(100, 0, 700),
                writer::commit(0, 100, 108, 0),
                writer::rollback_prepared(0, 50, 107, 0, 0, 701, "g"),
            ],
            ["0/6B", "0/6C"],
        ),
        (
            vec![
                writer::begin(100, 0, 700),
                relation(None),
                writer::origin(5, "node"),
            ],
            ["an origin", "transaction 700"],
        ),
        (
            {
                let column = writer::Column {
                    flags: 0,
                    name: "id",
                    type_oid: 23,
                    typmod: -1,
                };
                vec![
                    writer::begin(100, 0, 700),
                    writer::relation(None, 1, "s", "t", b'd', &[column, column]),
                ]
            },
            ["s.t", "\"id\""],
        ),
    ];
    for (messages, readings) in cases {
        let error = refuse(&mut assembler(), &messages).to_string();
        for reading in readings {
            assert!(error.contains(reading), "{error:?} lacks {reading}");
        }
    }
}

#[test]
fn a_relation_between_transactions_counts_for_those_behind_it() {
    let mut messages = vec![relation_named(None, TABLE, "early")];
    messages.extend(whole(700, 100, &[insert(None, "1")]));
    assert_eq!(
        feed(&mut assembler(), &messages),
        [(700, vec!["early:1".to_owned()])]
    );
}
