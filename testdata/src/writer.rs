//! Builds any message of logical replication, legal or broken, without `walproto`.
//!
//! One function per message, named after it, arguments in the order of the wire. `xid` is `Some` inside a stream
//! block only. Flags, tags and column kinds are plain bytes, so that wrong ones can be written too; what no
//! argument can break, [`Message`] or an edit of the result can.

/// A message under construction, field by field.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Message(Vec<u8>);

impl Message {
    /// Begins with a type byte.
    pub fn new(tag: u8) -> Self {
        Self(vec![tag])
    }

    /// Begins with a type byte and, inside a stream block, the transaction's id.
    pub fn in_block(tag: u8, xid: Option<u32>) -> Self {
        let message = Self::new(tag);
        match xid {
            Some(xid) => message.u32(xid),
            None => message,
        }
    }

    /// One byte.
    pub fn u8(self, value: u8) -> Self {
        self.bytes([value])
    }

    /// Two bytes, big-endian, as everything here.
    pub fn u16(self, value: u16) -> Self {
        self.bytes(value.to_be_bytes())
    }

    /// Four bytes: an xid or an oid.
    pub fn u32(self, value: u32) -> Self {
        self.bytes(value.to_be_bytes())
    }

    /// Four bytes: a length or a type modifier.
    pub fn i32(self, value: i32) -> Self {
        self.bytes(value.to_be_bytes())
    }

    /// Eight bytes: a WAL position.
    pub fn u64(self, value: u64) -> Self {
        self.bytes(value.to_be_bytes())
    }

    /// Eight bytes: microseconds since 2000-01-01 UTC.
    pub fn i64(self, value: i64) -> Self {
        self.bytes(value.to_be_bytes())
    }

    /// A name and the zero byte that ends it.
    pub fn name(self, value: impl AsRef<[u8]>) -> Self {
        self.bytes(value).u8(0)
    }

    /// These bytes and nothing else.
    pub fn bytes(mut self, value: impl AsRef<[u8]>) -> Self {
        self.0.extend_from_slice(value.as_ref());
        self
    }

    /// The column count and the columns: proto.c: logicalrep_write_tuple.
    pub fn tuple(self, values: &[Value<'_>]) -> Self {
        let count = u16::try_from(values.len()).expect("a tuple has at most 65535 columns");
        values
            .iter()
            .fold(self.u16(count), |message, value| match *value {
                Value::Null => message.u8(b'n'),
                Value::Unchanged => message.u8(b'u'),
                Value::Text(data) => message.u8(b't').i32(length(data)).bytes(data),
                Value::Binary(data) => message.u8(b'b').i32(length(data)).bytes(data),
                Value::Other { kind, length, data } => message.u8(kind).i32(length).bytes(data),
            })
    }

    /// The bytes.
    pub fn finish(self) -> Vec<u8> {
        self.0
    }
}

/// A column of a row.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Value<'a> {
    /// `n`: NULL, or not a key column of a key-only row.
    Null,
    /// `u`: a TOASTed value that did not change and is not sent.
    Unchanged,
    /// `t`: the output function's text.
    Text(&'a [u8]),
    /// `b`: the send function's bytes.
    Binary(&'a [u8]),
    /// Whatever one wants to break.
    Other {
        /// The kind byte.
        kind: u8,
        /// The length, true or not.
        length: i32,
        /// What follows the length.
        data: &'a [u8],
    },
}

impl<'a> Value<'a> {
    /// A text column.
    pub fn text(value: &'a str) -> Self {
        Self::Text(value.as_bytes())
    }
}

/// A column of a Relation message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Column<'a> {
    /// Bit 0: part of the key.
    pub flags: u8,
    /// Its name.
    pub name: &'a str,
    /// Its type.
    pub type_oid: u32,
    /// Its type modifier, -1 for none.
    pub typmod: i32,
}

/// `B`: proto.c: logicalrep_write_begin.
pub fn begin(final_lsn: u64, commit_time: i64, xid: u32) -> Vec<u8> {
    Message::new(b'B')
        .u64(final_lsn)
        .i64(commit_time)
        .u32(xid)
        .finish()
}

/// `C`: proto.c: logicalrep_write_commit.
pub fn commit(flags: u8, commit_lsn: u64, end_lsn: u64, commit_time: i64) -> Vec<u8> {
    Message::new(b'C')
        .u8(flags)
        .u64(commit_lsn)
        .u64(end_lsn)
        .i64(commit_time)
        .finish()
}

/// `O`: proto.c: logicalrep_write_origin.
pub fn origin(commit_lsn: u64, name: &str) -> Vec<u8> {
    Message::new(b'O').u64(commit_lsn).name(name).finish()
}

/// `R`: proto.c: logicalrep_write_rel. `identity` is one of `d`, `n`, `f`, `i`.
pub fn relation(
    xid: Option<u32>,
    oid: u32,
    namespace: &str,
    name: &str,
    identity: u8,
    columns: &[Column<'_>],
) -> Vec<u8> {
    let count = u16::try_from(columns.len()).expect("a relation has at most 65535 columns");
    let head = Message::in_block(b'R', xid)
        .u32(oid)
        .name(namespace)
        .name(name)
        .u8(identity)
        .u16(count);
    columns
        .iter()
        .fold(head, |message, column| {
            message
                .u8(column.flags)
                .name(column.name)
                .u32(column.type_oid)
                .i32(column.typmod)
        })
        .finish()
}

/// `Y`: proto.c: logicalrep_write_typ.
pub fn r#type(xid: Option<u32>, oid: u32, namespace: &str, name: &str) -> Vec<u8> {
    Message::in_block(b'Y', xid)
        .u32(oid)
        .name(namespace)
        .name(name)
        .finish()
}

/// `I`: proto.c: logicalrep_write_insert.
pub fn insert(xid: Option<u32>, relation: u32, new: &[Value<'_>]) -> Vec<u8> {
    Message::in_block(b'I', xid)
        .u32(relation)
        .u8(b'N')
        .tuple(new)
        .finish()
}

/// `U`: proto.c: logicalrep_write_update. The old row comes with its tag, `K` or `O`.
pub fn update(
    xid: Option<u32>,
    relation: u32,
    old: Option<(u8, &[Value<'_>])>,
    new: &[Value<'_>],
) -> Vec<u8> {
    let mut message = Message::in_block(b'U', xid).u32(relation);
    if let Some((tag, row)) = old {
        message = message.u8(tag).tuple(row);
    }
    message.u8(b'N').tuple(new).finish()
}

/// `D`: proto.c: logicalrep_write_delete. The old row's tag is `K` or `O`.
pub fn delete(xid: Option<u32>, relation: u32, tag: u8, old: &[Value<'_>]) -> Vec<u8> {
    Message::in_block(b'D', xid)
        .u32(relation)
        .u8(tag)
        .tuple(old)
        .finish()
}

/// `T`: proto.c: logicalrep_write_truncate. Flags: 1 CASCADE, 2 RESTART IDENTITY.
pub fn truncate(xid: Option<u32>, flags: u8, relations: &[u32]) -> Vec<u8> {
    let count = i32::try_from(relations.len()).expect("a handful of relations");
    let head = Message::in_block(b'T', xid).i32(count).u8(flags);
    relations.iter().copied().fold(head, Message::u32).finish()
}

/// `M`: proto.c: logicalrep_write_message. Flags: 1 transactional; without it there is no xid even in a block.
pub fn logical(xid: Option<u32>, flags: u8, lsn: u64, prefix: &str, content: &[u8]) -> Vec<u8> {
    Message::in_block(b'M', xid)
        .u8(flags)
        .u64(lsn)
        .name(prefix)
        .i32(length(content))
        .bytes(content)
        .finish()
}

/// `S`: proto.c: logicalrep_write_stream_start.
pub fn stream_start(xid: u32, first_segment: u8) -> Vec<u8> {
    Message::new(b'S').u32(xid).u8(first_segment).finish()
}

/// `E`: proto.c: logicalrep_write_stream_stop.
pub fn stream_stop() -> Vec<u8> {
    Message::new(b'E').finish()
}

/// `c`: proto.c: logicalrep_write_stream_commit.
pub fn stream_commit(
    xid: u32,
    flags: u8,
    commit_lsn: u64,
    end_lsn: u64,
    commit_time: i64,
) -> Vec<u8> {
    Message::new(b'c')
        .u32(xid)
        .u8(flags)
        .u64(commit_lsn)
        .u64(end_lsn)
        .i64(commit_time)
        .finish()
}

/// `A`: proto.c: logicalrep_write_stream_abort. Position and time are sent under `streaming 'parallel'` only.
pub fn stream_abort(xid: u32, subxid: u32, abort: Option<(u64, i64)>) -> Vec<u8> {
    let message = Message::new(b'A').u32(xid).u32(subxid);
    match abort {
        Some((lsn, time)) => message.u64(lsn).i64(time).finish(),
        None => message.finish(),
    }
}

/// `b`: proto.c: logicalrep_write_begin_prepare.
pub fn begin_prepare(
    prepare_lsn: u64,
    end_lsn: u64,
    prepare_time: i64,
    xid: u32,
    gid: &str,
) -> Vec<u8> {
    Message::new(b'b')
        .u64(prepare_lsn)
        .u64(end_lsn)
        .i64(prepare_time)
        .u32(xid)
        .name(gid)
        .finish()
}

/// `P`: proto.c: logicalrep_write_prepare.
pub fn prepare(
    flags: u8,
    prepare_lsn: u64,
    end_lsn: u64,
    prepare_time: i64,
    xid: u32,
    gid: &str,
) -> Vec<u8> {
    prepared(b'P', flags, prepare_lsn, end_lsn, prepare_time, xid, gid)
}

/// `K`: proto.c: logicalrep_write_commit_prepared.
pub fn commit_prepared(
    flags: u8,
    commit_lsn: u64,
    end_lsn: u64,
    commit_time: i64,
    xid: u32,
    gid: &str,
) -> Vec<u8> {
    prepared(b'K', flags, commit_lsn, end_lsn, commit_time, xid, gid)
}

/// `r`: proto.c: logicalrep_write_rollback_prepared.
pub fn rollback_prepared(
    flags: u8,
    prepare_end_lsn: u64,
    rollback_end_lsn: u64,
    prepare_time: i64,
    rollback_time: i64,
    xid: u32,
    gid: &str,
) -> Vec<u8> {
    Message::new(b'r')
        .u8(flags)
        .u64(prepare_end_lsn)
        .u64(rollback_end_lsn)
        .i64(prepare_time)
        .i64(rollback_time)
        .u32(xid)
        .name(gid)
        .finish()
}

/// `p`: proto.c: logicalrep_write_stream_prepare.
pub fn stream_prepare(
    flags: u8,
    prepare_lsn: u64,
    end_lsn: u64,
    prepare_time: i64,
    xid: u32,
    gid: &str,
) -> Vec<u8> {
    prepared(b'p', flags, prepare_lsn, end_lsn, prepare_time, xid, gid)
}

fn prepared(tag: u8, flags: u8, lsn: u64, end_lsn: u64, time: i64, xid: u32, gid: &str) -> Vec<u8> {
    Message::new(tag)
        .u8(flags)
        .u64(lsn)
        .u64(end_lsn)
        .i64(time)
        .u32(xid)
        .name(gid)
        .finish()
}

/// The frame `w` around a message: walsender.c: WalSndPrepareWrite.
pub fn wal_data(wal_start: u64, wal_end: u64, sent_at: i64, message: &[u8]) -> Vec<u8> {
    Message::new(b'w')
        .u64(wal_start)
        .u64(wal_end)
        .i64(sent_at)
        .bytes(message)
        .finish()
}

/// The frame `k`: walsender.c: WalSndKeepalive.
pub fn keepalive(wal_end: u64, sent_at: i64, reply_requested: u8) -> Vec<u8> {
    Message::new(b'k')
        .u64(wal_end)
        .i64(sent_at)
        .u8(reply_requested)
        .finish()
}

/// The frame `r` as a client has to send it: walsender.c: ProcessStandbyReplyMessage reads it.
pub fn status_update(
    written: u64,
    flushed: u64,
    applied: u64,
    sent_at: i64,
    reply_requested: bool,
) -> Vec<u8> {
    Message::new(b'r')
        .u64(written)
        .u64(flushed)
        .u64(applied)
        .i64(sent_at)
        .u8(u8::from(reply_requested))
        .finish()
}

/// The frame `h` as a client has to send it: walsender.c: ProcessStandbyHSFeedbackMessage reads it.
pub fn hot_standby_feedback(
    sent_at: i64,
    xmin: u32,
    xmin_epoch: u32,
    catalog_xmin: u32,
    catalog_xmin_epoch: u32,
) -> Vec<u8> {
    Message::new(b'h')
        .i64(sent_at)
        .u32(xmin)
        .u32(xmin_epoch)
        .u32(catalog_xmin)
        .u32(catalog_xmin_epoch)
        .finish()
}

fn length(data: &[u8]) -> i32 {
    i32::try_from(data.len()).expect("a value is smaller than 2 GiB")
}
