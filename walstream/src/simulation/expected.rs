//! What has to be delivered, in order, and what may be.

use testdata::story::{Change, Item, Kind, Record, Row, Wal};
use testdata::walsender::Options;

use crate::delivery::PreparedDelivery;

/// Something that is due at a record.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Due {
    pub(super) record: usize,
    pub(super) what: What,
    /// It must come; otherwise there is nothing in it that is published, and it may.
    pub(super) needed: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum What {
    /// The whole transaction, or the commit of what came before.
    Commit(u32),
    Prepared(u32),
    CommitPrepared(u32),
    RollbackPrepared(u32),
    /// Not delivered: the position is held here until the transaction has ended.
    Hold(u32),
    Message,
}

/// Everything that is due from the beginning to the end.
pub(super) fn dues(wal: &Wal, options: &Options, delivery: PreparedDelivery) -> Vec<Due> {
    let mut dues = Vec::new();
    for (record, item) in wal.items() {
        let start = wal.records[record].start;
        let mut due = |what, needed| {
            dues.push(Due {
                record,
                what,
                needed,
            });
        };
        // The server's half of it: told in two phases, before, or not at all.
        let prepare = |transaction| {
            let (prepare, _) = wal.transactions[transaction].prepare.as_ref()?;
            let two_phase_at = options.two_phase_at?;
            Some(wal.records[*prepare].start < two_phase_at)
        };
        let at_prepare = delivery == PreparedDelivery::AtPrepare;
        match item {
            Item::Loose => due(What::Message, options.messages),
            Item::Commit(transaction) => match prepare(&transaction) {
                Some(late) if at_prepare => {
                    if late {
                        due(What::Prepared(transaction), true);
                    }
                    due(What::CommitPrepared(transaction), true);
                }
                _ => due(
                    What::Commit(transaction),
                    wal.surviving(transaction)
                        .any(|record| options.messages || !is_message(record)),
                ),
            },
            Item::Prepare(transaction) if options.two_phase_at.is_some_and(|at| start >= at) => {
                if at_prepare {
                    due(What::Prepared(transaction), true);
                } else {
                    due(What::Hold(transaction), false);
                }
            }
            Item::Rollback(transaction) if at_prepare => {
                if let Some(late) = prepare(&transaction) {
                    due(What::RollbackPrepared(transaction), !late);
                }
            }
            Item::Prepare(_) | Item::Rollback(_) => {}
        }
    }
    dues
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
