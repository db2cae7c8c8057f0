//! A capture file whose values tell nothing any more, to be shown to strangers.
//!
//! What stays is the shape: every message, position, transaction and definition, which values are NULL, unchanged or not
//! sent, and how long they are (an address is as long as its numbers). What is replaced is every value, and the content
//! of logical messages: digits become digits, letters become letters of the same case and script, dates become dates,
//! and punctuation stays. Booleans, NaN, infinities, zero and empty values stay too.
//!
//! The same value becomes the same, in every table and column of a kind, and different values stay different, so that
//! keys remain keys and joins find their rows. The key for that is drawn anew for each run and thrown away. Still this is
//! no encryption: who knows what to expect may learn from lengths, frequencies, order of arrival and times.
//!
//! A value of a type that is not built in (an enum, a composite, a domain) is replaced as text, or in binary form as what
//! it looks like; the label of an enum becomes a word that is no label. Ranges may end before they begin. Frames and
//! records of kinds that are not known here are left out.

mod binary;
mod cipher;
mod family;
mod moment;
mod text;
mod value;

use std::collections::HashMap;
use std::fs::{File, OpenOptions};
use std::io::{self, BufWriter, Write};
use std::path::{Path, PathBuf};

use walproto::capture::{Body, Fields, Record, Session, TooLong, write_frame, write_head};
use walproto::{
    BeginPrepare, Column, ColumnDef, ColumnDefs, CommitPrepared, Decoder, Delete, EncodeError,
    Encoder, Frame, Insert, Logical, Message, Oid, OldRow, Origin, Prepare, Relation,
    RollbackPrepared, StreamPrepare, Tuple, Type, Update, WalData,
};

use crate::decode::CaptureFile;
use crate::error::{Error, Result};
use crate::show::{ShowError, located};
use cipher::Cipher;

/// What to make anonymous, and how far.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct AnonymiseConfig {
    /// The capture files, in the order in which they were recorded.
    pub files: Vec<PathBuf>,
    /// The file to write; it must not exist.
    pub output: PathBuf,
    /// Whether names are replaced too: of schemas, tables, columns, types, origins, publications, prepared
    /// transactions, prefixes of logical messages, and what the recorder noted.
    pub names: bool,
}

impl AnonymiseConfig {
    /// Replaces the values in these files, and leaves names alone.
    pub fn new(
        files: impl IntoIterator<Item = impl Into<PathBuf>>,
        output: impl Into<PathBuf>,
    ) -> Self {
        Self {
            files: files.into_iter().map(Into::into).collect(),
            output: output.into(),
            names: false,
        }
    }
}

/// Writes an anonymous capture file.
///
/// # Errors
///
/// As [`decode`](crate::decode()); and a file that exists or cannot be written. What was written is removed then.
pub fn anonymise(config: &AnonymiseConfig) -> Result<()> {
    let cannot = |error: io::Error| {
        let message = format!("cannot write {}", config.output.display());
        match error.kind() {
            io::ErrorKind::AlreadyExists | io::ErrorKind::NotFound => Error::usage(message),
            _ => Error::retry(message),
        }
        .caused_by(error)
    };
    let file = OpenOptions::new()
        .write(true)
        .create_new(true)
        .open(&config.output)
        .map_err(cannot)?;
    let mut out = BufWriter::with_capacity(1 << 20, file);
    let done = write(config, &mut out, cannot);
    if done.is_err() {
        // Half of it is of no use, and a second try would meet it.
        let _ = std::fs::remove_file(&config.output);
    }
    done
}

fn write(
    config: &AnonymiseConfig,
    out: &mut BufWriter<File>,
    cannot: impl Fn(io::Error) -> Error,
) -> Result<()> {
    let mut anonymiser = Anonymiser::new(config.names);
    let mut bytes = Vec::new();
    write_head(&mut bytes);
    for path in &config.files {
        CaptureFile::open(path)?.for_each(|record| {
            anonymiser.record(path, &record, &mut bytes)?;
            out.write_all(&bytes).map_err(&cannot)?;
            bytes.clear();
            Ok::<_, Error>(())
        })?;
    }
    out.write_all(&bytes).map_err(&cannot)?;
    out.flush().map_err(&cannot)
}

/// Replaces what is in one record after the other.
#[derive(Debug)]
struct Anonymiser {
    cipher: Cipher,
    names: bool,
    decoder: Decoder,
    encoder: Encoder,
    /// The types of each table's columns.
    tables: HashMap<Oid, Vec<u32>>,
}

/// Why a message cannot be replaced.
enum Failed {
    Show(ShowError),
    Encode(EncodeError),
    TooLong,
}

impl From<ShowError> for Failed {
    fn from(error: ShowError) -> Self {
        Self::Show(error)
    }
}

impl From<EncodeError> for Failed {
    fn from(error: EncodeError) -> Self {
        Self::Encode(error)
    }
}

impl From<TooLong> for Failed {
    fn from(_: TooLong) -> Self {
        Self::TooLong
    }
}

impl Anonymiser {
    fn new(names: bool) -> Self {
        Self {
            cipher: Cipher::default(),
            names,
            decoder: Decoder::new(),
            encoder: Encoder::new(),
            tables: HashMap::new(),
        }
    }

    fn record(&mut self, path: &Path, record: &Record<'_>, out: &mut Vec<u8>) -> Result<()> {
        let (done, content) = match record.body {
            Body::Session { session, fields } => {
                (self.session(record, &session, fields, out), false)
            }
            Body::Frame(frame) => (self.frame(record, frame, out), true),
            // Whatever it is, it may hold anything.
            _ => return Ok(()),
        };
        done.map_err(|failed| match failed {
            Failed::Show(error) => located(path, record.offset, content, error),
            Failed::Encode(error) => Error::person(format!(
                "{}: cannot write again what the record at byte {} holds: {error}",
                path.display(),
                record.offset
            )),
            Failed::TooLong => Error::person(TooLong.to_string()),
        })
    }

    fn session(
        &mut self,
        record: &Record<'_>,
        session: &Session<'_>,
        fields: Fields<'_>,
        out: &mut Vec<u8>,
    ) -> Result<(), Failed> {
        if !session.continued || self.tables.is_empty() {
            self.decoder = session.decoder();
            self.encoder = Encoder::new()
                .parallel(session.streaming == walproto::capture::Streaming::Parallel)
                .binary(session.binary);
            self.tables.clear();
        }
        let options = self.options(session.options);
        let mut other = *session;
        other.options = &options;
        let more: Vec<(&str, String)> = fields
            .unknown()
            .map(|(key, value)| (key, self.name(value)))
            .collect();
        let more: Vec<(&str, &str)> = more.iter().map(|(key, value)| (*key, &**value)).collect();
        Ok(other.write(record.time, &more, out)?)
    }

    /// The names of publications, in quotes after their option.
    fn options(&self, options: &str) -> String {
        const NAMES: &str = "publication_names '";
        let Some((before, rest)) = options.split_once(NAMES) else {
            return options.to_owned();
        };
        // A quote within is there twice, so what follows the first is a name, too.
        let (names, after) = match rest.split_once("', ") {
            Some((names, after)) => (names, format!("', {after}")),
            None => match rest.strip_suffix('\'') {
                Some(names) => (names, "'".to_owned()),
                None => (rest, String::new()),
            },
        };
        format!("{before}{NAMES}{}{after}", self.name(names))
    }

    fn name(&self, name: &str) -> String {
        if !self.names {
            return name.to_owned();
        }
        String::from_utf8_lossy(&text::words(&self.cipher, name.as_bytes())).into_owned()
    }

    /// A schema of the server's own stays: it is nobody's secret, and types are found in it.
    fn schema(&self, name: &str) -> String {
        match name {
            "" | "public" | "pg_catalog" => name.to_owned(),
            name => self.name(name),
        }
    }

    fn frame(
        &mut self,
        record: &Record<'_>,
        frame: &[u8],
        out: &mut Vec<u8>,
    ) -> Result<(), Failed> {
        match Frame::parse(frame) {
            Ok(Frame::WalData(wal)) => {
                let broken = |error| ShowError::broken(error, frame.len() - wal.data.len());
                let decoded = self.decoder.decode(wal.data).map_err(broken)?;
                let mut copy = WalData { data: &[], ..wal }.head().to_vec();
                self.message(decoded.xid, decoded.message, &mut copy)?;
                Ok(write_frame(record.time, &copy, out)?)
            }
            Ok(_) => Ok(write_frame(record.time, frame, out)?),
            // A later server's: left out, as it may hold anything.
            Err(_) if !matches!(frame.first(), None | Some(b'w' | b'k')) => Ok(()),
            Err(error) => Err(ShowError::broken(error, 0).into()),
        }
    }

    fn message(
        &mut self,
        xid: Option<walproto::Xid>,
        message: Message<'_>,
        out: &mut Vec<u8>,
    ) -> Result<(), Failed> {
        // Strings that the new message borrows.
        let (namespace, name, content);
        let mut buffer = Vec::new();
        let mut second = Vec::new();
        let message = match message {
            Message::Insert(insert) => Message::Insert(Insert {
                new: self.row(insert.relation, insert.new, &mut buffer)?,
                ..insert
            }),
            Message::Update(update) => Message::Update(Update {
                old: match update.old {
                    Some(old) => Some(self.old(update.relation, old, &mut second)?),
                    None => None,
                },
                new: self.row(update.relation, update.new, &mut buffer)?,
                ..update
            }),
            Message::Delete(delete) => Message::Delete(Delete {
                old: self.old(delete.relation, delete.old, &mut buffer)?,
                ..delete
            }),
            Message::Logical(logical) => {
                name = self.name(logical.prefix);
                content = binary::content(&self.cipher, logical.content);
                Message::Logical(Logical {
                    prefix: &name,
                    content: &content,
                    ..logical
                })
            }
            Message::Relation(relation) => {
                let types = relation.columns.map(|column| column.type_oid.0).collect();
                self.tables.insert(relation.oid, types);
                namespace = self.schema(relation.namespace);
                name = self.name(relation.name);
                Message::Relation(Relation {
                    namespace: &namespace,
                    name: &name,
                    columns: self.columns(relation.columns, &mut buffer)?,
                    ..relation
                })
            }
            Message::Type(kind) => {
                namespace = self.schema(kind.namespace);
                name = self.name(kind.name);
                Message::Type(Type {
                    namespace: &namespace,
                    name: &name,
                    ..kind
                })
            }
            Message::Origin(origin) => {
                name = self.name(origin.name);
                Message::Origin(Origin {
                    name: &name,
                    ..origin
                })
            }
            Message::BeginPrepare(it) => {
                name = self.name(it.gid);
                Message::BeginPrepare(BeginPrepare { gid: &name, ..it })
            }
            Message::Prepare(it) => {
                name = self.name(it.gid);
                Message::Prepare(Prepare { gid: &name, ..it })
            }
            Message::StreamPrepare(it) => {
                name = self.name(it.gid);
                Message::StreamPrepare(StreamPrepare { gid: &name, ..it })
            }
            Message::CommitPrepared(it) => {
                name = self.name(it.gid);
                Message::CommitPrepared(CommitPrepared { gid: &name, ..it })
            }
            Message::RollbackPrepared(it) => {
                name = self.name(it.gid);
                Message::RollbackPrepared(RollbackPrepared { gid: &name, ..it })
            }
            // Nothing in these but numbers of the server's.
            other => other,
        };
        let start = out.len();
        let len = self.encoder.encoded_len(xid, &message)?;
        out.resize(start + len, 0);
        self.encoder.encode(xid, &message, &mut out[start..])?;
        Ok(())
    }

    fn columns<'b>(
        &self,
        columns: ColumnDefs<'_>,
        buffer: &'b mut Vec<u8>,
    ) -> Result<ColumnDefs<'b>, Failed> {
        let names: Vec<String> = columns.map(|column| self.name(column.name)).collect();
        let len = names.iter().map(|name| name.len() + 10).sum();
        buffer.resize(len, 0);
        let columns = columns
            .zip(&names)
            .map(|(column, name)| ColumnDef { name, ..column });
        Ok(ColumnDefs::write(columns, buffer)?.0)
    }

    fn old<'b>(
        &self,
        relation: Oid,
        old: OldRow<'_>,
        buffer: &'b mut Vec<u8>,
    ) -> Result<OldRow<'b>, Failed> {
        let row = self.row(relation, old.tuple(), buffer)?;
        Ok(match old {
            OldRow::Key(_) => OldRow::Key(row),
            OldRow::Full(_) => OldRow::Full(row),
        })
    }

    fn row<'b>(
        &self,
        relation: Oid,
        row: Tuple<'_>,
        buffer: &'b mut Vec<u8>,
    ) -> Result<Tuple<'b>, Failed> {
        let types = self.tables.get(&relation);
        let types = types.ok_or(ShowError::UnknownRelation(relation))?;
        if types.len() != row.len() {
            return Err(ShowError::ColumnCount {
                table: relation.to_string(),
                columns: types.len(),
                values: row.len(),
            }
            .into());
        }
        let values: Vec<Option<Vec<u8>>> = types
            .iter()
            .zip(row.columns())
            .map(|(type_oid, column)| match column {
                Column::Text(text) => Some(value::text(&self.cipher, *type_oid, text)),
                Column::Binary(bytes) => Some(binary::binary(&self.cipher, *type_oid, bytes)),
                _ => None,
            })
            .collect();
        let len = values
            .iter()
            .flatten()
            .map(|value| value.len() + 5)
            .sum::<usize>()
            + row.len();
        buffer.resize(len, 0);
        let columns = row
            .columns()
            .zip(&values)
            .map(|(column, value)| match (column, value) {
                (Column::Text(_), Some(value)) => Column::Text(value),
                (Column::Binary(_), Some(value)) => Column::Binary(value),
                (column, _) => column,
            });
        Ok(Tuple::write(columns, buffer)?.0)
    }
}
