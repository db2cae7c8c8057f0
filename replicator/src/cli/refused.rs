//! A command line that cannot be carried out.

use std::fmt;
use std::path::Path;

use crate::error::Error;
use crate::log::redact;

/// Why a command line was not read, help and version included.
#[derive(Debug)]
pub enum Refused {
    /// As the parser says, without what is secret.
    Parser {
        /// What to print.
        text: String,
        /// Whether it is an error, and no help that was asked for.
        failed: bool,
        /// The exit code.
        code: u8,
    },
    /// What a file says, or a password that is not there.
    Other(Error),
}

impl Refused {
    /// The same, of a command line into which this file was read.
    pub(super) fn with_file(error: clap::Error, file: &Path) -> Self {
        let mut refused = Self::from(error);
        if let Self::Parser { text, failed, .. } = &mut refused
            && *failed
        {
            *text += &format!(
                "\nOptions of {} are among those that were given.\n",
                file.display()
            );
        }
        refused
    }
}

impl From<clap::Error> for Refused {
    fn from(error: clap::Error) -> Self {
        let text = error.render().to_string();
        let failed = error.use_stderr();
        Self::Parser {
            // The parser quotes what it does not understand, and that may be a URL in a wrong place; help shows variables.
            text: redact(&text),
            failed,
            code: u8::try_from(error.exit_code()).unwrap_or(2),
        }
    }
}

impl From<Error> for Refused {
    fn from(error: Error) -> Self {
        Self::Other(error)
    }
}

impl fmt::Display for Refused {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Parser { text, .. } => f.write_str(text),
            Self::Other(error) => error.fmt(f),
        }
    }
}
