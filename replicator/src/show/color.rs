//! Colours of a terminal.

use std::env;
use std::io::{IsTerminal, stdout};

/// When to colour.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum ColorChoice {
    /// On a terminal, unless the environment has `NO_COLOR`.
    #[default]
    Auto,
    /// Into files and pipes too.
    Always,
    /// Nowhere.
    Never,
}

impl ColorChoice {
    /// Whether standard output is to be coloured.
    pub fn on_stdout(self) -> bool {
        match self {
            Self::Auto => {
                stdout().is_terminal()
                    // <https://no-color.org>: whatever its value, unless that is empty.
                    && env::var_os("NO_COLOR").is_none_or(|value| value.is_empty())
                    && env::var_os("TERM").is_none_or(|value| value != "dumb")
            }
            Self::Always => true,
            Self::Never => false,
        }
    }
}

/// What a part of a line is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Paint {
    Plain,
    Faint,
    Strong,
    Good,
    Changed,
    Gone,
}

impl Paint {
    /// The escape sequence that begins it.
    pub(super) const fn begin(self) -> &'static [u8] {
        match self {
            Self::Plain => b"",
            Self::Faint => b"\x1b[2m",
            Self::Strong => b"\x1b[1m",
            Self::Good => b"\x1b[32m",
            Self::Changed => b"\x1b[33m",
            Self::Gone => b"\x1b[31m",
        }
    }
}

/// The escape sequence that ends all of them.
pub(super) const END: &[u8] = b"\x1b[0m";
