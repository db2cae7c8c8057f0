//! Messages of every kind, as proptest makes them up.

use proptest::collection::vec;
use proptest::option;
use proptest::prelude::*;

use super::{Attribute, Cell, Prepared, Row, Written};

/// One strategy for each kind, in the order of `BCORYIUDTMSEcAbPKrp`.
pub(crate) fn kinds() -> Vec<BoxedStrategy<Written>> {
    let number = any::<u32>;
    let lsn = any::<u64>;
    let time = any::<i64>;
    vec![
        (position(), time(), number())
            .prop_map(|(lsn, time, xid)| Written::Begin(lsn, time, xid))
            .boxed(),
        (lsn(), lsn(), time())
            .prop_map(|(lsn, end, time)| Written::Commit(lsn, end, time))
            .boxed(),
        (lsn(), name())
            .prop_map(|(lsn, name)| Written::Origin(lsn, name))
            .boxed(),
        (
            number(),
            name(),
            name(),
            prop::sample::select(&b"dnfi"[..]),
            vec(attribute(), 0..6),
        )
            .prop_map(|(oid, namespace, name, identity, columns)| {
                Written::Relation(oid, namespace, name, identity, columns)
            })
            .boxed(),
        (number(), name(), name())
            .prop_map(|(oid, namespace, name)| Written::Type(oid, namespace, name))
            .boxed(),
        (number(), row())
            .prop_map(|(oid, new)| Written::Insert(oid, new))
            .boxed(),
        (number(), option::of((mark(), row())), row())
            .prop_map(|(oid, old, new)| Written::Update(oid, old, new))
            .boxed(),
        (number(), mark(), row())
            .prop_map(|(oid, mark, old)| Written::Delete(oid, mark, old))
            .boxed(),
        (0..4_u8, vec(number(), 0..5))
            .prop_map(|(flags, oids)| Written::Truncate(flags, oids))
            .boxed(),
        (0..2_u8, lsn(), name(), vec(any::<u8>(), 0..20))
            .prop_map(|(flags, lsn, prefix, content)| Written::Logical(flags, lsn, prefix, content))
            .boxed(),
        (number(), 0..2_u8)
            .prop_map(|(xid, first)| Written::StreamStart(xid, first))
            .boxed(),
        Just(Written::StreamStop).boxed(),
        (number(), lsn(), lsn(), time())
            .prop_map(|(xid, lsn, end, time)| Written::StreamCommit(xid, lsn, end, time))
            .boxed(),
        (number(), number(), option::of((lsn(), time())))
            .prop_map(|(xid, subxid, abort)| Written::StreamAbort(xid, subxid, abort))
            .boxed(),
        prepared().prop_map(Written::BeginPrepare).boxed(),
        prepared().prop_map(Written::Prepare).boxed(),
        prepared().prop_map(Written::CommitPrepared).boxed(),
        (position(), position(), time(), time(), number(), name())
            .prop_map(|(prepared, end, prepare_time, time, xid, gid)| {
                Written::RollbackPrepared(prepared, end, prepare_time, time, xid, gid)
            })
            .boxed(),
        prepared().prop_map(Written::StreamPrepare).boxed(),
    ]
}

/// A position that must not be 0/0.
fn position() -> impl Strategy<Value = u64> {
    1..=u64::MAX
}

/// Any characters but the zero byte that ends a name.
fn name() -> impl Strategy<Value = String> {
    "[^\0]{0,12}"
}

fn mark() -> impl Strategy<Value = u8> {
    prop::sample::select(&b"KO"[..])
}

fn attribute() -> impl Strategy<Value = Attribute> {
    (0..2_u8, name(), any::<u32>(), any::<i32>())
}

fn row() -> impl Strategy<Value = Row> {
    let data = || vec(any::<u8>(), 0..12);
    let cell = prop_oneof![
        Just(Cell::Null),
        Just(Cell::Unchanged),
        data().prop_map(Cell::Text),
        data().prop_map(Cell::Binary),
    ];
    vec(cell, 0..8)
}

fn prepared() -> impl Strategy<Value = Prepared> {
    (position(), position(), any::<i64>(), any::<u32>(), name())
}
