//! What has to be delivered, and what may be.

use testdata::story::{Change, Item, Kind, Record, Row, Wal};
use testdata::walsender::Options;

/// Whether the consumer must get this: it has something in it that is published.
pub(super) fn is_needed(wal: &Wal, options: &Options, record: usize, item: Item) -> bool {
    match item {
        Item::Commit(transaction) => wal
            .surviving(transaction)
            .any(|record| options.messages || !is_message(record)),
        Item::Loose => options.messages,
        Item::Prepare(_) | Item::Rollback(_) => {
            let _ = record;
            false
        }
    }
}

pub(super) fn is_message(record: &Record) -> bool {
    matches!(
        &record.kind,
        Kind::Change(Row {
            change: Change::Message,
            ..
        })
    )
}
