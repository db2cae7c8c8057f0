//! The capture file: what a server sent, byte by byte, and what it had been asked.
//!
//! The format is described in README.md. A file that is not a capture, or a broken one, is an error that names the
//! byte; a key of the header or a kind of frame that is not known is no error, so that newer files can be read.

use std::fmt;
use std::fs;
use std::path::{Path, PathBuf};

/// The first bytes of every capture; the line ends would not survive a transfer as text.
pub const MAGIC: [u8; 8] = *b"\x89PGCAP\r\n";

/// The version of the format that [`Capture::to_bytes`] writes.
pub const FORMAT: u16 = 1;

/// A stream as it was received.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Capture {
    /// What was asked, and of which server.
    pub header: Header,
    /// The body of every CopyData message, in order: frames `w` and `k`, and whatever later servers send.
    pub frames: Vec<Vec<u8>>,
}

/// The head of a capture.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Header {
    /// `server_version_num`, such as 150018.
    pub server_version_num: u32,
    /// The option `proto_version`.
    pub protocol: u8,
    /// The option `binary`.
    pub binary: bool,
    /// The option `streaming`.
    pub streaming: Streaming,
    /// All options as the command START_REPLICATION had them.
    pub options: String,
    /// Keys that this version of the reader does not know, in order.
    pub other: Vec<(String, String)>,
}

/// The option `streaming`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Streaming {
    /// Whole transactions only.
    #[default]
    Off,
    /// Large transactions before they commit.
    On,
    /// As `On`, and aborts say where and when.
    Parallel,
}

impl Streaming {
    /// The option's value.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Off => "off",
            Self::On => "on",
            Self::Parallel => "parallel",
        }
    }
}

/// Why bytes are not a capture.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CaptureError {
    /// What is wrong.
    pub kind: CaptureErrorKind,
    /// At which byte of the file.
    pub offset: usize,
}

/// What is wrong with a capture.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum CaptureErrorKind {
    /// It does not begin as captures do.
    NotACapture,
    /// It has a format version that this reader does not know.
    Format(u16),
    /// It ends in the middle of something.
    Truncated(&'static str),
    /// The header lacks this key.
    Missing(&'static str),
    /// The header's value for this key makes no sense.
    Invalid(&'static str),
    /// The header has this key twice.
    Repeated(String),
}

impl fmt::Display for CaptureError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.kind {
            CaptureErrorKind::NotACapture => f.write_str("not a capture file")?,
            CaptureErrorKind::Format(version) => {
                write!(f, "capture format {version} is not known, only {FORMAT}")?;
            }
            CaptureErrorKind::Truncated(what) => write!(f, "the file ends inside {what}")?,
            CaptureErrorKind::Missing(key) => write!(f, "the header lacks '{key}'")?,
            CaptureErrorKind::Invalid(what) => write!(f, "the header has an invalid {what}")?,
            CaptureErrorKind::Repeated(key) => write!(f, "the header has '{key}' twice")?,
        }
        write!(f, " (at byte {})", self.offset)
    }
}

impl std::error::Error for CaptureError {}

impl Capture {
    /// The bytes of the file.
    pub fn to_bytes(&self) -> Vec<u8> {
        let header = &self.header;
        let mut fields = Vec::new();
        let known = [
            ("server_version_num", header.server_version_num.to_string()),
            ("protocol", header.protocol.to_string()),
            ("binary", switch(header.binary).to_string()),
            ("streaming", header.streaming.as_str().to_string()),
            ("options", header.options.clone()),
        ];
        for (key, value) in &known {
            put(&mut fields, key.as_bytes());
            put(&mut fields, value.as_bytes());
        }
        for (key, value) in &header.other {
            put(&mut fields, key.as_bytes());
            put(&mut fields, value.as_bytes());
        }
        let mut out = MAGIC.to_vec();
        out.extend(FORMAT.to_be_bytes());
        put(&mut out, &fields);
        for frame in &self.frames {
            put(&mut out, frame);
        }
        out
    }

    /// Reads the bytes of a file.
    ///
    /// # Errors
    ///
    /// Says what is wrong, and where. A file that was cut is an error too; what came before the cut is not returned.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, CaptureError> {
        let mut reader = Reader { bytes, offset: 0 };
        if !bytes.starts_with(&MAGIC) {
            return Err(reader.error(CaptureErrorKind::NotACapture));
        }
        reader.offset = MAGIC.len();
        let format = match bytes.get(reader.offset..reader.offset + 2) {
            Some(&[high, low]) => u16::from_be_bytes([high, low]),
            _ => return Err(reader.error(CaptureErrorKind::Truncated("the format version"))),
        };
        if format != FORMAT {
            return Err(reader.error(CaptureErrorKind::Format(format)));
        }
        reader.offset += 2;
        let fields = reader.chunk("the header")?;
        let start = reader.offset - fields.len();
        let header = Header::read(&mut Reader {
            bytes: &bytes[..reader.offset],
            offset: start,
        })?;
        let mut frames = Vec::new();
        while reader.offset < bytes.len() {
            frames.push(reader.chunk("a frame")?.to_vec());
        }
        Ok(Self { header, frames })
    }

    /// Reads a file.
    ///
    /// # Panics
    ///
    /// If it cannot be read or is broken; the message names it.
    pub fn open(path: &Path) -> Self {
        let bytes = fs::read(path)
            .unwrap_or_else(|error| panic!("cannot read {}: {error}", path.display()));
        Self::from_bytes(&bytes).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
    }

    /// The pgoutput messages: what is inside the frames `w`.
    pub fn messages(&self) -> impl Iterator<Item = &[u8]> {
        self.frames
            .iter()
            .filter(|frame| frame.first() == Some(&b'w'))
            .filter_map(|frame| frame.get(25..))
    }
}

impl Header {
    fn read(reader: &mut Reader<'_>) -> Result<Self, CaptureError> {
        let mut header = Self::default();
        let mut seen: Vec<String> = Vec::new();
        while reader.offset < reader.bytes.len() {
            let at = reader.offset;
            let error = |kind| CaptureError { kind, offset: at };
            let key = reader.text("key")?;
            let value = reader.text("value")?;
            let invalid = |what| error(CaptureErrorKind::Invalid(what));
            match key {
                "server_version_num" => {
                    header.server_version_num =
                        value.parse().map_err(|_| invalid("server_version_num"))?;
                }
                "protocol" => {
                    header.protocol = value.parse().map_err(|_| invalid("protocol"))?;
                }
                "binary" => {
                    header.binary = match value {
                        "on" => true,
                        "off" => false,
                        _ => return Err(invalid("binary")),
                    };
                }
                "streaming" => {
                    header.streaming = [Streaming::Off, Streaming::On, Streaming::Parallel]
                        .into_iter()
                        .find(|streaming| streaming.as_str() == value)
                        .ok_or_else(|| invalid("streaming"))?;
                }
                "options" => header.options = value.into(),
                _ => header.other.push((key.into(), value.into())),
            }
            if seen.iter().any(|other| other == key) {
                return Err(error(CaptureErrorKind::Repeated(key.into())));
            }
            seen.push(key.into());
        }
        for key in ["server_version_num", "protocol", "binary", "streaming"] {
            if !seen.iter().any(|other| other == key) {
                return Err(reader.error(CaptureErrorKind::Missing(key)));
            }
        }
        Ok(header)
    }
}

struct Reader<'a> {
    bytes: &'a [u8],
    offset: usize,
}

impl<'a> Reader<'a> {
    fn error(&self, kind: CaptureErrorKind) -> CaptureError {
        CaptureError {
            kind,
            offset: self.offset,
        }
    }

    /// A length and as many bytes. The error's offset is where the length stands.
    fn chunk(&mut self, what: &'static str) -> Result<&'a [u8], CaptureError> {
        let truncated = || CaptureError {
            kind: CaptureErrorKind::Truncated(what),
            offset: self.offset,
        };
        let rest = self.bytes.get(self.offset..).ok_or_else(truncated)?;
        let (length, rest) = rest.split_first_chunk().ok_or_else(truncated)?;
        let chunk = usize::try_from(u32::from_be_bytes(*length))
            .ok()
            .and_then(|length| rest.get(..length))
            .ok_or_else(truncated)?;
        self.offset += 4 + chunk.len();
        Ok(chunk)
    }

    fn text(&mut self, what: &'static str) -> Result<&'a str, CaptureError> {
        let at = self.offset;
        let bytes = self.chunk(what)?;
        std::str::from_utf8(bytes).map_err(|_| CaptureError {
            kind: CaptureErrorKind::Invalid(what),
            offset: at,
        })
    }
}

fn put(out: &mut Vec<u8>, chunk: &[u8]) {
    let length = u32::try_from(chunk.len()).expect("a frame is smaller than 4 GiB");
    out.extend(length.to_be_bytes());
    out.extend_from_slice(chunk);
}

fn switch(on: bool) -> &'static str {
    if on { "on" } else { "off" }
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
