//! The other published parsers, each in its fastest form, as their documentation says.

use std::borrow::Cow;

use bytes::Bytes;
use elefant_client::replication::{PgOutputMessage, TupleColumn, parse_pgoutput_message};
use pg_walstream::{ColumnData, LogicalReplicationMessage, LogicalReplicationParser};
use pgsync_core::event::{ReplicaIdentity, Tuple, Value};
use pgsync_postgres::replication::pgoutput::{self, LogicalMessage};

use crate::{Sum, Workload};

/// Columns as bytes.
#[inline(never)]
pub fn pg_walstream(workload: &Workload) -> Sum {
    pg_walstream_with(workload, |sum, column| sum.bytes(column.as_bytes()))
}

/// Text columns as `&str`, checked.
#[inline(never)]
pub fn pg_walstream_text(workload: &Workload) -> Sum {
    pg_walstream_with(workload, |sum, column| {
        sum.bytes(column.as_str().expect("UTF-8").as_bytes());
    })
}

// From `Bytes`, as its own connection hands messages over; from a slice it would copy each first.
#[inline(always)]
fn pg_walstream_with(workload: &Workload, value: impl Fn(&mut Sum, &ColumnData)) -> Sum {
    use LogicalReplicationMessage as Message;

    let mut sum = Sum::default();
    let protocol = if workload.streamed() { 2 } else { 1 };
    let mut parser = LogicalReplicationParser::with_protocol_version(protocol);
    let row = |sum: &mut Sum, columns: &[ColumnData]| {
        sum.number(columns.len() as u64);
        for column in columns {
            match column.data_type {
                b'n' => sum.null(),
                b'u' => sum.unchanged(),
                _ => value(sum, column),
            }
        }
    };
    for bytes in workload.shared() {
        let parsed = parser
            .parse_wal_message_bytes(bytes.clone())
            .expect("captures are sound");
        sum.number(bytes[0]);
        // It repeats the transaction of the block for the messages that open it; the others do not.
        if let (Some(xid), b'R' | b'I' | b'U') = (parsed.xid, bytes[0]) {
            sum.number(xid);
        }
        match parsed.message {
            Message::Insert { relation_id, tuple } => {
                sum.number(relation_id);
                row(&mut sum, &tuple.columns);
            }
            Message::Update {
                relation_id,
                old_tuple,
                new_tuple,
                ..
            } => {
                sum.number(relation_id);
                if let Some(old) = old_tuple {
                    row(&mut sum, &old.columns);
                }
                row(&mut sum, &new_tuple.columns);
            }
            Message::Begin {
                final_lsn,
                timestamp,
                xid,
            } => {
                sum.number(final_lsn);
                sum.number(timestamp.cast_unsigned());
                sum.number(xid);
            }
            Message::Commit {
                flags,
                commit_lsn,
                end_lsn,
                timestamp,
            } => {
                sum.number(flags);
                sum.number(commit_lsn);
                sum.number(end_lsn);
                sum.number(timestamp.cast_unsigned());
            }
            Message::Relation {
                relation_id,
                namespace,
                relation_name,
                replica_identity,
                columns,
            } => {
                sum.number(relation_id);
                sum.bytes(namespace.as_bytes());
                sum.bytes(relation_name.as_bytes());
                sum.number(replica_identity);
                sum.number(columns.len() as u64);
                for column in columns {
                    sum.number(column.flags);
                    sum.bytes(column.name.as_bytes());
                    sum.number(column.type_id);
                    sum.number(column.type_modifier.cast_unsigned());
                }
            }
            Message::StreamStart { xid, first_segment } => {
                sum.number(xid);
                sum.number(u8::from(first_segment));
            }
            Message::StreamStop => {}
            Message::StreamCommit {
                xid,
                flags,
                commit_lsn,
                end_lsn,
                timestamp,
            } => {
                sum.number(xid);
                sum.number(flags);
                sum.number(commit_lsn);
                sum.number(end_lsn);
                sum.number(timestamp.cast_unsigned());
            }
            other => unreachable!("not in a workload: {other:?}"),
        }
    }
    sum
}

/// Text columns as `&str`: it has no other form of them.
#[inline(never)]
pub fn elefant_client(workload: &Workload) -> Sum {
    use PgOutputMessage as Message;

    let mut sum = Sum::default();
    let row = |sum: &mut Sum, columns: &[TupleColumn<'_>]| {
        sum.number(columns.len() as u64);
        for column in columns {
            match column {
                TupleColumn::Null => sum.null(),
                TupleColumn::Unchanged => sum.unchanged(),
                TupleColumn::Text(Cow::Borrowed(text)) => sum.bytes(text.as_bytes()),
                TupleColumn::Text(Cow::Owned(text)) => panic!("'{text}' was mended"),
                TupleColumn::Binary(value) => sum.bytes(value),
            }
        }
    };
    for message in workload.messages() {
        sum.number(message[0]);
        match parse_pgoutput_message(message).expect("captures are sound") {
            Message::Insert(m) => {
                sum.number(m.relation_id);
                row(&mut sum, &m.tuple.columns);
            }
            Message::Update(m) => {
                sum.number(m.relation_id);
                if let Some(old) = m.old_tuple {
                    row(&mut sum, &old.columns);
                }
                row(&mut sum, &m.new_tuple.columns);
            }
            Message::Begin(m) => {
                sum.number(m.final_lsn.0);
                sum.number(m.commit_timestamp.cast_unsigned());
                sum.number(m.xid);
            }
            Message::Commit(m) => {
                sum.number(m.flags);
                sum.number(m.commit_lsn.0);
                sum.number(m.end_lsn.0);
                sum.number(m.commit_timestamp.cast_unsigned());
            }
            Message::Relation(m) => {
                sum.number(m.relation_id);
                sum.bytes(m.namespace.as_bytes());
                sum.bytes(m.name.as_bytes());
                sum.number(m.replica_identity);
                sum.number(m.columns.len() as u64);
                for column in m.columns {
                    sum.number(column.flags);
                    sum.bytes(column.name.as_bytes());
                    sum.number(column.type_oid);
                    sum.number(column.type_modifier.cast_unsigned());
                }
            }
            other => unreachable!("not in a workload: {other:?}"),
        }
    }
    sum
}

/// Columns as bytes.
#[inline(never)]
pub fn pgsync_postgres(workload: &Workload) -> Sum {
    use LogicalMessage as Message;

    let mut sum = Sum::default();
    let row = |sum: &mut Sum, row: &Tuple| {
        sum.number(row.values.len() as u64);
        for value in &row.values {
            match value {
                Value::Null => sum.null(),
                Value::Unchanged => sum.unchanged(),
                Value::Text(value) | Value::Binary(value) => sum.bytes(value),
            }
        }
    };
    let decode = |bytes: &Bytes| pgoutput::decode_logical(bytes.clone());
    for bytes in workload.shared() {
        sum.number(bytes[0]);
        match decode(bytes).expect("captures are sound") {
            Message::Insert { relation, new } => {
                sum.number(relation);
                row(&mut sum, &new);
            }
            Message::Update {
                relation,
                key,
                old,
                new,
            } => {
                sum.number(relation);
                if let Some(old) = key.or(old) {
                    row(&mut sum, &old);
                }
                row(&mut sum, &new);
            }
            Message::Begin {
                final_lsn,
                commit_ts,
                xid,
            } => {
                sum.number(final_lsn.0);
                sum.number(commit_ts.cast_unsigned());
                sum.number(xid);
            }
            Message::Commit {
                flags,
                commit_lsn,
                end_lsn,
                commit_ts,
            } => {
                sum.number(flags);
                sum.number(commit_lsn.0);
                sum.number(end_lsn.0);
                sum.number(commit_ts.cast_unsigned());
            }
            Message::Relation(m) => {
                sum.number(m.id);
                sum.bytes(m.schema.as_bytes());
                sum.bytes(m.name.as_bytes());
                sum.number(match m.replica_identity {
                    ReplicaIdentity::Default => b'd',
                    ReplicaIdentity::Nothing => b'n',
                    ReplicaIdentity::Full => b'f',
                    ReplicaIdentity::Index => b'i',
                });
                sum.number(m.columns.len() as u64);
                for column in m.columns {
                    sum.number(u8::from(column.is_key));
                    sum.bytes(column.name.as_bytes());
                    sum.number(column.type_oid);
                    sum.number(column.type_modifier.cast_unsigned());
                }
            }
            other => unreachable!("not in a workload: {other:?}"),
        }
    }
    sum
}
