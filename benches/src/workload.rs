//! What is parsed: captures of a real server, held in memory.

use std::fmt;
use std::path::PathBuf;

use testdata::Capture;
use testdata::capture::Streaming;

use crate::contestant::checked;

/// The messages of one capture, side by side in memory as they came.
pub struct Workload {
    name: &'static str,
    title: &'static str,
    binary: bool,
    streamed: bool,
    messages: Vec<&'static [u8]>,
    #[cfg(feature = "peers")]
    shared: Vec<bytes::Bytes>,
}

/// Name of the file, and what a reader of the table should know.
const ALL: [(&str, &str); 7] = [
    ("tpcb", "TPC-B transactions (B U U U I C)"),
    ("narrow", "bulk insert, 3 narrow columns"),
    ("wide", "insert, 40 mixed columns"),
    ("large", "insert, one value of 8 kB"),
    ("full", "update, REPLICA IDENTITY FULL"),
    ("streamed", "streamed blocks (protocol 2)"),
    ("binary", "insert, 12 binary columns"),
];

impl Workload {
    /// All of them, in the order of the table.
    pub fn all() -> Vec<Self> {
        ALL.map(|(name, title)| Self::open(name, title)).into()
    }

    /// The file of the workload `name`.
    pub fn path(name: &str) -> PathBuf {
        PathBuf::from(env!("CARGO_MANIFEST_DIR"))
            .join("captures")
            .join(name)
            .with_extension("capture")
    }

    fn open(name: &'static str, title: &'static str) -> Self {
        let capture = Capture::open(&Self::path(name));
        // One buffer, so that the cache sees what a socket's buffer would show it; never freed, there are only seven.
        let mut ends = Vec::new();
        let mut bytes = Vec::new();
        for message in capture.messages() {
            bytes.extend_from_slice(message);
            ends.push(bytes.len());
        }
        let bytes: &'static [u8] = bytes.leak();
        let starts = [0].into_iter().chain(ends.iter().copied());
        let messages: Vec<_> = starts.zip(&ends).map(|(a, &b)| &bytes[a..b]).collect();
        #[cfg(feature = "peers")]
        let shared = {
            // Counted, as a read buffer is; a static one would spare the contestants their atomic operations.
            let owner = bytes::Bytes::from(bytes.to_vec());
            messages
                .iter()
                .map(|message| {
                    let start = message.as_ptr().addr() - bytes.as_ptr().addr();
                    owner.slice(start..start + message.len())
                })
                .collect()
        };
        let workload = Self {
            name,
            title,
            binary: capture.header.binary,
            streamed: capture.header.streaming != Streaming::Off,
            messages,
            #[cfg(feature = "peers")]
            shared,
        };
        // The unchecked walk relies on this.
        assert!(
            checked::walk(&workload).is_some(),
            "{name}: not a sound capture"
        );
        workload
    }

    /// The name of its file.
    pub fn name(&self) -> &'static str {
        self.name
    }

    /// What it consists of.
    pub fn title(&self) -> &'static str {
        self.title
    }

    /// Whether columns come in binary form.
    pub fn binary(&self) -> bool {
        self.binary
    }

    /// Whether transactions come in blocks, with a transaction id in each message.
    pub fn streamed(&self) -> bool {
        self.streamed
    }

    /// The messages; every one of them has passed the checked walk.
    pub fn messages(&self) -> &[&'static [u8]] {
        &self.messages
    }

    /// The messages as slices of one counted buffer.
    #[cfg(feature = "peers")]
    pub fn shared(&self) -> &[bytes::Bytes] {
        &self.shared
    }

    /// Length of all messages.
    pub fn bytes(&self) -> usize {
        self.messages.iter().map(|message| message.len()).sum()
    }
}

impl fmt::Debug for Workload {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Workload({}, {})", self.name, self.messages.len())
    }
}
