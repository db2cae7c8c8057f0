//! A message in owned form: made up by proptest, written by `testdata`, and read back from what walproto says.

mod arbitrary;

pub(crate) use arbitrary::kinds;
use testdata::writer::{self, Value};
use walproto::{Column, Message, OldRow, ReplicaIdentity, Tuple};

/// A message; the fields stand in the order of the wire.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Written {
    Begin(u64, i64, u32),
    Commit(u64, u64, i64),
    Origin(u64, String),
    Relation(u32, String, String, u8, Vec<Attribute>),
    Type(u32, String, String),
    Insert(u32, Row),
    Update(u32, Option<(u8, Row)>, Row),
    Delete(u32, u8, Row),
    Truncate(u8, Vec<u32>),
    Logical(u8, u64, String, Vec<u8>),
    StreamStart(u32, u8),
    StreamStop,
    StreamCommit(u32, u64, u64, i64),
    StreamAbort(u32, u32, Option<(u64, i64)>),
    BeginPrepare(Prepared),
    Prepare(Prepared),
    CommitPrepared(Prepared),
    RollbackPrepared(u64, u64, i64, i64, u32, String),
    StreamPrepare(Prepared),
}

/// Position, end, time, transaction and global identifier.
pub(crate) type Prepared = (u64, u64, i64, u32, String);

/// Flags, name, type and type modifier of a relation's column.
pub(crate) type Attribute = (u8, String, u32, i32);

/// A row.
pub(crate) type Row = Vec<Cell>;

/// A column of a row.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Cell {
    Null,
    Unchanged,
    Text(Vec<u8>),
    Binary(Vec<u8>),
}

/// Where a kind of message may stand.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Place {
    Inside,
    Outside,
    Both,
}

impl Written {
    pub(crate) fn place(&self) -> Place {
        match self {
            Self::StreamStop => Place::Inside,
            Self::Origin(..) => Place::Both,
            _ if self.carries_xid() => Place::Both,
            _ => Place::Outside,
        }
    }

    /// Whether it begins with a transaction inside a stream block.
    pub(crate) fn carries_xid(&self) -> bool {
        matches!(
            self,
            Self::Relation(..)
                | Self::Type(..)
                | Self::Insert(..)
                | Self::Update(..)
                | Self::Delete(..)
                | Self::Truncate(..)
                | Self::Logical(..)
        )
    }

    /// Whether the decoder has to expect `streaming=parallel`.
    pub(crate) fn is_parallel(&self) -> bool {
        matches!(self, Self::StreamAbort(_, _, Some(_)))
    }

    /// Whether the decoder has to expect binary columns.
    pub(crate) fn has_binary(&self) -> bool {
        let rows = match self {
            Self::Insert(_, row) | Self::Delete(_, _, row) | Self::Update(_, None, row) => {
                [Some(row), None]
            }
            Self::Update(_, Some((_, old)), new) => [Some(old), Some(new)],
            _ => return false,
        };
        rows.into_iter()
            .flatten()
            .flatten()
            .any(|cell| matches!(cell, Cell::Binary(_)))
    }

    /// The message on the wire; `noise` sets bits without a meaning in the flags that may have them.
    pub(crate) fn bytes(&self, xid: Option<u32>, noise: u8) -> Vec<u8> {
        match self {
            Self::Begin(lsn, time, xid) => writer::begin(*lsn, *time, *xid),
            Self::Commit(lsn, end, time) => writer::commit(0, *lsn, *end, *time),
            Self::Origin(lsn, name) => writer::origin(*lsn, name),
            Self::Relation(oid, namespace, name, identity, columns) => {
                let columns: Vec<_> = columns
                    .iter()
                    .map(|(flags, name, type_oid, typmod)| writer::Column {
                        flags: flags | noise & !1,
                        name,
                        type_oid: *type_oid,
                        typmod: *typmod,
                    })
                    .collect();
                writer::relation(xid, *oid, namespace, name, *identity, &columns)
            }
            Self::Type(oid, namespace, name) => writer::r#type(xid, *oid, namespace, name),
            Self::Insert(oid, new) => writer::insert(xid, *oid, &values(new)),
            Self::Update(oid, None, new) => writer::update(xid, *oid, None, &values(new)),
            Self::Update(oid, Some((mark, old)), new) => {
                writer::update(xid, *oid, Some((*mark, &values(old))), &values(new))
            }
            Self::Delete(oid, mark, old) => writer::delete(xid, *oid, *mark, &values(old)),
            Self::Truncate(flags, oids) => writer::truncate(xid, flags | noise & !3, oids),
            Self::Logical(flags, lsn, prefix, content) => {
                writer::logical(xid, flags | noise & !1, *lsn, prefix, content)
            }
            Self::StreamStart(xid, first) => writer::stream_start(*xid, *first),
            Self::StreamStop => writer::stream_stop(),
            Self::StreamCommit(xid, lsn, end, time) => {
                writer::stream_commit(*xid, 0, *lsn, *end, *time)
            }
            Self::StreamAbort(xid, subxid, abort) => writer::stream_abort(*xid, *subxid, *abort),
            Self::BeginPrepare((lsn, end, time, xid, gid)) => {
                writer::begin_prepare(*lsn, *end, *time, *xid, gid)
            }
            Self::Prepare((lsn, end, time, xid, gid)) => {
                writer::prepare(0, *lsn, *end, *time, *xid, gid)
            }
            Self::CommitPrepared((lsn, end, time, xid, gid)) => {
                writer::commit_prepared(0, *lsn, *end, *time, *xid, gid)
            }
            Self::RollbackPrepared(prepared, end, prepare_time, time, xid, gid) => {
                writer::rollback_prepared(0, *prepared, *end, *prepare_time, *time, *xid, gid)
            }
            Self::StreamPrepare((lsn, end, time, xid, gid)) => {
                writer::stream_prepare(0, *lsn, *end, *time, *xid, gid)
            }
        }
    }

    /// What walproto read.
    pub(crate) fn read(message: &Message<'_>) -> Self {
        match *message {
            Message::Begin(m) => Self::Begin(m.final_lsn.0, m.commit_time.0, m.xid.0),
            Message::Commit(m) => Self::Commit(m.commit_lsn.0, m.end_lsn.0, m.commit_time.0),
            Message::Origin(m) => Self::Origin(m.commit_lsn.0, m.name.into()),
            Message::Relation(m) => Self::Relation(
                m.oid.0,
                m.namespace.into(),
                m.name.into(),
                match m.identity {
                    ReplicaIdentity::Default => b'd',
                    ReplicaIdentity::Nothing => b'n',
                    ReplicaIdentity::Full => b'f',
                    ReplicaIdentity::Index => b'i',
                },
                m.columns
                    .map(|c| (u8::from(c.key), c.name.into(), c.type_oid.0, c.typmod))
                    .collect(),
            ),
            Message::Type(m) => Self::Type(m.oid.0, m.namespace.into(), m.name.into()),
            Message::Insert(m) => Self::Insert(m.relation.0, row(m.new)),
            Message::Update(m) => Self::Update(m.relation.0, m.old.map(old), row(m.new)),
            Message::Delete(m) => {
                let (mark, old) = old(m.old);
                Self::Delete(m.relation.0, mark, old)
            }
            Message::Truncate(m) => Self::Truncate(
                u8::from(m.cascade) | u8::from(m.restart_identity) << 1,
                m.relations.map(|oid| oid.0).collect(),
            ),
            Message::Logical(m) => Self::Logical(
                u8::from(m.transactional),
                m.lsn.0,
                m.prefix.into(),
                m.content.into(),
            ),
            Message::StreamStart(m) => Self::StreamStart(m.xid.0, u8::from(m.first_segment)),
            Message::StreamStop => Self::StreamStop,
            Message::StreamCommit(m) => {
                Self::StreamCommit(m.xid.0, m.commit_lsn.0, m.end_lsn.0, m.commit_time.0)
            }
            Message::StreamAbort(m) => Self::StreamAbort(
                m.xid.0,
                m.subxid.0,
                m.abort.map(|(lsn, time)| (lsn.0, time.0)),
            ),
            Message::BeginPrepare(m) => Self::BeginPrepare((
                m.prepare_lsn.0,
                m.end_lsn.0,
                m.prepare_time.0,
                m.xid.0,
                m.gid.into(),
            )),
            Message::Prepare(m) => Self::Prepare((
                m.prepare_lsn.0,
                m.end_lsn.0,
                m.prepare_time.0,
                m.xid.0,
                m.gid.into(),
            )),
            Message::CommitPrepared(m) => Self::CommitPrepared((
                m.commit_lsn.0,
                m.end_lsn.0,
                m.commit_time.0,
                m.xid.0,
                m.gid.into(),
            )),
            Message::RollbackPrepared(m) => Self::RollbackPrepared(
                m.prepare_end_lsn.0,
                m.rollback_end_lsn.0,
                m.prepare_time.0,
                m.rollback_time.0,
                m.xid.0,
                m.gid.into(),
            ),
            Message::StreamPrepare(m) => Self::StreamPrepare((
                m.prepare_lsn.0,
                m.end_lsn.0,
                m.prepare_time.0,
                m.xid.0,
                m.gid.into(),
            )),
            other => panic!("a message this test does not know: {other:?}"),
        }
    }
}

fn values(row: &Row) -> Vec<Value<'_>> {
    row.iter()
        .map(|cell| match cell {
            Cell::Null => Value::Null,
            Cell::Unchanged => Value::Unchanged,
            Cell::Text(data) => Value::Text(data),
            Cell::Binary(data) => Value::Binary(data),
        })
        .collect()
}

fn old(old: OldRow<'_>) -> (u8, Row) {
    match old {
        OldRow::Key(tuple) => (b'K', row(tuple)),
        OldRow::Full(tuple) => (b'O', row(tuple)),
    }
}

fn row(tuple: Tuple<'_>) -> Row {
    let row: Row = tuple
        .columns()
        .map(|column| match column {
            Column::Null => Cell::Null,
            Column::Unchanged => Cell::Unchanged,
            Column::Text(data) => Cell::Text(data.into()),
            Column::Binary(data) => Cell::Binary(data.into()),
        })
        .collect();
    assert_eq!(row.len(), tuple.len());
    row
}
