//! NULL, unchanged and not sent are three things, in new rows and in old ones.

use serde::Deserialize;
use walproto::{Message, OldRow, RowErrorKind, Sent};

use super::replay::{replay, takes};

/// Of table `keyed`, where every column may be missing from the message.
#[derive(Debug, Deserialize, PartialEq)]
struct Keyed<'a> {
    id: Sent<i32>,
    #[serde(borrow)]
    note: Sent<Option<&'a str>>,
    #[serde(borrow)]
    big: Sent<Option<&'a str>>,
}

/// The same for who counts on every value.
#[derive(Debug, Deserialize)]
struct Whole<'a> {
    id: i32,
    note: Option<&'a str>,
    big: Option<&'a str>,
}

#[test]
fn what_was_not_sent_is_told_apart_from_null() {
    for (golden, capture) in takes("keys") {
        let (mut unchanged, mut keys) = (0, 0);
        replay(&capture, |relation, message| match message {
            Message::Update(update) if relation.name == "keyed" => {
                let new: Keyed<'_> = update.deserialize(relation).unwrap();
                assert!(new.id.is_sent() && new.note.is_sent(), "{new:?}");
                if new.big == Sent::Unchanged {
                    unchanged += 1;
                    let error = update.deserialize::<Whole<'_>>(relation).unwrap_err();
                    assert_eq!(error.kind(), RowErrorKind::Unchanged);
                    assert_eq!(error.column(), Some("big"));
                    assert_eq!(error.asked(), "&str");
                } else {
                    let whole: Whole<'_> = update.deserialize(relation).unwrap();
                    assert_eq!(Sent::Value(whole.big), new.big);
                    assert_eq!(Sent::Value(whole.note), new.note);
                    assert_eq!(Sent::Value(whole.id), new.id);
                }
                if let Some(old) = update.old {
                    assert!(matches!(old, OldRow::Key(_)));
                    let old: Keyed<'_> = old.deserialize(relation).unwrap();
                    assert!(old.id.is_sent() && old.id != new.id, "{old:?}");
                    assert_eq!((old.note, old.big), (Sent::NotSent, Sent::NotSent));
                    keys += 1;
                }
            }
            Message::Delete(delete) if relation.name == "keyed" => {
                let old: Keyed<'_> = delete.deserialize(relation).unwrap();
                assert_eq!(old.id, Sent::Value(3));
                assert_eq!(old.note, Sent::NotSent);
                let error = delete.deserialize::<Whole<'_>>(relation).unwrap_err();
                assert_eq!(
                    (error.kind(), error.column()),
                    (RowErrorKind::NotSent, Some("note"))
                );
                keys += 1;
            }
            _ => {}
        });
        assert!(unchanged >= 2 && keys >= 4, "{}", golden.name);
    }
}

#[derive(Debug, Deserialize)]
struct Full<'a> {
    a: Option<i32>,
    big: Option<&'a str>,
}

#[test]
fn an_unchanged_value_is_taken_from_the_old_row() {
    for (golden, capture) in takes("keys") {
        let mut taken = 0;
        replay(&capture, |relation, message| {
            if let Message::Update(update) = message
                && relation.name == "whole"
            {
                let row: Full<'_> = update.deserialize(relation).unwrap();
                if row.a == Some(2) {
                    assert_eq!(row.big.map(str::len), Some(2100));
                    // Which the new row alone does not hold.
                    let error = update.new.deserialize::<Full<'_>>(relation).unwrap_err();
                    assert_eq!(error.kind(), RowErrorKind::Unchanged);
                    taken += 1;
                }
            }
        });
        assert_eq!(taken, 1, "{}", golden.name);
    }
}

#[test]
fn a_key_that_did_not_change_is_taken_from_the_old_row() {
    #[derive(Debug, Deserialize)]
    struct LongKey<'a> {
        k: &'a str,
        n: i32,
    }
    for (golden, capture) in takes("keys") {
        let mut updates = Vec::new();
        replay(&capture, |relation, message| {
            if let Message::Update(update) = message
                && relation.name == "long_key"
            {
                let row: LongKey<'_> = update.deserialize(relation).unwrap();
                updates.push((row.k.len(), row.n));
            }
        });
        assert_eq!(updates, [(2200, 3), (2200, 3), (5, 4)], "{}", golden.name);
    }
}
