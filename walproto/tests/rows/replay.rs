//! Walks through a capture as a client would that keeps the relations it was told.

use std::collections::HashMap;

use testdata::capture::{Capture, Golden, Streaming, captures};
use walproto::{Decoder, Frame, Message, Oid, Relation};

/// The captures of a scenario, of every server version, in text and in binary.
pub(crate) fn takes(scenario: &str) -> Vec<(Golden, Capture)> {
    let takes: Vec<_> = captures()
        .into_iter()
        .filter(|golden| golden.name.contains(&format!("/{scenario}_")))
        .map(|golden| {
            let capture = golden.capture();
            (golden, capture)
        })
        .collect();
    assert!(
        takes.len() >= 10,
        "{scenario}: only {} captures",
        takes.len()
    );
    takes
}

/// Hands over every message with the relation it belongs to.
pub(crate) fn replay<'a>(capture: &'a Capture, mut see: impl FnMut(&Relation<'a>, Message<'a>)) {
    let mut decoder = Decoder::new()
        .parallel(capture.header.streaming == Streaming::Parallel)
        .binary(capture.header.binary);
    let mut relations: HashMap<Oid, Relation<'a>> = HashMap::new();
    for frame in &capture.frames {
        let Frame::WalData(wal) = Frame::parse(frame).expect("captures are sound") else {
            continue;
        };
        let message = decoder
            .decode(wal.data)
            .expect("captures are sound")
            .message;
        let oid = match message {
            Message::Relation(relation) => {
                relations.insert(relation.oid, relation);
                continue;
            }
            Message::Insert(insert) => insert.relation,
            Message::Update(update) => update.relation,
            Message::Delete(delete) => delete.relation,
            _ => continue,
        };
        see(&relations[&oid], message);
    }
}

/// The inserts into a table.
pub(crate) fn inserts<'a, T: serde::Deserialize<'a>>(capture: &'a Capture, table: &str) -> Vec<T> {
    let mut rows = Vec::new();
    replay(capture, |relation, message| {
        if let Message::Insert(insert) = message
            && relation.name == table
        {
            rows.push(
                insert
                    .deserialize(relation)
                    .unwrap_or_else(|error| panic!("{}: {error}: {insert:?}", relation.name)),
            );
        }
    });
    rows
}
