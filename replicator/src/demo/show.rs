//! Lines for people.

use std::fmt::{self, Display};
use std::io::{IsTerminal, Write};

/// Prints a line. A reader that went away is no reason to stop the show in the middle, let alone to panic.
pub(super) fn say(line: impl Display) {
    let _ = writeln!(std::io::stdout(), "{line}");
}

/// Text that stands out on a terminal.
pub(super) struct Strong<T>(pub(super) T);

impl<T: Display> Display for Strong<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if std::io::stdout().is_terminal() && std::env::var_os("NO_COLOR").is_none() {
            write!(f, "\x1b[1m{}\x1b[0m", self.0)
        } else {
            self.0.fmt(f)
        }
    }
}
