//! Change events say what the messages said, after a journey too.

use std::collections::BTreeSet;
use std::thread;

use serde::Deserialize;
use serde_json::{Value, json};
use testdata::capture::{Capture, Golden, Streaming, captures};
use walproto::{
    Change, ChangeEvent, Column, Decoder, Message, OldRow, OwnedOldRow, TableError, Tables,
};

fn assert_sendable<T: Send + Sync + 'static>() {}

fn decoder(capture: &Capture) -> Decoder {
    Decoder::new()
        .parallel(capture.header.streaming == Streaming::Parallel)
        .binary(capture.header.binary)
}

/// The events of a capture, each beside the message that it was made of.
fn events(capture: &Capture) -> Vec<(Message<'_>, ChangeEvent)> {
    let (mut decoder, mut tables) = (decoder(capture), Tables::new());
    let mut events = Vec::new();
    for bytes in capture.messages() {
        let decoded = decoder.decode(bytes).unwrap();
        if let Some(event) = tables.event(&decoded).unwrap() {
            assert_eq!(event.xid, decoded.xid);
            events.push((decoded.message, event));
        }
    }
    events
}

fn named(name: &str) -> Vec<(Golden, Capture)> {
    let all = captures()
        .into_iter()
        .filter(|golden| golden.name.contains(name));
    let all: Vec<_> = all
        .map(|golden| (golden.capture(), golden))
        .map(|(c, g)| (g, c))
        .collect();
    assert!(!all.is_empty());
    all
}

#[test]
fn every_captured_change_becomes_an_event_that_holds_the_same() {
    assert_sendable::<ChangeEvent>();
    let mut kinds = BTreeSet::new();
    for (golden, capture) in named("") {
        for (message, event) in events(&capture) {
            match (message, &event.change) {
                (Message::Insert(insert), Change::Insert { table, new }) => {
                    assert_eq!((insert.relation, insert.new), (table.oid, new.tuple()));
                    kinds.insert("insert");
                }
                (Message::Update(update), Change::Update { table, old, new }) => {
                    assert_eq!((update.relation, update.new), (table.oid, new.tuple()));
                    assert_eq!(update.old, old.as_ref().map(OwnedOldRow::row));
                    kinds.insert("update");
                }
                (Message::Delete(delete), Change::Delete { table, old }) => {
                    assert_eq!((delete.relation, delete.old), (table.oid, old.row()));
                    kinds.insert("delete");
                }
                (
                    Message::Truncate(truncate),
                    Change::Truncate {
                        tables,
                        cascade,
                        restart_identity,
                    },
                ) => {
                    assert!(truncate.relations.eq(tables.iter().map(|table| table.oid)));
                    assert_eq!(
                        (truncate.cascade, truncate.restart_identity),
                        (*cascade, *restart_identity)
                    );
                    kinds.insert("truncate");
                }
                (
                    Message::Logical(logical),
                    Change::Message {
                        transactional,
                        lsn,
                        prefix,
                        content,
                    },
                ) => {
                    assert_eq!((logical.transactional, logical.lsn), (*transactional, *lsn));
                    assert_eq!((logical.prefix, logical.content), (&**prefix, &**content));
                    kinds.insert("message");
                }
                other => panic!("{}: {other:?}", golden.name),
            }
        }
    }
    assert_eq!(kinds.len(), 5, "{kinds:?}");
}

#[test]
fn a_format_without_names_gives_back_every_captured_event() {
    for (golden, capture) in named("") {
        for (_, event) in events(&capture) {
            let bytes = postcard::to_allocvec(&event).unwrap();
            let back: ChangeEvent = postcard::from_bytes(&bytes).unwrap();
            assert_eq!(back, event, "{}", golden.name);
        }
    }
}

#[test]
fn json_gives_back_every_captured_event() {
    let mut count = 0;
    for (golden, capture) in named("") {
        for (_, event) in events(&capture) {
            let text = serde_json::to_string(&event).unwrap();
            // On another thread, which has nothing of the capture.
            let back = thread::spawn(move || serde_json::from_str::<ChangeEvent>(&text));
            assert_eq!(back.join().unwrap().unwrap(), event, "{}", golden.name);
            count += 1;
        }
    }
    assert!(count > 500, "only {count}");
}

#[test]
fn the_json_has_the_documented_shape() {
    let mut seen = BTreeSet::new();
    for (golden, capture) in named("/keys_v1_text") {
        for (message, event) in events(&capture) {
            let json = serde_json::to_value(&event).unwrap();
            if json["table"]["name"] != "keyed" {
                continue;
            }
            assert_eq!(json["table"]["schema"], "public");
            assert_eq!(json["table"]["identity"], "default");
            let id = json!({"name": "id", "type_oid": 23, "typmod": -1, "key": true});
            assert_eq!(json["table"]["columns"][0], id);
            match message {
                Message::Insert(_) if json["new"]["id"] == "3" => {
                    assert_eq!(json["kind"], "insert");
                    assert_eq!(json["new"], json!({"id": "3", "note": null, "big": null}));
                    assert_eq!(keys(&json), ["kind", "new", "table"], "{}", golden.name);
                    seen.insert("null");
                }
                Message::Update(update) if update.old.is_some() => {
                    assert_eq!(json["kind"], "update");
                    assert_eq!(keys(&json), ["key", "kind", "new", "table"]);
                    assert_eq!(keys(&json["key"]), ["id"], "the rest was not sent");
                    seen.insert("not sent");
                }
                Message::Update(_) if json["new"]["note"] == "uno" => {
                    let unchanged = json!({"unchanged": true});
                    assert_eq!(
                        json["new"],
                        json!({"id": "1", "note": "uno", "big": unchanged})
                    );
                    seen.insert("unchanged");
                }
                Message::Delete(_) => {
                    assert_eq!(json["key"], json!({"id": "3"}));
                    assert_eq!(keys(&json), ["key", "kind", "table"]);
                    seen.insert("delete");
                }
                _ => {}
            }
        }
    }
    for (_, capture) in named("/types_v1_binary") {
        for (_, event) in events(&capture) {
            let json = serde_json::to_value(&event).unwrap();
            if json["table"]["name"] == "texts" && json["new"]["id"]["binary"] == "00000001" {
                assert_eq!(json["new"]["b"], json!({"binary": "00ff10"}));
                seen.insert("binary");
            }
        }
    }
    assert_eq!(seen.len(), 5, "{seen:?}");
}

fn keys(json: &Value) -> Vec<&str> {
    let mut keys: Vec<_> = json
        .as_object()
        .unwrap()
        .keys()
        .map(String::as_str)
        .collect();
    keys.sort_unstable();
    keys
}

#[test]
fn text_that_is_not_utf8_is_kept_byte_by_byte() {
    let mut tables = Tables::new();
    let mut decoder = Decoder::new();
    let mut event = |bytes: &[u8]| tables.event(&decoder.decode(bytes).unwrap());
    event(b"R\0\0\x40\x01public\0odd\0d\0\x01\0t\0\0\0\0\x19\xff\xff\xff\xff").unwrap();
    let event = event(b"I\0\0\x40\x01N\0\x01t\0\0\0\x02\xffA")
        .unwrap()
        .unwrap();
    let json = serde_json::to_value(&event).unwrap();
    assert_eq!(json["new"], json!({"t": {"not_utf8": "ff41"}}));
    assert_eq!(serde_json::from_value::<ChangeEvent>(json).unwrap(), event);
}

#[test]
fn json_that_does_not_fit_its_table_is_refused() {
    let table = json!({
        "oid": 1, "schema": "public", "name": "t", "identity": "default",
        "columns": [{"name": "a", "type_oid": 23, "typmod": -1, "key": true}]
    });
    for (event, reason) in [
        (
            json!({"kind": "insert", "table": table, "new": {}}),
            "no value for column \"a\"",
        ),
        (
            json!({"kind": "insert", "table": table, "new": {"a": "1", "b": "2"}}),
            "no column \"b\"",
        ),
        (
            json!({"kind": "insert", "table": table}),
            "missing field `new`",
        ),
        (
            json!({"kind": "insert", "new": {"a": "1"}}),
            "missing field `table`",
        ),
        (
            json!({"kind": "insert", "table": table, "new": {"a": 1}}),
            "invalid type: integer",
        ),
        (
            json!({"kind": "insert", "table": table, "new": {"a": {"binary": "0"}}}),
            "hexadecimal",
        ),
        (
            json!({"kind": "insert", "table": table, "new": {"a": {"unchanged": false}}}),
            "false",
        ),
        (
            json!({"kind": "delete", "table": table}),
            "missing field `key`",
        ),
        (
            json!({"kind": "delete", "table": table, "key": {"a": "1"}, "old": {"a": "1"}}),
            "both `key` and `old`",
        ),
        (
            json!({"kind": "upsert", "table": table, "new": {"a": "1"}}),
            "unknown variant",
        ),
    ] {
        let error = serde_json::from_value::<ChangeEvent>(event.clone()).unwrap_err();
        assert!(error.to_string().contains(reason), "{event}: {error}");
    }
}

#[test]
fn rows_are_read_by_name_and_into_structs() {
    #[derive(Debug, Deserialize)]
    struct Keyed<'a> {
        id: i32,
        note: Option<&'a str>,
    }
    let mut seen = 0;
    for (_, capture) in named("/keys_v1_text") {
        for (_, event) in events(&capture) {
            if event.table().is_none_or(|table| &*table.name != "keyed") {
                continue;
            }
            if let Some(new) = event.new_row() {
                let row: Keyed<'_> = new.deserialize().unwrap();
                let Some(Column::Text(id)) = new.get("id") else {
                    panic!("{new:?}")
                };
                assert_eq!(id, row.id.to_string().as_bytes());
                assert_eq!(
                    new.get("note").unwrap().as_bytes(),
                    row.note.map(str::as_bytes)
                );
                assert_eq!(new.get("nothing"), None);
                seen += 1;
            }
            if let Some(old) = event.old_row() {
                assert!(
                    old.get("id").is_some() && old.get("note").is_none(),
                    "{old:?}"
                );
                assert_eq!(
                    old.columns().filter(|(_, column)| column.is_none()).count(),
                    2
                );
            }
        }
    }
    assert!(seen > 10);
}

#[test]
fn names_are_shared_and_rows_are_not() {
    let (_, capture) = named("pg18/keys_v1_text").remove(0);
    let events = events(&capture);
    let tables: Vec<_> = events
        .iter()
        .filter_map(|(_, event)| event.table())
        .collect();
    let same = tables.windows(2).filter(|pair| pair[0].oid == pair[1].oid);
    assert!(same.clone().count() > 5);
    for pair in same {
        assert!(std::sync::Arc::ptr_eq(pair[0], pair[1]));
    }
    let old = events
        .iter()
        .find_map(|(message, event)| match (message, &event.change) {
            (Message::Delete(delete), Change::Delete { old, .. }) => Some((delete.old, old)),
            _ => None,
        });
    let (lent, owned) = old.unwrap();
    let (OldRow::Key(lent), OldRow::Key(owned)) = (lent, owned.row()) else {
        panic!()
    };
    let bytes =
        |row: walproto::Tuple<'_>| row.columns().find_map(Column::as_bytes).unwrap().as_ptr();
    assert_ne!(bytes(lent), bytes(owned));
}

#[test]
fn a_change_without_its_relation_is_an_error() {
    let mut tables = Tables::new();
    let mut decoder = Decoder::new();
    let mut event = |bytes: &[u8]| tables.event(&decoder.decode(bytes).unwrap());
    let error = event(b"I\0\0\x40\x01N\0\x01n").unwrap_err();
    assert_eq!(error, TableError::Unknown(walproto::Oid(0x4001)));
    event(b"R\0\0\x40\x01public\0odd\0d\0\x01\0t\0\0\0\0\x19\xff\xff\xff\xff").unwrap();
    let error = event(b"I\0\0\x40\x01N\0\x02nn").unwrap_err();
    assert_eq!(
        error.to_string(),
        "2 columns in a row of table 16385, 1 in its relation"
    );
}

#[test]
fn a_relation_with_the_same_name_twice_is_an_error() {
    let mut tables = Tables::new();
    let relation = b"R\0\0\x40\x01public\0odd\0d\0\x02\0t\0\0\0\0\x19\xff\xff\xff\xff\0t\0\0\0\0\x19\xff\xff\xff\xff";
    let decoded = Decoder::new().decode(relation).unwrap();
    let error = TableError::SameName(walproto::Oid(0x4001));
    assert_eq!(tables.event(&decoded), Err(error));
    assert!(tables.get(walproto::Oid(0x4001)).is_none());
}
