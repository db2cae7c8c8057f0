//! A plain second decoder of pgoutput, written to be obvious.
//!
//! It allocates, copies and checks little; its value is that it shares nothing with `walproto`. What it says is
//! compared with SELECT when a capture is taken.

mod lines;

use crate::capture::Streaming;

pub use lines::{lines, lsn};

/// Why a message makes no sense.
pub type Reason = String;

/// One column of a row.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Cell {
    /// `n`.
    Null,
    /// `u`.
    Unchanged,
    /// `t`.
    Text(Vec<u8>),
    /// `b`.
    Binary(Vec<u8>),
}

/// A row as it was sent.
pub type Cells = Vec<Cell>;

/// A column of a Relation.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ColumnDef {
    /// Part of the replica identity.
    pub key: bool,
    /// Its name.
    pub name: String,
    /// Its type.
    pub type_oid: u32,
    /// Its type modifier.
    pub typmod: i32,
}

/// A message. Fields are as in protocol.sgml.
#[allow(missing_docs, reason = "each is named as in protocol.sgml")]
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Message {
    Begin {
        final_lsn: u64,
        commit_time: i64,
        xid: u32,
    },
    Commit {
        commit_lsn: u64,
        end_lsn: u64,
        commit_time: i64,
    },
    Origin {
        commit_lsn: u64,
        name: String,
    },
    Relation {
        oid: u32,
        namespace: String,
        name: String,
        identity: char,
        columns: Vec<ColumnDef>,
    },
    Type {
        oid: u32,
        namespace: String,
        name: String,
    },
    Insert {
        relation: u32,
        new: Cells,
    },
    Update {
        relation: u32,
        old: Option<Old>,
        new: Cells,
    },
    Delete {
        relation: u32,
        old: Old,
    },
    Truncate {
        cascade: bool,
        restart_identity: bool,
        relations: Vec<u32>,
    },
    Logical {
        transactional: bool,
        lsn: u64,
        prefix: String,
        content: Vec<u8>,
    },
    StreamStart {
        xid: u32,
        first_segment: bool,
    },
    StreamStop,
    StreamCommit {
        xid: u32,
        commit_lsn: u64,
        end_lsn: u64,
        commit_time: i64,
    },
    StreamAbort {
        xid: u32,
        subxid: u32,
        abort: Option<(u64, i64)>,
    },
    BeginPrepare {
        prepare_lsn: u64,
        end_lsn: u64,
        prepare_time: i64,
        xid: u32,
        gid: String,
    },
    Prepare {
        prepare_lsn: u64,
        end_lsn: u64,
        prepare_time: i64,
        xid: u32,
        gid: String,
    },
    CommitPrepared {
        commit_lsn: u64,
        end_lsn: u64,
        commit_time: i64,
        xid: u32,
        gid: String,
    },
    RollbackPrepared {
        prepare_end_lsn: u64,
        rollback_end_lsn: u64,
        prepare_time: i64,
        rollback_time: i64,
        xid: u32,
        gid: String,
    },
    StreamPrepare {
        prepare_lsn: u64,
        end_lsn: u64,
        prepare_time: i64,
        xid: u32,
        gid: String,
    },
}

/// The old row of an update or delete.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Old {
    /// `K`: the key columns, NULL elsewhere.
    Key(Cells),
    /// `O`: everything.
    Full(Cells),
}

/// Reads messages one after the other.
#[derive(Clone, Copy, Debug, Default)]
pub struct Decoder {
    parallel: bool,
    in_block: bool,
}

impl Decoder {
    /// A decoder for a stream that was asked for with this `streaming`.
    pub fn new(streaming: Streaming) -> Self {
        Self {
            parallel: streaming == Streaming::Parallel,
            in_block: false,
        }
    }

    /// Reads a message, and the xid that it has inside a stream block.
    pub fn decode(&mut self, bytes: &[u8]) -> Result<(Option<u32>, Message), Reason> {
        let mut r = Reader(bytes);
        let tag = r.u8()?;
        let xid = if self.in_block && b"RYIUDTM".contains(&tag) {
            Some(r.u32()?)
        } else {
            None
        };
        let message = match tag {
            b'B' => Message::Begin {
                final_lsn: r.u64()?,
                commit_time: r.i64()?,
                xid: r.u32()?,
            },
            b'C' => {
                r.zero()?;
                Message::Commit {
                    commit_lsn: r.u64()?,
                    end_lsn: r.u64()?,
                    commit_time: r.i64()?,
                }
            }
            b'O' => Message::Origin {
                commit_lsn: r.u64()?,
                name: r.name()?,
            },
            b'R' => Message::Relation {
                oid: r.u32()?,
                namespace: r.name()?,
                name: r.name()?,
                identity: char::from(r.u8()?),
                columns: {
                    let mut columns = Vec::new();
                    for _ in 0..r.u16()? {
                        columns.push(ColumnDef {
                            key: r.u8()? & 1 == 1,
                            name: r.name()?,
                            type_oid: r.u32()?,
                            typmod: r.i32()?,
                        });
                    }
                    columns
                },
            },
            b'Y' => Message::Type {
                oid: r.u32()?,
                namespace: r.name()?,
                name: r.name()?,
            },
            b'I' => Message::Insert {
                relation: r.u32()?,
                new: {
                    r.expect(b'N')?;
                    r.cells()?
                },
            },
            b'U' => {
                let relation = r.u32()?;
                let mut tag = r.u8()?;
                let mut old = None;
                if tag != b'N' {
                    old = Some(r.old(tag)?);
                    tag = r.u8()?;
                }
                if tag != b'N' {
                    return Err(format!("tuple tag {tag} where N belongs"));
                }
                Message::Update {
                    relation,
                    old,
                    new: r.cells()?,
                }
            }
            b'D' => Message::Delete {
                relation: r.u32()?,
                old: {
                    let tag = r.u8()?;
                    r.old(tag)?
                },
            },
            b'T' => {
                let count = r.i32()?;
                let flags = r.u8()?;
                let mut relations = Vec::new();
                for _ in 0..count {
                    relations.push(r.u32()?);
                }
                Message::Truncate {
                    cascade: flags & 1 != 0,
                    restart_identity: flags & 2 != 0,
                    relations,
                }
            }
            b'M' => Message::Logical {
                transactional: r.u8()? & 1 == 1,
                lsn: r.u64()?,
                prefix: r.name()?,
                content: r.counted()?,
            },
            b'S' => Message::StreamStart {
                xid: r.u32()?,
                first_segment: r.u8()? == 1,
            },
            b'E' => Message::StreamStop,
            b'c' => Message::StreamCommit {
                xid: {
                    let xid = r.u32()?;
                    r.zero()?;
                    xid
                },
                commit_lsn: r.u64()?,
                end_lsn: r.u64()?,
                commit_time: r.i64()?,
            },
            b'A' => Message::StreamAbort {
                xid: r.u32()?,
                subxid: r.u32()?,
                abort: if self.parallel {
                    Some((r.u64()?, r.i64()?))
                } else {
                    None
                },
            },
            b'b' => Message::BeginPrepare {
                prepare_lsn: r.u64()?,
                end_lsn: r.u64()?,
                prepare_time: r.i64()?,
                xid: r.u32()?,
                gid: r.name()?,
            },
            b'P' => {
                r.zero()?;
                Message::Prepare {
                    prepare_lsn: r.u64()?,
                    end_lsn: r.u64()?,
                    prepare_time: r.i64()?,
                    xid: r.u32()?,
                    gid: r.name()?,
                }
            }
            b'K' => {
                r.zero()?;
                Message::CommitPrepared {
                    commit_lsn: r.u64()?,
                    end_lsn: r.u64()?,
                    commit_time: r.i64()?,
                    xid: r.u32()?,
                    gid: r.name()?,
                }
            }
            b'r' => {
                r.zero()?;
                Message::RollbackPrepared {
                    prepare_end_lsn: r.u64()?,
                    rollback_end_lsn: r.u64()?,
                    prepare_time: r.i64()?,
                    rollback_time: r.i64()?,
                    xid: r.u32()?,
                    gid: r.name()?,
                }
            }
            b'p' => {
                r.zero()?;
                Message::StreamPrepare {
                    prepare_lsn: r.u64()?,
                    end_lsn: r.u64()?,
                    prepare_time: r.i64()?,
                    xid: r.u32()?,
                    gid: r.name()?,
                }
            }
            other => return Err(format!("message type {other} is not known")),
        };
        if !r.0.is_empty() {
            return Err(format!(
                "{} bytes are left over after {message:?}",
                r.0.len()
            ));
        }
        match message {
            Message::StreamStart { .. } => self.in_block = true,
            Message::StreamStop => self.in_block = false,
            _ => {}
        }
        Ok((xid, message))
    }
}

struct Reader<'a>(&'a [u8]);

impl Reader<'_> {
    fn take<const N: usize>(&mut self) -> Result<[u8; N], Reason> {
        let (head, rest) = self
            .0
            .split_first_chunk()
            .ok_or_else(|| format!("{N} bytes wanted, {} left", self.0.len()))?;
        self.0 = rest;
        Ok(*head)
    }

    fn u8(&mut self) -> Result<u8, Reason> {
        self.take().map(u8::from_be_bytes)
    }

    fn u16(&mut self) -> Result<u16, Reason> {
        self.take().map(u16::from_be_bytes)
    }

    fn u32(&mut self) -> Result<u32, Reason> {
        self.take().map(u32::from_be_bytes)
    }

    fn i32(&mut self) -> Result<i32, Reason> {
        self.take().map(i32::from_be_bytes)
    }

    fn u64(&mut self) -> Result<u64, Reason> {
        self.take().map(u64::from_be_bytes)
    }

    fn i64(&mut self) -> Result<i64, Reason> {
        self.take().map(i64::from_be_bytes)
    }

    fn expect(&mut self, wanted: u8) -> Result<(), Reason> {
        match self.u8()? {
            byte if byte == wanted => Ok(()),
            byte => Err(format!("byte {byte} where {wanted} belongs")),
        }
    }

    fn zero(&mut self) -> Result<(), Reason> {
        self.expect(0)
    }

    fn name(&mut self) -> Result<String, Reason> {
        let end = self
            .0
            .iter()
            .position(|&byte| byte == 0)
            .ok_or("a name has no end")?;
        let (name, rest) = self.0.split_at(end);
        self.0 = &rest[1..];
        String::from_utf8(name.into()).map_err(|_| "a name is not UTF-8".into())
    }

    fn counted(&mut self) -> Result<Vec<u8>, Reason> {
        let length = self.i32()?;
        let (value, rest) = usize::try_from(length)
            .ok()
            .and_then(|length| self.0.split_at_checked(length))
            .ok_or_else(|| format!("{length} bytes wanted, {} left", self.0.len()))?;
        self.0 = rest;
        Ok(value.into())
    }

    fn cells(&mut self) -> Result<Cells, Reason> {
        let mut cells = Vec::new();
        for _ in 0..self.u16()? {
            cells.push(match self.u8()? {
                b'n' => Cell::Null,
                b'u' => Cell::Unchanged,
                b't' => Cell::Text(self.counted()?),
                b'b' => Cell::Binary(self.counted()?),
                kind => return Err(format!("column kind {kind} is not known")),
            });
        }
        Ok(cells)
    }

    fn old(&mut self, tag: u8) -> Result<Old, Reason> {
        match tag {
            b'K' => Ok(Old::Key(self.cells()?)),
            b'O' => Ok(Old::Full(self.cells()?)),
            _ => Err(format!("tuple tag {tag} where K or O belongs")),
        }
    }
}
