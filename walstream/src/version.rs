//! Which server this is, and what that version can do.

use std::fmt;

/// A server's version as `server_version_num` counts it: 150018 is 15.18.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ServerVersion(pub u32);

impl ServerVersion {
    /// The oldest that can be used.
    pub const OLDEST: Self = Self(14_00_00);

    /// The major version, 15 for 15.18.
    pub const fn major(self) -> u32 {
        self.0 / 10_000
    }

    /// The highest version of pgoutput's protocol that it speaks.
    pub const fn protocol(self) -> u8 {
        match self.major() {
            ..=13 => 1,
            14 => 2,
            15 => 3,
            _ => 4,
        }
    }

    /// Reads the parameter `server_version`: `15.18 (Debian 15.18-0+deb12u1)`, `18.4`, `19beta1`, `19devel`.
    pub(crate) fn parse(text: &str) -> Option<Self> {
        let digits = |text: &str| {
            text.split(|c: char| !c.is_ascii_digit())
                .next()
                .unwrap_or_default()
                .parse::<u32>()
        };
        let major = digits(text).ok().filter(|major| *major < 1000)?;
        let minor = match text.split_once('.') {
            Some((whole, rest)) if whole.bytes().all(|byte| byte.is_ascii_digit()) => {
                digits(rest).ok().filter(|minor| *minor < 10_000)?
            }
            _ => 0,
        };
        // Before 10 the second number belonged to the major version.
        Some(if major >= 10 {
            Self(major * 10_000 + minor)
        } else {
            Self(major * 10_000 + minor * 100)
        })
    }
}

impl fmt::Display for ServerVersion {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}", self.major(), self.0 % 10_000)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_what_servers_say() {
        for (text, number) in [
            ("15.18 (Debian 15.18-0+deb12u1)", 150_018),
            ("18.4", 180_004),
            ("19beta1", 190_000),
            ("19devel", 190_000),
            ("14", 140_000),
            ("9.6.24", 90_600),
            ("16.14 - Percona Distribution", 160_014),
        ] {
            assert_eq!(
                ServerVersion::parse(text),
                Some(ServerVersion(number)),
                "{text}"
            );
        }
        for text in ["", "devel", "99999999999", "x.1", "15.", "5000.1"] {
            assert_eq!(ServerVersion::parse(text), None, "{text}");
        }
        assert_eq!(ServerVersion(150_018).to_string(), "15.18");
        assert_eq!(
            [14, 15, 16, 18].map(|major| ServerVersion(major * 10_000).protocol()),
            [2, 3, 4, 4]
        );
    }
}
