//! Reads recordings as a stranger would: with the format's reader, file by file, without anything of the recorder.

use std::collections::{HashMap, HashSet};
use std::fs::{self, File};
use std::io::Read;
use std::path::{Path, PathBuf};

use flate2::read::GzDecoder;
use walproto::capture::{Body, CaptureError, Reader, Session};
use walproto::{Column, Decoder, Frame, Lsn, Message, Oid, Xid};

/// What the files of a recording say.
#[derive(Debug, Default)]
pub(crate) struct Tape {
    pub(crate) committed: Vec<Transaction>,
    pub(crate) sessions: usize,
    /// Sessions that go on with the stream of the file before.
    pub(crate) continued: usize,
    /// The furthest position that a commit, a keepalive or a session says.
    pub(crate) reached: u64,
    pub(crate) text: usize,
    pub(crate) binary: usize,
    pub(crate) messages: usize,
    /// Where and why the last file ends early.
    pub(crate) torn: Option<CaptureError>,
    pub(crate) files: usize,
}

/// A committed transaction.
#[derive(Debug)]
pub(crate) struct Transaction {
    pub(crate) end_lsn: u64,
    /// The inserted rows that survived.
    pub(crate) ids: Vec<i32>,
}

/// The reader's side of one session.
#[derive(Default)]
struct Playing {
    decoder: Decoder,
    relations: HashSet<Oid>,
    current: Vec<(Option<Xid>, i32)>,
    block: Option<Xid>,
    open: HashMap<Xid, Vec<(Option<Xid>, i32)>>,
}

/// The files of a recording, oldest first.
pub(crate) fn files(file: &Path) -> Vec<PathBuf> {
    let name = file.file_name().unwrap().to_str().unwrap().to_owned() + ".0";
    let mut files: Vec<PathBuf> = fs::read_dir(file.parent().unwrap())
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| {
            let other = path.file_name().unwrap().to_str().unwrap();
            other.starts_with(&name) && !other.ends_with(".partial")
        })
        .collect();
    files.sort();
    // Between the end of one and the beginning of the next there is none.
    files.extend(file.exists().then(|| file.to_owned()));
    files
}

fn bytes(path: &Path) -> Vec<u8> {
    let mut bytes = Vec::new();
    if path.extension().is_some_and(|extension| extension == "gz") {
        GzDecoder::new(File::open(path).unwrap())
            .read_to_end(&mut bytes)
            .unwrap();
    } else {
        bytes = fs::read(path).unwrap();
    }
    bytes
}

impl Tape {
    pub(crate) fn read(file: &Path) -> Self {
        let mut tape = Self::default();
        let mut playing = Playing::default();
        for path in files(file) {
            assert!(tape.torn.is_none(), "a finished file is torn");
            tape.file(&bytes(&path), &mut playing);
            tape.files += 1;
        }
        tape
    }

    fn file(&mut self, bytes: &[u8], playing: &mut Playing) {
        // Each file has to announce what it uses.
        playing.relations.clear();
        let reader = match Reader::new(bytes) {
            Ok(reader) => reader,
            Err(error) => {
                assert!(error.is_torn(), "{error}");
                self.torn = Some(error);
                return;
            }
        };
        for record in reader {
            match record {
                Ok(record) => match record.body {
                    Body::Session { session, fields } => {
                        let reached = fields.value("reached").expect("what lies before");
                        let reached: Lsn = reached.parse().expect("a position");
                        self.reached = self.reached.max(reached.0);
                        self.session(&session, playing);
                    }
                    Body::Frame(frame) => self.frame(frame, playing),
                    other => panic!("{other:?}"),
                },
                Err(error) => {
                    assert!(error.is_torn(), "{error}");
                    self.torn = Some(error);
                }
            }
        }
    }

    fn session(&mut self, session: &Session<'_>, playing: &mut Playing) {
        self.sessions += 1;
        if session.continued {
            assert!(playing.current.is_empty() && playing.open.is_empty());
            self.continued += 1;
        } else {
            *playing = Playing {
                decoder: session.decoder(),
                ..Playing::default()
            };
        }
    }

    fn frame(&mut self, frame: &[u8], playing: &mut Playing) {
        let wal = match Frame::parse(frame).unwrap() {
            Frame::WalData(wal) => wal,
            Frame::Keepalive(keepalive) => {
                self.reached = self.reached.max(keepalive.wal_end.0);
                return;
            }
            other => panic!("{other:?}"),
        };
        let decoded = playing.decoder.decode(wal.data).unwrap();
        match decoded.message {
            Message::Relation(relation) => {
                playing.relations.insert(relation.oid);
            }
            Message::Insert(insert) => {
                assert!(
                    playing.relations.contains(&insert.relation),
                    "a relation that the file did not announce"
                );
                let id = match insert.new.columns().next().unwrap() {
                    Column::Text(text) => {
                        self.text += 1;
                        std::str::from_utf8(text).unwrap().parse().unwrap()
                    }
                    Column::Binary(bytes) => {
                        self.binary += 1;
                        i32::from_be_bytes(bytes.try_into().unwrap())
                    }
                    other => panic!("{other:?}"),
                };
                match playing.block {
                    Some(top) => playing.open.get_mut(&top).unwrap().push((decoded.xid, id)),
                    None => playing.current.push((None, id)),
                }
            }
            Message::StreamStart(start) => {
                let rows = playing.open.entry(start.xid).or_default();
                if start.first_segment {
                    rows.clear();
                }
                playing.block = Some(start.xid);
            }
            Message::StreamStop => playing.block = None,
            Message::StreamAbort(abort) if abort.xid == abort.subxid => {
                playing.open.remove(&abort.xid);
            }
            Message::StreamAbort(abort) => {
                if let Some(rows) = playing.open.get_mut(&abort.xid) {
                    rows.retain(|(xid, _)| *xid != Some(abort.subxid));
                }
            }
            Message::StreamCommit(commit) => {
                let rows = playing.open.remove(&commit.xid).unwrap();
                self.commit(commit.end_lsn, rows);
            }
            Message::Commit(commit) => {
                let rows = std::mem::take(&mut playing.current);
                self.commit(commit.end_lsn, rows);
            }
            Message::Logical(_) => self.messages += 1,
            _ => {}
        }
    }

    fn commit(&mut self, end_lsn: Lsn, rows: Vec<(Option<Xid>, i32)>) {
        self.reached = self.reached.max(end_lsn.0);
        self.committed.push(Transaction {
            end_lsn: end_lsn.0,
            ids: rows.into_iter().map(|(_, id)| id).collect(),
        });
    }

    /// Those with rows; fails where one is there twice or out of order.
    pub(crate) fn transactions(&self) -> impl Iterator<Item = &Transaction> {
        let rising = self
            .committed
            .windows(2)
            .all(|pair| pair[0].end_lsn < pair[1].end_lsn);
        assert!(rising, "a transaction is there twice or out of order");
        self.committed.iter().filter(|it| !it.ids.is_empty())
    }

    /// All rows, in order of their numbers.
    pub(crate) fn ids(&self) -> Vec<i32> {
        let mut ids: Vec<i32> = self
            .transactions()
            .flat_map(|it| it.ids.iter().copied())
            .collect();
        ids.sort_unstable();
        ids
    }
}
