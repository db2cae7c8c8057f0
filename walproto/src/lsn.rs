//! Positions in the write-ahead log.

use core::fmt;
use core::str::FromStr;

/// A position in the write-ahead log: the byte offset since the cluster was made.
///
/// Prints as PostgreSQL does, `16/B374D848`, so a log line can be pasted into psql.
#[derive(Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Lsn(pub u64);

impl Lsn {
    /// PostgreSQL's `InvalidXLogRecPtr`: no position.
    pub const ZERO: Self = Self(0);

    /// Whether this is [`Lsn::ZERO`], which the server uses for "no position".
    pub const fn is_zero(self) -> bool {
        self.0 == 0
    }
}

impl fmt::Display for Lsn {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:X}/{:X}", self.0 >> 32, self.0 & 0xFFFF_FFFF)
    }
}

impl fmt::Debug for Lsn {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{self}")
    }
}

/// Text that is not a position such as `16/B374D848`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ParseLsnError;

impl fmt::Display for ParseLsnError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("not a WAL position such as 16/B374D848")
    }
}

impl core::error::Error for ParseLsnError {}

impl FromStr for Lsn {
    type Err = ParseLsnError;

    /// Reads both forms that servers print: `16/B374D848`, and `16/0374D848` with leading zeros (19).
    fn from_str(text: &str) -> Result<Self, ParseLsnError> {
        let (high, low) = text.split_once('/').ok_or(ParseLsnError)?;
        Ok(Self(u64::from(half(high)?) << 32 | u64::from(half(low)?)))
    }
}

fn half(digits: &str) -> Result<u32, ParseLsnError> {
    // from_str_radix would take a sign.
    if digits.is_empty() || digits.len() > 8 || digits.starts_with('+') {
        return Err(ParseLsnError);
    }
    u32::from_str_radix(digits, 16).map_err(|_| ParseLsnError)
}

#[cfg(test)]
mod tests {
    extern crate std;
    use super::*;
    use std::string::ToString;

    #[test]
    fn prints_and_reads_as_postgresql_does() {
        for (lsn, text) in [
            (Lsn(0x16_B374_D848), "16/B374D848"),
            (Lsn(0), "0/0"),
            (Lsn(u64::MAX), "FFFFFFFF/FFFFFFFF"),
            (Lsn(0x1_0000_0001), "1/1"),
        ] {
            assert_eq!(lsn.to_string(), text);
            assert_eq!(text.parse(), Ok(lsn));
        }
        assert_eq!("16/0374D848".parse(), Ok(Lsn(0x16_0374_D848)));
    }

    #[test]
    fn refuses_what_is_not_a_position() {
        for text in [
            "",
            "/",
            "1",
            "1/",
            "/1",
            "+1/2",
            "1/+2",
            "-1/2",
            "123456789/0",
            "0/g",
            "0/0/0",
            " 0/0",
        ] {
            assert_eq!(text.parse::<Lsn>(), Err(ParseLsnError), "{text:?}");
        }
    }
}
