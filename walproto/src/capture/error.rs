//! What is wrong with a capture file, and at which byte.

use core::fmt;

use super::FORMAT;

/// Bytes that are not a capture file, or a broken one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct CaptureError {
    /// What is wrong.
    pub kind: CaptureErrorKind,
    /// At which byte of the file: where the record, the checksum or the field begins.
    pub offset: u64,
}

/// What is wrong with a capture file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum CaptureErrorKind {
    /// It does not begin as capture files do.
    NotACapture,
    /// It has a version of the format that is not known here.
    Format(u16),
    /// It ends inside its head or a record, which begins at the offset: it was cut, or is still being written.
    Torn,
    /// A record has changed since it was written: the checksum at the offset is another.
    Checksum,
    /// It has a frame before the first session.
    NoSession,
    /// A session's pairs of key and value do not fill it, or are not UTF-8.
    Fields,
    /// A session lacks this key.
    Missing(&'static str),
    /// A session's value for this key makes no sense.
    Invalid(&'static str),
    /// A session has this key twice.
    Repeated(&'static str),
}

impl CaptureError {
    /// Whether all is well up to [`offset`](Self::offset) and nothing is known to have been damaged: who writes the file
    /// may cut it there and go on.
    ///
    /// So ends a file whose writer crashed: in the middle of a record, or with zero bytes where the file had grown but
    /// its content was not yet on disk.
    pub const fn is_torn(&self) -> bool {
        matches!(self.kind, CaptureErrorKind::Torn)
    }
}

impl fmt::Display for CaptureError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.kind {
            CaptureErrorKind::NotACapture => return f.write_str("not a capture file"),
            CaptureErrorKind::Format(version) => {
                return write!(
                    f,
                    "capture format {version} is not known here, only {FORMAT}"
                );
            }
            CaptureErrorKind::Torn => {
                return write!(
                    f,
                    "the file was cut inside what begins at byte {}",
                    self.offset
                );
            }
            CaptureErrorKind::Checksum => f.write_str("the file is damaged: wrong checksum")?,
            CaptureErrorKind::NoSession => f.write_str("a frame before the first session")?,
            CaptureErrorKind::Fields => f.write_str("a session's fields are broken")?,
            CaptureErrorKind::Missing(key) => write!(f, "a session lacks '{key}'")?,
            CaptureErrorKind::Invalid(key) => write!(f, "a session has an invalid '{key}'")?,
            CaptureErrorKind::Repeated(key) => write!(f, "a session has '{key}' twice")?,
        }
        write!(f, " at byte {}", self.offset)
    }
}

impl core::error::Error for CaptureError {}
