//! What is recorded: a list of small plays, each with the tables to compare at its end.

mod keys;
mod prepared;
mod schema;
mod streamed;
mod transactions;
mod types;

use testdata::{ClientError, Version};

use crate::scene::{Leg, Scene};

pub(crate) type Played = Result<(), ClientError>;

/// A play.
#[derive(Debug)]
pub(crate) struct Scenario {
    /// The first part of the capture's name.
    pub(crate) name: &'static str,
    /// SQL that runs before the slot is made.
    pub(crate) setup: fn(Version) -> String,
    /// Statements that run after the slot is made and before it is read: the server meets them all at once,
    /// when it is known already how they ended.
    pub(crate) backlog: fn() -> Vec<String>,
    /// The option `publication_names`.
    pub(crate) publications: &'static str,
    pub(crate) play: fn(&mut Scene) -> Played,
    /// Every table that has rows at the end, and which of them are published.
    pub(crate) checks: fn(Version) -> Vec<(&'static str, &'static str)>,
    /// Kinds of messages without which the recording has missed its purpose.
    pub(crate) must_show: fn(Leg) -> &'static [&'static str],
    kind: Kind,
}

/// At which protocol versions a play is worth its bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    /// Small transactions: at version 1, and where the server can be told to stream at once also in blocks.
    Plain,
    /// As `Plain`, in blocks at version 4 also.
    PlainParallel,
    /// Large transactions.
    Streamed,
    /// Prepared transactions.
    Prepared,
}

impl Scenario {
    /// Whether to play it on this leg, and then whether to stream from the first change.
    pub(crate) fn immediate(&self, leg: Leg) -> Option<bool> {
        let can_stream_at_once = leg.version >= Version::V16;
        match (self.kind, leg.protocol) {
            (Kind::Plain | Kind::PlainParallel, 1) => Some(false),
            (Kind::Plain | Kind::PlainParallel, 2) if can_stream_at_once => Some(true),
            (Kind::PlainParallel, 4) => Some(true),
            (Kind::Streamed, 2..) | (Kind::Prepared, 3..) => Some(false),
            _ => None,
        }
    }
}

pub(crate) const ALL: &[Scenario] = &[
    types::SCENARIO,
    keys::SCENARIO,
    schema::SCENARIO,
    transactions::SCENARIO,
    streamed::SCENARIO,
    prepared::SCENARIO,
];

/// A table that is not published. Rows in it fill the server's memory for decoding, so that a transaction
/// is streamed, and send nothing themselves.
const PADDING: &str = "CREATE TABLE padding (filler text);";

/// More than `logical_decoding_work_mem`.
const PAD: &str = "INSERT INTO padding SELECT repeat('x', 900) FROM generate_series(1, 100);";
