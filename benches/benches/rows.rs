//! How fast rows become structs: `cargo bench -p benches --features peers --bench rows`.
//!
//! Both crates fill the same structs, which borrow their text, and the structs must be equal. The contestants take
//! turns, CPU time is counted, and the least of many rounds stands for each, as in the bench `decode`.

use std::hint::black_box;

use benches::{Workload, cpu_time};
use pg_walstream::{LogicalReplicationMessage, LogicalReplicationParser, RowData};
use serde::Deserialize;
use walproto::{ColumnDef, Decoder, Message, Relation, Tables, Tuple};

#[derive(Debug, Deserialize, PartialEq)]
struct Narrow<'a> {
    id: i64,
    amount: i32,
    note: &'a str,
}

#[derive(Debug, Deserialize, PartialEq)]
struct Customer<'a> {
    id: i64,
    name: &'a str,
    mail: &'a str,
    city: Option<&'a str>,
    balance: &'a str,
    active: bool,
    changed: &'a str,
    note: Option<&'a str>,
}

#[derive(Debug, Deserialize, PartialEq)]
struct Wide<'a> {
    id: i64,
    c1: Option<i64>,
    c2: Option<bool>,
    c3: Option<&'a str>,
    c4: Option<&'a str>,
    c5: Option<&'a str>,
    c6: Option<&'a str>,
    c7: Option<&'a str>,
    c8: Option<i32>,
    c9: Option<i64>,
    c10: Option<bool>,
    c11: Option<&'a str>,
    c12: Option<&'a str>,
    c13: Option<&'a str>,
    c14: Option<&'a str>,
    c15: Option<&'a str>,
    c16: Option<i32>,
    c17: Option<i64>,
    c18: Option<bool>,
    c19: Option<&'a str>,
    c20: Option<&'a str>,
    c21: Option<&'a str>,
    c22: Option<&'a str>,
    c23: Option<&'a str>,
    c24: Option<i32>,
    c25: Option<i64>,
    c26: Option<bool>,
    c27: Option<&'a str>,
    c28: Option<&'a str>,
    c29: Option<&'a str>,
    c30: Option<&'a str>,
    c31: Option<&'a str>,
    c32: Option<i32>,
    c33: Option<i64>,
    c34: Option<bool>,
    c35: Option<&'a str>,
    c36: Option<&'a str>,
    c37: Option<&'a str>,
    c38: Option<&'a str>,
    c39: Option<&'a str>,
}

/// Binary columns as they come: pg_walstream reads nothing else from them.
#[derive(Debug, Deserialize, PartialEq)]
struct Raw<'a> {
    id: &'a [u8],
    sensor: &'a [u8],
    kind: &'a [u8],
    valid: &'a [u8],
    value: &'a [u8],
    error: &'a [u8],
    exact: Option<&'a [u8]>,
    day: &'a [u8],
    at: &'a [u8],
    device: &'a [u8],
    raw: &'a [u8],
    note: Option<&'a [u8]>,
}

/// Binary columns as what they mean.
#[derive(Debug, Deserialize)]
#[allow(dead_code, reason = "they are only filled")]
struct Reading<'a> {
    id: i64,
    sensor: i32,
    kind: i16,
    valid: bool,
    value: f64,
    error: f32,
    exact: Option<&'a [u8]>,
    day: &'a [u8],
    at: &'a [u8],
    device: walproto::value::Uuid,
    raw: &'a [u8],
    note: Option<&'a str>,
}

/// How often everyone gets a turn.
const ROUNDS: usize = 200;
/// How long one turn takes, in nanoseconds.
const TURN: u64 = 400_000;

/// What both crates know of a workload beforehand.
struct Prepared {
    /// The messages with rows, for either crate.
    messages: Vec<(&'static [u8], bytes::Bytes)>,
    decoder: Decoder,
    relation: Relation<'static>,
    /// As a user would keep them.
    columns: Vec<ColumnDef<'static>>,
    parser: LogicalReplicationParser,
    other_parser: LogicalReplicationParser,
    tables: Tables,
    info: pg_walstream::RelationInfo,
}

fn prepare(workload: &Workload) -> Prepared {
    let mut decoder = Decoder::new().binary(workload.binary());
    let mut parser = LogicalReplicationParser::with_protocol_version(1);
    let mut tables = Tables::new();
    let (mut messages, mut relation, mut info) = (Vec::new(), None, None);
    for (&message, shared) in workload.messages().iter().zip(workload.shared()) {
        let decoded = decoder.decode(message).expect("sound");
        match decoded.message {
            Message::Relation(found) => {
                tables.event(&decoded).expect("a relation is never wrong");
                relation = Some(found);
                let parsed = parser
                    .parse_wal_message_bytes(shared.clone())
                    .expect("sound");
                let LogicalReplicationMessage::Relation {
                    relation_id,
                    namespace,
                    relation_name,
                    replica_identity,
                    columns,
                } = parsed.message
                else {
                    unreachable!("walproto says so");
                };
                info = Some(pg_walstream::RelationInfo::new(
                    relation_id,
                    namespace,
                    relation_name,
                    replica_identity,
                    columns,
                ));
            }
            Message::Insert(_) | Message::Update(_) => messages.push((message, shared.clone())),
            _ => {}
        }
    }
    let relation = relation.expect("comes before the rows");
    Prepared {
        messages,
        decoder,
        relation,
        columns: relation.columns.collect(),
        parser,
        other_parser: LogicalReplicationParser::with_protocol_version(1),
        tables,
        info: info.expect("comes before the rows"),
    }
}

/// The new row.
fn ours(decoder: &mut Decoder, message: &'static [u8]) -> Tuple<'static> {
    match decoder.decode(message).expect("sound").message {
        Message::Insert(insert) => insert.new,
        Message::Update(update) => update.new,
        other => unreachable!("{other:?}"),
    }
}

/// The new row.
fn theirs(
    parser: &mut LogicalReplicationParser,
    message: bytes::Bytes,
    info: &pg_walstream::RelationInfo,
) -> RowData {
    let parsed = parser.parse_wal_message_bytes(message).expect("sound");
    match parsed.message {
        LogicalReplicationMessage::Insert { tuple, .. } => tuple.into_row_data(info),
        LogicalReplicationMessage::Update { new_tuple, .. } => new_tuple.into_row_data(info),
        other => unreachable!("{other:?}"),
    }
}

type Pass<'a> = (&'static str, Box<dyn FnMut() + 'a>);

/// Nanoseconds per row of each.
fn measure(rows: usize, passes: &mut [Pass<'_>]) -> Vec<f64> {
    let repeat: Vec<u32> = passes
        .iter_mut()
        .map(|(_, pass)| {
            let start = cpu_time();
            (0..10).for_each(|_| pass());
            u32::try_from(TURN * 10 / (cpu_time() - start).max(1)).map_or(1, |times| times.max(1))
        })
        .collect();
    let mut least = vec![f64::INFINITY; passes.len()];
    for round in 0..ROUNDS {
        for turn in 0..passes.len() {
            let at = (round + turn) % passes.len();
            let start = cpu_time();
            (0..repeat[at]).for_each(|_| (passes[at].1)());
            let each = (cpu_time() - start) as f64 / f64::from(repeat[at]);
            least[at] = least[at].min(each / rows as f64);
        }
    }
    least
}

fn print(title: &str, passes: &[Pass<'_>], least: &[f64]) {
    println!("\n{title}");
    for ((name, _), nanoseconds) in passes.iter().zip(least) {
        println!("  {name:<52} {nanoseconds:8.1} ns a row");
    }
}

/// `$row` is what pg_walstream and walproto fill alike, `$typed` what only walproto can.
macro_rules! contest {
    ($workload:expr, $row:ident, $typed:ident) => {{
        let Prepared {
            messages,
            decoder,
            relation,
            columns,
            mut parser,
            mut other_parser,
            mut tables,
            info,
        } = prepare($workload);
        let (messages, decoder, relation) = (&messages, &decoder, &relation);
        let (columns, info) = (&columns, &info);
        let tuples: Vec<_> = messages
            .iter()
            .map(|(message, _)| ours(&mut { *decoder }, message))
            .collect();
        let datas: Vec<_> = messages
            .iter()
            .map(|(_, shared)| theirs(&mut parser, shared.clone(), info))
            .collect();
        for (tuple, data) in tuples.iter().zip(&datas) {
            let row: $row<'_> = tuple.deserialize(relation).expect("fits");
            assert_eq!(row, data.deserialize_borrowed().expect("fits"));
            assert_eq!(
                row,
                tuple
                    .deserialize_columns(columns.iter().copied())
                    .expect("fits")
            );
        }
        let mut passes: Vec<Pass<'_>> = vec![
            (
                "message to struct, walproto, columns kept",
                Box::new(|| {
                    let mut decoder = *decoder;
                    for (message, _) in messages {
                        let tuple = ours(&mut decoder, message);
                        black_box(
                            tuple
                                .deserialize_columns::<$row<'_>, _>(columns.iter().copied())
                                .expect("fits"),
                        );
                    }
                }),
            ),
            (
                "message to struct, walproto, by the Relation",
                Box::new(|| {
                    let mut decoder = *decoder;
                    for (message, _) in messages {
                        let tuple = ours(&mut decoder, message);
                        black_box(tuple.deserialize::<$row<'_>>(relation).expect("fits"));
                    }
                }),
            ),
            (
                "message to typed struct, walproto, columns kept",
                Box::new(|| {
                    let mut decoder = *decoder;
                    for (message, _) in messages {
                        let tuple = ours(&mut decoder, message);
                        black_box(
                            tuple
                                .deserialize_columns::<$typed<'_>, _>(columns.iter().copied())
                                .expect("fits"),
                        );
                    }
                }),
            ),
            (
                "message to owned, named event, walproto",
                Box::new(|| {
                    let mut decoder = *decoder;
                    for (message, _) in messages {
                        let decoded = decoder.decode(message).expect("sound");
                        black_box(tables.event(&decoded).expect("known"));
                    }
                }),
            ),
            (
                "message to owned, named columns, pg_walstream",
                Box::new(|| {
                    for (_, shared) in messages {
                        black_box(theirs(&mut other_parser, shared.clone(), info));
                    }
                }),
            ),
            (
                "message to struct, pg_walstream",
                Box::new(|| {
                    for (_, shared) in messages {
                        let data = theirs(&mut parser, shared.clone(), info);
                        black_box(data.deserialize_borrowed::<$row<'_>>().expect("fits"));
                    }
                }),
            ),
            (
                "row to struct, walproto, columns kept",
                Box::new(|| {
                    for tuple in &tuples {
                        black_box(
                            tuple
                                .deserialize_columns::<$row<'_>, _>(columns.iter().copied())
                                .expect("fits"),
                        );
                    }
                }),
            ),
            (
                "row to struct, walproto, by the Relation",
                Box::new(|| {
                    for tuple in &tuples {
                        black_box(tuple.deserialize::<$row<'_>>(relation).expect("fits"));
                    }
                }),
            ),
            (
                "row to struct, pg_walstream",
                Box::new(|| {
                    for data in &datas {
                        black_box(data.deserialize_borrowed::<$row<'_>>().expect("fits"));
                    }
                }),
            ),
        ];
        let least = measure(messages.len(), &mut passes);
        print($workload.title(), &passes, &least);
    }};
}

fn main() {
    // Cargo says so to benches; `cargo test --all-targets` runs this too, and wants nothing measured.
    let (cargo, names): (Vec<_>, Vec<_>) = std::env::args()
        .skip(1)
        .partition(|argument| argument == "--bench");
    if cargo.is_empty() {
        return;
    }
    for workload in &Workload::all() {
        if !names.is_empty() && names.iter().all(|name| name != workload.name()) {
            continue;
        }
        match workload.name() {
            "narrow" => contest!(workload, Narrow, Narrow),
            "full" => contest!(workload, Customer, Customer),
            "wide" => contest!(workload, Wide, Wide),
            "binary" => contest!(workload, Raw, Reading),
            _ => {}
        }
    }
}
