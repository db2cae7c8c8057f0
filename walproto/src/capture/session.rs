//! What was asked for when a stream was started, and of which server.

use core::fmt::{self, Write};
use core::iter::FusedIterator;
use core::str::FromStr;

use super::error::{CaptureError, CaptureErrorKind};
use super::writer::{Sink, TooLong, put};
use super::{Envelope, SESSION};
use crate::{Decoder, Lsn, Timestamp};

/// What was asked for when a stream was started, and of which server.
///
/// To make one, change the [`default`](Self::default).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Session<'a> {
    /// `server_version_num`, such as 180004.
    pub server_version_num: u32,
    /// What the cluster got from initdb; as IDENTIFY_SYSTEM has it.
    pub system_identifier: u64,
    /// The server's timeline; as IDENTIFY_SYSTEM has it.
    pub timeline: u32,
    /// The position in START_REPLICATION; the server goes on at the slot's own where that is later.
    pub start: Lsn,
    /// The option `proto_version`.
    pub protocol: u8,
    /// The option `binary`.
    pub binary: bool,
    /// The option `streaming`.
    pub streaming: Streaming,
    /// The stream was not started anew: the file before holds its beginning, Relation messages included.
    pub continued: bool,
    /// What stood between the parentheses of START_REPLICATION.
    pub options: &'a str,
}

impl Default for Session<'_> {
    fn default() -> Self {
        Self {
            server_version_num: 0,
            system_identifier: 0,
            timeline: 1,
            start: Lsn::ZERO,
            protocol: 1,
            binary: false,
            streaming: Streaming::Off,
            continued: false,
            options: "",
        }
    }
}

/// The option `streaming`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[non_exhaustive]
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
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Off => "off",
            Self::On => "on",
            Self::Parallel => "parallel",
        }
    }
}

impl<'a> Session<'a> {
    /// What reads the messages of this session from its beginning.
    pub const fn decoder(&self) -> Decoder {
        Decoder::new()
            .parallel(matches!(self.streaming, Streaming::Parallel))
            .binary(self.binary)
    }

    /// Writes the record; `more` are keys and values of the caller's own, behind those that the format knows.
    ///
    /// # Errors
    ///
    /// A text that is longer than 4 GiB; `out` is then spoilt.
    pub fn write(
        &self,
        time: Timestamp,
        more: &[(&str, &str)],
        out: &mut impl Sink,
    ) -> Result<(), TooLong> {
        let mut buffer = [Text::default(); 5];
        let [version, system, timeline, start, protocol] = &mut buffer;
        let known = [
            (SERVER_VERSION_NUM, version.of(self.server_version_num)),
            (SYSTEM_IDENTIFIER, system.of(self.system_identifier)),
            (TIMELINE, timeline.of(self.timeline)),
            (START, start.of(self.start)),
            (PROTOCOL, protocol.of(self.protocol)),
            (BINARY, switch(self.binary)),
            (STREAMING, self.streaming.as_str()),
            (OPTIONS, self.options),
        ];
        let continued = self.continued.then_some((CONTINUED, switch(true)));
        let fields = || {
            let more = more.iter().copied();
            known.into_iter().chain(continued).chain(more)
        };
        let len = fields()
            .map(|(key, value)| key.len() + value.len() + 8)
            .sum();
        let mut envelope = Envelope::begin(SESSION, time, len)?;
        out.put(envelope.head());
        for text in fields().flat_map(|(key, value)| [key, value]) {
            put(&mut envelope, text, out)?;
        }
        out.put(&envelope.tail());
        Ok(())
    }

    /// Reads the body of a record; `offset` is where it begins in the file.
    pub(super) fn read(body: &'a [u8], offset: u64) -> Result<Self, CaptureError> {
        let mut session = Self::default();
        let mut seen = [false; KEYS.len()];
        let mut rest = body;
        while !rest.is_empty() {
            let at = offset + (body.len() - rest.len()) as u64;
            let error = |kind| CaptureError { kind, offset: at };
            let (key, value, left) = pair(rest).ok_or_else(|| error(CaptureErrorKind::Fields))?;
            rest = left;
            let known = KEYS.into_iter().zip(&mut seen);
            let Some((key, seen)) = known.into_iter().find(|(known, _)| *known == key) else {
                continue;
            };
            if core::mem::replace(seen, true) {
                return Err(error(CaptureErrorKind::Repeated(key)));
            }
            if session.set(key, value).is_none() {
                return Err(error(CaptureErrorKind::Invalid(key)));
            }
        }
        for (key, seen) in KEYS.into_iter().zip(seen) {
            if !seen && key != CONTINUED {
                return Err(CaptureError {
                    kind: CaptureErrorKind::Missing(key),
                    offset,
                });
            }
        }
        Ok(session)
    }

    /// Takes over one value; `None` where it makes no sense.
    fn set(&mut self, key: &str, value: &'a str) -> Option<()> {
        match key {
            SERVER_VERSION_NUM => self.server_version_num = number(value)?,
            SYSTEM_IDENTIFIER => self.system_identifier = number(value)?,
            TIMELINE => self.timeline = number(value)?,
            START => self.start = value.parse().ok()?,
            PROTOCOL => self.protocol = number(value)?,
            BINARY => self.binary = switched(value)?,
            STREAMING => {
                self.streaming = [Streaming::Off, Streaming::On, Streaming::Parallel]
                    .into_iter()
                    .find(|streaming| streaming.as_str() == value)?;
            }
            CONTINUED => self.continued = switched(value)?,
            _ => self.options = value,
        }
        Some(())
    }
}

const SERVER_VERSION_NUM: &str = "server_version_num";
const SYSTEM_IDENTIFIER: &str = "system_identifier";
const TIMELINE: &str = "timeline";
const START: &str = "start";
const PROTOCOL: &str = "protocol";
const BINARY: &str = "binary";
const STREAMING: &str = "streaming";
const CONTINUED: &str = "continued";
const OPTIONS: &str = "options";

const KEYS: [&str; 9] = [
    SERVER_VERSION_NUM,
    SYSTEM_IDENTIFIER,
    TIMELINE,
    START,
    PROTOCOL,
    BINARY,
    STREAMING,
    CONTINUED,
    OPTIONS,
];

fn number<T: FromStr>(text: &str) -> Option<T> {
    // from_str would take a sign.
    let digits = text.bytes().all(|byte| byte.is_ascii_digit());
    text.parse().ok().filter(|_| digits)
}

fn switched(text: &str) -> Option<bool> {
    match text {
        "on" => Some(true),
        "off" => Some(false),
        _ => None,
    }
}

const fn switch(on: bool) -> &'static str {
    if on { "on" } else { "off" }
}

/// The keys and values of a session, in order, those included that are not known here.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Fields<'a>(pub(super) &'a [u8]);

impl<'a> Fields<'a> {
    /// The value for this key.
    pub fn value(mut self, key: &str) -> Option<&'a str> {
        self.find(|(other, _)| *other == key)
            .map(|(_, value)| value)
    }

    /// Those that the format does not know: the recorder's own.
    pub fn unknown(self) -> impl Iterator<Item = (&'a str, &'a str)> {
        self.filter(|(key, _)| !KEYS.contains(key))
    }
}

impl<'a> Iterator for Fields<'a> {
    type Item = (&'a str, &'a str);

    fn next(&mut self) -> Option<Self::Item> {
        let (key, value, rest) = pair(self.0)?;
        self.0 = rest;
        Some((key, value))
    }
}

impl FusedIterator for Fields<'_> {}

impl fmt::Debug for Fields<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_map().entries(*self).finish()
    }
}

fn pair(bytes: &[u8]) -> Option<(&str, &str, &[u8])> {
    let (key, rest) = text(bytes)?;
    let (value, rest) = text(rest)?;
    Some((key, value, rest))
}

fn text(bytes: &[u8]) -> Option<(&str, &[u8])> {
    let (len, rest) = bytes.split_first_chunk()?;
    let len = usize::try_from(u32::from_be_bytes(*len)).ok()?;
    let (text, rest) = rest.split_at_checked(len)?;
    Some((core::str::from_utf8(text).ok()?, rest))
}

/// A number or a position in words, without an allocator.
#[derive(Clone, Copy, Default)]
struct Text {
    bytes: [u8; 24],
    len: usize,
}

impl Text {
    fn of(&mut self, value: impl fmt::Display) -> &str {
        // 20 digits, or twice 8 and a slash: it fits.
        let _ = write!(self, "{value}");
        self.bytes
            .get(..self.len)
            .and_then(|bytes| core::str::from_utf8(bytes).ok())
            .unwrap_or_default()
    }
}

impl Write for Text {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        let rest = self.bytes.get_mut(self.len..).unwrap_or_default();
        let place = rest.get_mut(..text.len()).ok_or(fmt::Error)?;
        place.copy_from_slice(text.as_bytes());
        self.len += text.len();
        Ok(())
    }
}
