//! Captures held in memory, and those in the repository.
//!
//! The file format is that of [`walproto::capture`]; there is one implementation of it. What the frames say is none of
//! its business.

use std::fs;
use std::path::{Path, PathBuf};

use walproto::capture::{Body, Reader, Session, write_frame, write_head};
use walproto::{Lsn, Timestamp};

pub use walproto::capture::{CaptureError, CaptureErrorKind, FORMAT, MAGIC, Streaming};

/// One session of a stream as it was received.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Capture {
    /// What was asked, and of which server.
    pub header: Header,
    /// The body of every CopyData message, in order: frames `w` and `k`, and whatever later servers send.
    pub frames: Vec<Vec<u8>>,
    /// When each frame was received, in microseconds since 2000-01-01.
    pub times: Vec<i64>,
}

/// What was asked, and of which server.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Header {
    /// When the stream was started, in microseconds since 2000-01-01.
    pub time: i64,
    /// `server_version_num`, such as 150018.
    pub server_version_num: u32,
    /// As IDENTIFY_SYSTEM has it.
    pub system_identifier: u64,
    /// As IDENTIFY_SYSTEM has it.
    pub timeline: u32,
    /// The position in START_REPLICATION.
    pub start: u64,
    /// The option `proto_version`.
    pub protocol: u8,
    /// The option `binary`.
    pub binary: bool,
    /// The option `streaming`.
    pub streaming: Streaming,
    /// All options as the command START_REPLICATION had them.
    pub options: String,
    /// Keys that the format does not know, in order.
    pub other: Vec<(String, String)>,
}

impl Capture {
    /// The bytes of a file with this one session.
    pub fn to_bytes(&self) -> Vec<u8> {
        let mut out = Vec::new();
        write_head(&mut out);
        self.write(&mut out);
        out
    }

    /// Writes the records of this session.
    ///
    /// # Panics
    ///
    /// If there are not as many times as frames.
    pub fn write(&self, out: &mut Vec<u8>) {
        let header = &self.header;
        let mut session = Session::default();
        session.server_version_num = header.server_version_num;
        session.system_identifier = header.system_identifier;
        session.timeline = header.timeline;
        session.start = Lsn(header.start);
        session.protocol = header.protocol;
        session.binary = header.binary;
        session.streaming = header.streaming;
        session.options = &header.options;
        let other: Vec<_> = header
            .other
            .iter()
            .map(|(key, value)| (key.as_str(), value.as_str()))
            .collect();
        session
            .write(Timestamp(header.time), &other, out)
            .expect("no text is that long");
        assert_eq!(self.frames.len(), self.times.len());
        for (frame, time) in self.frames.iter().zip(&self.times) {
            write_frame(Timestamp(*time), frame, out).expect("no frame is that long");
        }
    }

    /// Reads the bytes of a file: each of its sessions.
    ///
    /// # Errors
    ///
    /// Says what is wrong, and where. A file that was cut is an error too; what came before the cut is not returned.
    pub fn sessions(bytes: &[u8]) -> Result<Vec<Self>, CaptureError> {
        let mut sessions: Vec<Self> = Vec::new();
        for record in Reader::new(bytes)? {
            let record = record?;
            match (record.body, sessions.last_mut()) {
                (Body::Session { session, fields }, _) => sessions.push(Self {
                    header: Header {
                        time: record.time.0,
                        server_version_num: session.server_version_num,
                        system_identifier: session.system_identifier,
                        timeline: session.timeline,
                        start: session.start.0,
                        protocol: session.protocol,
                        binary: session.binary,
                        streaming: session.streaming,
                        options: session.options.into(),
                        other: fields
                            .unknown()
                            .map(|(key, value)| (key.into(), value.into()))
                            .collect(),
                    },
                    ..Self::default()
                }),
                (Body::Frame(frame), Some(capture)) => {
                    capture.frames.push(frame.into());
                    capture.times.push(record.time.0);
                }
                _ => {}
            }
        }
        Ok(sessions)
    }

    /// Reads a file with one session.
    ///
    /// # Panics
    ///
    /// If it cannot be read, is broken, or holds none or several; the message names it.
    pub fn open(path: &Path) -> Self {
        let bytes = fs::read(path)
            .unwrap_or_else(|error| panic!("cannot read {}: {error}", path.display()));
        let mut sessions =
            Self::sessions(&bytes).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
        assert_eq!(sessions.len(), 1, "sessions in {}", path.display());
        sessions.remove(0)
    }

    /// The pgoutput messages: what is inside the frames `w`.
    pub fn messages(&self) -> impl Iterator<Item = &[u8]> {
        self.frames
            .iter()
            .filter(|frame| frame.first() == Some(&b'w'))
            .filter_map(|frame| frame.get(25..))
    }
}

/// A capture in the repository and its expected decoding.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Golden {
    /// Such as `pg16/keys_v2_text`.
    pub name: String,
    /// The capture.
    pub path: PathBuf,
    /// What it says, in the line format of README.md.
    pub expected: PathBuf,
}

impl Golden {
    /// Reads the capture.
    pub fn capture(&self) -> Capture {
        Capture::open(&self.path)
    }

    /// Reads the expected decoding: one line for each frame.
    pub fn lines(&self) -> Vec<String> {
        let text = fs::read_to_string(&self.expected)
            .unwrap_or_else(|error| panic!("cannot read {}: {error}", self.expected.display()));
        text.lines().map(str::to_owned).collect()
    }
}

/// The folder of the captures.
pub fn captures_folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("captures")
}

/// Every capture in the repository, by name.
///
/// # Panics
///
/// If there are none: a golden test over nothing must not pass.
pub fn captures() -> Vec<Golden> {
    let mut all = Vec::new();
    for folder in entries(&captures_folder()) {
        for path in entries(&folder) {
            if path
                .extension()
                .is_some_and(|extension| extension == "capture")
            {
                let part = |path: &Path| {
                    path.file_stem()
                        .unwrap_or_default()
                        .to_string_lossy()
                        .into_owned()
                };
                all.push(Golden {
                    name: format!("{}/{}", part(&folder), part(&path)),
                    expected: path.with_extension("txt"),
                    path,
                });
            }
        }
    }
    all.sort_by(|a, b| a.name.cmp(&b.name));
    assert!(
        !all.is_empty(),
        "there are no captures in {}",
        captures_folder().display()
    );
    all
}

fn entries(folder: &Path) -> Vec<PathBuf> {
    fs::read_dir(folder)
        .into_iter()
        .flatten()
        .flatten()
        .map(|entry| entry.path())
        .collect()
}
