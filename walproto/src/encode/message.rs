//! The layout of every message, field by field, in the order of `logicalproto.h`.

use super::error::EncodeErrorKind;
use super::writer::Writer;
use crate::error::Field;
use crate::message::Message;
use crate::message::logical::Logical;
use crate::message::prepared::{
    BeginPrepare, CommitPrepared, Prepare, RollbackPrepared, StreamPrepare,
};
use crate::message::row::{Delete, Insert, OldRow, Update};
use crate::message::schema::{Relation, Type};
use crate::message::stream::{StreamAbort, StreamCommit, StreamStart};
use crate::message::transaction::{Begin, Commit, Origin};
use crate::message::truncate::Truncate;
use crate::{Lsn, Timestamp, Tuple, Xid};

/// The byte a message begins with.
pub(super) const fn tag(message: &Message<'_>) -> u8 {
    match message {
        Message::Begin(_) => b'B',
        Message::Commit(_) => b'C',
        Message::Origin(_) => b'O',
        Message::Relation(_) => b'R',
        Message::Type(_) => b'Y',
        Message::Insert(_) => b'I',
        Message::Update(_) => b'U',
        Message::Delete(_) => b'D',
        Message::Truncate(_) => b'T',
        Message::Logical(_) => b'M',
        Message::StreamStart(_) => b'S',
        Message::StreamStop => b'E',
        Message::StreamCommit(_) => b'c',
        Message::StreamAbort(_) => b'A',
        Message::BeginPrepare(_) => b'b',
        Message::Prepare(_) => b'P',
        Message::CommitPrepared(_) => b'K',
        Message::RollbackPrepared(_) => b'r',
        Message::StreamPrepare(_) => b'p',
    }
}

impl Begin {
    // proto.c: logicalrep_write_begin
    pub(super) fn write(&self, w: &mut Writer<'_>) {
        w.set_lsn(self.final_lsn, Field::FinalLsn);
        w.timestamp(self.commit_time);
        w.xid(self.xid);
    }
}

impl Commit {
    // proto.c: logicalrep_write_commit
    pub(super) fn write(&self, w: &mut Writer<'_>) {
        w.zero_flags();
        w.lsn(self.commit_lsn);
        w.lsn(self.end_lsn);
        w.timestamp(self.commit_time);
    }
}

impl Origin<'_> {
    // proto.c: logicalrep_write_origin
    pub(super) fn write(&self, w: &mut Writer<'_>) {
        w.lsn(self.commit_lsn);
        w.name(self.name, Field::OriginName);
    }
}

impl Relation<'_> {
    // proto.c: logicalrep_write_rel, logicalrep_write_attrs
    pub(super) fn write(&self, w: &mut Writer<'_>) {
        w.oid(self.oid);
        w.name(self.namespace, Field::Namespace);
        w.name(self.name, Field::RelationName);
        w.u8(self.identity.byte());
        let (count, columns) = self.columns.wire();
        w.u16(count);
        w.bytes(columns);
    }
}

impl Type<'_> {
    // proto.c: logicalrep_write_typ
    pub(super) fn write(&self, w: &mut Writer<'_>) {
        w.oid(self.oid);
        w.name(self.namespace, Field::Namespace);
        w.name(self.name, Field::TypeName);
    }
}

impl Insert<'_> {
    // proto.c: logicalrep_write_insert
    #[inline]
    pub(super) fn write(&self, w: &mut Writer<'_>) {
        w.oid(self.relation);
        row(b'N', self.new, w);
    }
}

impl Update<'_> {
    // proto.c: logicalrep_write_update
    #[inline]
    pub(super) fn write(&self, w: &mut Writer<'_>) {
        w.oid(self.relation);
        if let Some(old) = self.old {
            old.write(w);
        }
        row(b'N', self.new, w);
    }
}

impl Delete<'_> {
    // proto.c: logicalrep_write_delete
    #[inline]
    pub(super) fn write(&self, w: &mut Writer<'_>) {
        w.oid(self.relation);
        self.old.write(w);
    }
}

impl OldRow<'_> {
    fn write(self, w: &mut Writer<'_>) {
        match self {
            Self::Key(key) => row(b'K', key, w),
            Self::Full(full) => row(b'O', full, w),
        }
    }
}

// proto.c: logicalrep_write_tuple
#[inline]
fn row(mark: u8, row: Tuple<'_>, w: &mut Writer<'_>) {
    w.u8(mark);
    let (count, columns) = row.wire();
    w.u16(count);
    w.bytes(columns);
}

impl Truncate<'_> {
    // proto.c: logicalrep_write_truncate
    pub(super) fn write(&self, w: &mut Writer<'_>) {
        let oids = self.relations.wire();
        let count = w.length(oids.len(), EncodeErrorKind::TooMany, Field::RelationCount);
        w.i32(count);
        w.u8(u8::from(self.cascade) | u8::from(self.restart_identity) << 1);
        w.bytes(oids.as_flattened());
    }
}

impl Logical<'_> {
    // proto.c: logicalrep_write_message
    pub(super) fn write(&self, w: &mut Writer<'_>) {
        w.u8(u8::from(self.transactional));
        w.lsn(self.lsn);
        w.name(self.prefix, Field::MessagePrefix);
        w.counted(self.content, Field::MessageLength);
    }
}

impl StreamStart {
    // proto.c: logicalrep_write_stream_start
    pub(super) fn write(&self, w: &mut Writer<'_>) {
        w.xid(self.xid);
        w.u8(u8::from(self.first_segment));
    }
}

impl StreamCommit {
    // proto.c: logicalrep_write_stream_commit
    pub(super) fn write(&self, w: &mut Writer<'_>) {
        w.xid(self.xid);
        w.zero_flags();
        w.lsn(self.commit_lsn);
        w.lsn(self.end_lsn);
        w.timestamp(self.commit_time);
    }
}

impl StreamAbort {
    // proto.c: logicalrep_write_stream_abort
    pub(super) fn write(&self, w: &mut Writer<'_>) {
        w.xid(self.xid);
        w.xid(self.subxid);
        if let Some((lsn, time)) = self.abort {
            w.lsn(lsn);
            w.timestamp(time);
        }
    }
}

impl BeginPrepare<'_> {
    // proto.c: logicalrep_write_begin_prepare
    pub(super) fn write(&self, w: &mut Writer<'_>) {
        w.set_lsn(self.prepare_lsn, Field::PrepareLsn);
        ending(self.end_lsn, self.prepare_time, self.xid, self.gid, w);
    }
}

impl Prepare<'_> {
    // proto.c: logicalrep_write_prepare
    pub(super) fn write(&self, w: &mut Writer<'_>) {
        w.zero_flags();
        w.set_lsn(self.prepare_lsn, Field::PrepareLsn);
        ending(self.end_lsn, self.prepare_time, self.xid, self.gid, w);
    }
}

impl CommitPrepared<'_> {
    // proto.c: logicalrep_write_commit_prepared
    pub(super) fn write(&self, w: &mut Writer<'_>) {
        w.zero_flags();
        w.set_lsn(self.commit_lsn, Field::CommitLsn);
        ending(self.end_lsn, self.commit_time, self.xid, self.gid, w);
    }
}

impl RollbackPrepared<'_> {
    // proto.c: logicalrep_write_rollback_prepared
    pub(super) fn write(&self, w: &mut Writer<'_>) {
        w.zero_flags();
        w.set_lsn(self.prepare_end_lsn, Field::PrepareEndLsn);
        w.set_lsn(self.rollback_end_lsn, Field::RollbackEndLsn);
        w.timestamp(self.prepare_time);
        w.timestamp(self.rollback_time);
        w.xid(self.xid);
        w.gid(self.gid);
    }
}

impl StreamPrepare<'_> {
    // proto.c: logicalrep_write_stream_prepare
    pub(super) fn write(&self, w: &mut Writer<'_>) {
        w.zero_flags();
        w.set_lsn(self.prepare_lsn, Field::PrepareLsn);
        ending(self.end_lsn, self.prepare_time, self.xid, self.gid, w);
    }
}

/// The end that the messages of two-phase commit have in common.
fn ending(end_lsn: Lsn, time: Timestamp, xid: Xid, gid: &str, w: &mut Writer<'_>) {
    w.set_lsn(end_lsn, Field::EndLsn);
    w.timestamp(time);
    w.xid(xid);
    w.gid(gid);
}
