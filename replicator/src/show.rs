//! Changes as people and scripts read them: lines, JSON lines, or a summary for each table.
//!
//! A [`Renderer`] takes the frames of a stream one after the other, from a server or from a capture file, keeps what the
//! stream says about tables, and writes to anything.
//!
//! # JSON
//!
//! One object a line. Scripts depend on it: members are added, never renamed or dropped, and `kind`s that a script does
//! not know are to be passed over. Positions are text such as `"16/B374D848"`, times ISO 8601 in UTC with microseconds
//! (`"2026-11-21T08:59:01.123456Z"`, `"infinity"` and `"-infinity"` as PostgreSQL has them), transaction ids numbers.
//!
//! | `kind` | members besides `kind` |
//! |---|---|
//! | `begin` | `lsn`, `xid`, `final_lsn`, `commit_time` |
//! | `insert` | `lsn`, `xid`, `schema`, `table`, `new`, `unchanged` |
//! | `update` | the same; `key` or `old` where the server sent it |
//! | `delete` | `lsn`, `xid`, `schema`, `table`, `key` or `old` |
//! | `truncate` | `lsn`, `xid`, `tables` (objects with `schema` and `table`), `cascade`, `restart_identity` |
//! | `message` | `lsn`, `xid` unless it is in no transaction, `transactional`, `prefix`, `content` |
//! | `commit` | `lsn`, `xid`, `commit_lsn`, `end_lsn`, `commit_time` |
//! | `origin` | `lsn`, `xid`, `commit_lsn`, `name` |
//! | `stream_commit` | as `commit`, for a transaction whose changes came before it ended |
//! | `stream_abort` | `lsn`, `xid` of what is to be forgotten, `top_xid`; `abort_lsn` and `abort_time` where sent |
//! | `begin_prepare`, `prepare`, `stream_prepare` | `lsn`, `xid`, `gid`, `prepare_lsn`, `end_lsn`, `prepare_time` |
//! | `commit_prepared` | `lsn`, `xid`, `gid`, `commit_lsn`, `end_lsn`, `commit_time` |
//! | `rollback_prepared` | `lsn`, `xid`, `gid`, `prepare_end_lsn`, `rollback_end_lsn`, `prepare_time`, `rollback_time` |
//! | `session` | `time` and what [`Session`] says, by the names there; the recorder's own keys in `fields` |
//!
//! And with [everything](Renderer::everything):
//!
//! | `kind` | members besides `kind` |
//! |---|---|
//! | `relation` | `lsn`, `schema`, `table`, `oid`, `identity`, `columns` (objects with `name`, `type_oid`, `typmod`, `key`) |
//! | `type` | `lsn`, `schema`, `name`, `oid` |
//! | `stream_start`, `stream_stop` | `lsn`, `xid`; at the start also `first_segment` |
//! | `keepalive` | `lsn` (the end of the log), `time`, `reply_requested` |
//! | `unknown` | `frame`, in hexadecimal: what a later server sent |
//!
//! A summary has an object of the kind `table` for each table (`schema`, `table`, `inserts`, `updates`, `deletes`,
//! `truncates`, `bytes` of its messages, `first_lsn`, `last_lsn`, `first_sent`, `last_sent`), then one of the kind `total`.
//! It counts what was sent, whatever became of the transaction.
//!
//! What lies inside a transaction that has not ended when it is sent (a stream block) also has `top_xid`; whether it
//! took effect is told later, by `stream_commit`, `stream_prepare` or `stream_abort`. What lies in a transaction that is
//! sent whole has `commit_time`.
//!
//! `run --json` has these of a copy. Rows and bytes are those that are in, bytes as COPY counts them; what is estimated is
//! what the source's statistics say of whole tables, its bytes those on the source's disk, and `null` where they say
//! nothing. Every second there is a `copy_progress`.
//!
//! | `kind` | members besides `kind` |
//! |---|---|
//! | `copy_begun` | `tables` (their number), `estimated_rows`, `estimated_bytes`, `workers`, `rate` (bytes in a second, `null` without), `wal_kept` (the bytes of `max_slot_wal_keep_size`, `null` for no limit) |
//! | `copy_table_begun` | `schema`, `table`, `rows`, `bytes`, `estimated_rows`, `estimated_bytes`, `percent`, `elapsed_seconds`; comes again if the table is copied from its beginning again |
//! | `copy_progress` | `tables_done`, `tables`, `rows`, `bytes`, `estimated_rows`, `estimated_bytes`, `percent`, `rows_per_second` and `bytes_per_second` (of the last half minute), `remaining_seconds` (or `null`), `elapsed_seconds`, `paused`, `running` (objects like `copy_table_begun`) |
//! | `copy_table_done` | as `copy_table_begun` |
//! | `copy_done` | as `copy_progress`, with the rates over all |
//!
//! `new`, `key` and `old` are objects from column to value. A value is the type's text form as a string, whatever the
//! type, so nothing is lost to a script's idea of numbers; NULL is `null`. Columns that were not sent are not there: an
//! unchanged TOASTed value, named in the list `unchanged` instead, and in `key` everything outside the key. Bytes that
//! are not UTF-8, contents of messages included, are `{"bytes": "ff00"}`, and a column that came in binary form of a type
//! whose text form is not known here is `{"binary": "0000000100"}`.

mod binary;
mod color;
mod copying;
#[cfg(feature = "postgres")]
mod cut_over;
mod error;
mod finding;
pub(crate) mod json;
mod line;
pub(crate) mod people;
mod status;
mod summary;
mod table;
pub(crate) mod time;
mod value;

use std::io::Write;

use walproto::capture::{Fields, Session};
use walproto::{Decoder, Frame, Keepalive, Lsn, Message, Timestamp, Xid};

pub(crate) use binary::oid;
pub use color::ColorChoice;
pub use error::ShowError;
pub(crate) use error::located;
use json::Json;
use line::Lines;
use summary::Summary;
use table::Tables;
pub(crate) use time::Iso;

/// How changes are written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Form {
    /// A line for each change, for people; `color` with the escape sequences of terminals.
    Lines {
        /// Whether to colour them.
        color: bool,
    },
    /// A JSON object for each change, one a line.
    Json,
    /// At the end, how much happened to each table.
    Summary,
    /// The same, as one JSON object for each table and one for the whole.
    JsonSummary,
}

/// Writes the frames of a stream in the form that was asked for.
///
/// Each frame is one write, a line or nothing: hand it something buffered, and flush that when it matters.
#[derive(Debug)]
pub struct Renderer<W> {
    out: W,
    line: Vec<u8>,
    writer: Writer,
    everything: bool,
    decoder: Decoder,
    tables: Tables,
    open: Option<Open>,
}

#[derive(Debug)]
enum Writer {
    Lines(Lines),
    Json(Json),
    Summary(Box<Summary>),
}

/// The transaction, or the block of one, that the next change belongs to.
#[derive(Clone, Copy, Debug)]
struct Open {
    xid: Xid,
    commit_time: Option<Timestamp>,
}

/// A message and what is known about it.
#[derive(Clone, Copy, Debug)]
struct Shown<'a> {
    lsn: Lsn,
    sent_at: Timestamp,
    /// Of the whole message.
    len: usize,
    /// The transaction or subtransaction that did it; `None` for a logical message outside of any.
    xid: Option<Xid>,
    /// Inside a stream block and of what ends those.
    top: Option<Xid>,
    commit_time: Option<Timestamp>,
    message: Message<'a>,
}

impl<W: Write> Renderer<W> {
    /// Writes to `out` what a stream brings that was asked for in text form; otherwise [`start`](Self::start) it.
    pub fn new(form: Form, out: W) -> Self {
        Self {
            out,
            line: Vec::new(),
            writer: match form {
                Form::Lines { color } => Writer::Lines(Lines::new(color)),
                Form::Json => Writer::Json(Json::default()),
                Form::Summary => Writer::Summary(Box::new(Summary::new(false))),
                Form::JsonSummary => Writer::Summary(Box::new(Summary::new(true))),
            },
            everything: false,
            decoder: Decoder::new(),
            tables: Tables::default(),
            open: None,
        }
    }

    /// Also shows what is of the protocol's own business: relations, types, blocks, keepalives.
    #[must_use]
    pub fn everything(mut self, everything: bool) -> Self {
        self.everything = everything;
        self
    }

    /// A stream begins, to be read with this decoder; tables are announced anew in it.
    pub fn start(&mut self, decoder: Decoder) {
        self.decoder = decoder;
        self.tables.clear();
        self.open = None;
    }

    /// A session of a capture file begins: shows it, and [starts](Self::start) unless it goes on with the one before.
    ///
    /// # Errors
    ///
    /// What writing says.
    pub fn session(
        &mut self,
        time: Timestamp,
        session: &Session<'_>,
        fields: Fields<'_>,
    ) -> Result<(), ShowError> {
        if !session.continued {
            self.start(session.decoder());
        } else if self.tables.is_empty() {
            self.decoder = session.decoder();
        }
        self.line.clear();
        match &mut self.writer {
            Writer::Lines(lines) => lines.session(&mut self.line, time, session, fields),
            Writer::Json(json) => json.session(&mut self.line, time, session, fields),
            Writer::Summary(summary) => summary.session(),
        }
        self.write()
    }

    /// Shows the body of one CopyData message.
    ///
    /// # Errors
    ///
    /// A frame that is broken or does not fit what came before; it is then as if it had not come. Or what writing says.
    pub fn frame(&mut self, frame: &[u8]) -> Result<(), ShowError> {
        self.line.clear();
        match Frame::parse(frame) {
            Ok(Frame::WalData(wal)) => {
                let broken = |error| ShowError::broken(error, frame.len() - wal.data.len());
                let decoded = self.decoder.decode(wal.data).map_err(broken)?;
                let mut shown = Shown {
                    lsn: wal.start,
                    sent_at: wal.sent_at,
                    len: wal.data.len(),
                    xid: decoded.xid,
                    top: None,
                    commit_time: None,
                    message: decoded.message,
                };
                self.message(&mut shown)?;
            }
            Ok(Frame::Keepalive(keepalive)) if self.everything => self.keepalive(&keepalive),
            Ok(_) => {}
            // What a later server adds is no reason to stop.
            Err(error)
                if !matches!(frame.first(), None | Some(b'w' | b'k')) && error.offset == 0 =>
            {
                if self.everything {
                    self.unknown(frame);
                }
            }
            Err(error) => return Err(ShowError::broken(error, 0)),
        }
        self.write()
    }

    /// Writes what is only known at the end, and hands back what was written to, flushed.
    ///
    /// # Errors
    ///
    /// What writing says.
    pub fn finish(mut self) -> Result<W, ShowError> {
        self.line.clear();
        if let Writer::Summary(summary) = &mut self.writer {
            summary.write(&mut self.line);
        }
        self.write()?;
        self.out.flush()?;
        Ok(self.out)
    }

    /// Writes out what was buffered by what this writes to.
    ///
    /// # Errors
    ///
    /// What writing says.
    pub fn flush(&mut self) -> Result<(), ShowError> {
        Ok(self.out.flush()?)
    }

    fn write(&mut self) -> Result<(), ShowError> {
        if !self.line.is_empty() {
            self.out.write_all(&self.line)?;
        }
        Ok(())
    }

    fn message(&mut self, shown: &mut Shown<'_>) -> Result<(), ShowError> {
        let mut quiet = false;
        let mut open = self.open;
        match shown.message {
            Message::Begin(begin) => {
                open = Some(Open {
                    xid: begin.xid,
                    commit_time: Some(begin.commit_time),
                });
            }
            Message::BeginPrepare(begin) => {
                open = Some(Open {
                    xid: begin.xid,
                    commit_time: None,
                });
            }
            Message::StreamStart(start) => {
                open = Some(Open {
                    xid: start.xid,
                    commit_time: None,
                });
                quiet = true;
            }
            Message::StreamStop => quiet = true,
            Message::Relation(relation) => {
                self.tables.put(&relation);
                quiet = true;
            }
            Message::Type(_) => quiet = true,
            Message::Insert(insert) => self.tables.fits(insert.relation, insert.new)?,
            Message::Update(update) => {
                self.tables.fits(update.relation, update.new)?;
                if let Some(old) = update.old {
                    self.tables.fits(update.relation, old.tuple())?;
                }
            }
            Message::Delete(delete) => self.tables.fits(delete.relation, delete.old.tuple())?,
            Message::Truncate(truncate) => {
                for oid in truncate.relations {
                    self.tables.get(oid)?;
                }
            }
            _ => {}
        }
        let in_block = self.decoder.in_block() || matches!(shown.message, Message::StreamStop);
        match shown.message {
            Message::Logical(logical) if !logical.transactional => shown.xid = None,
            Message::StreamCommit(commit) => shown.xid = Some(commit.xid),
            Message::StreamPrepare(prepare) => shown.xid = Some(prepare.xid),
            Message::CommitPrepared(commit) => shown.xid = Some(commit.xid),
            Message::RollbackPrepared(rollback) => shown.xid = Some(rollback.xid),
            Message::StreamAbort(abort) => {
                shown.xid = Some(abort.subxid);
                shown.top = Some(abort.xid);
            }
            _ => {
                if let Some(open) = open {
                    shown.xid = shown.xid.or(Some(open.xid));
                    shown.top = in_block.then_some(open.xid);
                    shown.commit_time = open.commit_time;
                }
            }
        }
        if let Message::Commit(commit) = shown.message {
            shown.commit_time = Some(commit.commit_time);
        }
        self.open = match shown.message {
            Message::Commit(_) | Message::Prepare(_) | Message::StreamStop => None,
            _ => open,
        };
        let line = &mut self.line;
        match &mut self.writer {
            Writer::Summary(summary) => summary.message(shown, &self.tables)?,
            _ if quiet && !self.everything => {}
            Writer::Lines(lines) => lines.message(line, shown, &self.tables)?,
            Writer::Json(json) => json.message(line, shown, &self.tables)?,
        }
        Ok(())
    }

    fn keepalive(&mut self, keepalive: &Keepalive) {
        match &mut self.writer {
            Writer::Lines(lines) => lines.keepalive(&mut self.line, keepalive),
            Writer::Json(json) => json.keepalive(&mut self.line, keepalive),
            Writer::Summary(_) => {}
        }
    }

    fn unknown(&mut self, frame: &[u8]) {
        match &mut self.writer {
            Writer::Lines(lines) => lines.unknown(&mut self.line, frame),
            Writer::Json(json) => json.unknown(&mut self.line, frame),
            Writer::Summary(_) => {}
        }
    }
}
