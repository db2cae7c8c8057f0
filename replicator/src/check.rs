//! Whether a run with the same options would work, before it makes anything.
//!
//! Every prerequisite at both sides is looked at, also behind one that is not met, and each comes with what mends it. What a
//! run refuses is found by the functions with which it refuses it. Nothing is changed anywhere: sessions can only read, no
//! slot is made, and a destination is opened so that it cannot be written.
//!
//! # JSON
//!
//! `replicator check --json` prints one object a line. Scripts depend on it: members and ids are added, never renamed or
//! dropped.
//!
//! | `kind` | members besides `kind` |
//! |---|---|
//! | `finding` | `id`, `side` (`options`, `source` or `destination`), `verdict` (`ok`, `warning`, `wrong` or `unknown`), `about` (the table, slot or publication, or `null`), `reason` (for people; it may change), `mend` (a list of objects with `at` and `text`, all of which are to be done in this order) |
//! | `checked` | `ok`, `warning`, `wrong` and `unknown` (how many), `exit_code` |
//!
//! `at` says where a step is to be done: `source` and `destination` are statements there, `shell` a command on this
//! machine, `option` options of `replicator` in the place of those given, and `hand` is a sentence.
//!
//! An id stands for one question. It may come several times, once for each table that there is something to say of, and not
//! at all where the question does not arise; where it could not be asked it is `unknown`, with the reason.

mod destination;
mod finding;
mod options;
mod publication;
mod service;
mod settings;
mod slot;
mod source;
mod tables;

use walstream::Slot;

use crate::config::{Config, Copy};
use crate::position::{PositionRow, State, TableRow};
#[cfg(any(feature = "postgres", feature = "mysql", feature = "sqlserver"))]
pub(crate) use finding::with_causes;
pub use finding::{Finding, Mend, Place, Report, Verdict};

/// Looks at everything that a run with this configuration needs; `destination` says whether at the destination too.
///
/// # Cancel safety
///
/// Nothing is left behind.
pub async fn check(config: Config, destination: bool) -> Report {
    let mut report = Report::default();
    options::look(&config, &mut report);
    let mut reached = source::reach(&config, &mut report).await;
    let mut look = if destination {
        destination::open(&config, &mut report).await
    } else {
        None
    };
    let remembered = match &mut look {
        Some(look) => destination::remembered(look, &config, &mut report).await,
        None => Remembered::nothing(),
    };
    if let Some(reached) = &mut reached {
        source::look(reached, &config, &mut report).await;
        let slot = slot::look(reached, &config, &remembered, &mut report).await;
        settings::look(reached, &config, slot.is_some(), &mut report).await;
        let later = remembered.is_followed();
        let published =
            publication::look(reached, &config, &remembered, look.as_ref(), &mut report).await;
        tables::look(reached, &config, published.as_ref(), later, &mut report).await;
        if let Some(look) = &mut look {
            destination::look(look, &config, &remembered, published, reached, &mut report).await;
        }
    } else if let Some(look) = &mut look {
        destination::look_alone(look, &mut report).await;
    }
    report
}

/// What the destination remembers of the slot.
#[derive(Debug, Default)]
struct Remembered {
    position: Option<PositionRow>,
    tables: Vec<TableRow>,
    /// It was read.
    known: bool,
}

impl Remembered {
    fn nothing() -> Self {
        Self::default()
    }

    /// Whether a run would go on rather than begin.
    fn is_followed(&self) -> bool {
        let position = self.position.as_ref();
        position.is_some_and(|row| row.state == State::Streaming)
    }
}

/// Whether a run would make the slot.
const fn makes_slot(remembered: &Remembered, slot: Option<&Slot>) -> bool {
    slot.is_none() && remembered.position.is_none()
}

/// Whether rows are copied.
fn copies(config: &Config) -> bool {
    config.copy != Copy::No
}
