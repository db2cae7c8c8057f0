//! The text of replication commands, and what each server version knows of them.

use std::time::Duration;

use walproto::Lsn;

use crate::error::{Error, Result};
use crate::version::ServerVersion;

/// What a stream is to bring.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StreamOptions {
    /// The slot, which must exist.
    pub slot: String,
    /// The publications, at least one.
    pub publications: Vec<String>,
    /// Version of pgoutput's protocol; `None` for the highest that the server speaks.
    pub protocol: Option<u8>,
    /// What happens to transactions that are too large for the server's memory before they have ended.
    pub streaming: Streaming,
    /// Columns in binary form, for types that have one.
    pub binary: bool,
    /// Messages of `pg_logical_emit_message` too.
    pub messages: bool,
    /// Only changes that did not come to the server by replication; needs 16.
    pub origin_none: bool,
    /// Prepared transactions when they are prepared; needs 15, and changes the slot for good.
    pub two_phase: bool,
    /// How long a start waits while another session uses the slot; zero for not at all.
    ///
    /// `None` is a second more than the connection's own `wal_sender_timeout`: so long does a server keep a slot for
    /// a consumer like this one that was cut off.
    pub slot_wait: Option<Duration>,
}

/// What happens to transactions that are too large for the server's memory before they have ended.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Streaming {
    /// The server spills them and sends them at commit.
    Off,
    /// The server sends them in blocks as they grow.
    #[default]
    On,
    /// As `On`, and aborts carry a position; needs 16.
    Parallel,
}

/// How a new slot is made.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct SlotOptions {
    /// Whether the slot ends with the session. The server ends it at any error that it reports in the session, too.
    pub temporary: bool,
    /// What becomes of the snapshot at the slot's beginning.
    pub snapshot: Snapshot,
    /// Prepared transactions are sent when they are prepared; needs 15.
    pub two_phase: bool,
    /// The slot is kept in step on standbys; needs 17.
    pub failover: bool,
}

/// What to change of a slot; `None` leaves it as it is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct AlterSlot {
    /// Whether the slot is kept in step on standbys; needs 17.
    pub failover: Option<bool>,
    /// Whether prepared transactions are sent when they are prepared; needs 18, and to switch it either way that none
    /// is open: the content of one that is open when it is switched on here is never sent. Where some may be open,
    /// switch it on with [`StreamOptions::two_phase`].
    pub two_phase: Option<bool>,
}

/// What becomes of the snapshot that sees the data exactly as it is at a slot's beginning.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum Snapshot {
    /// Nothing.
    #[default]
    Nothing,
    /// Other sessions can import it until this session's next command; not inside a transaction.
    Export,
    /// The open transaction takes it: `BEGIN READ ONLY ISOLATION LEVEL REPEATABLE READ`, and this the first command.
    Use,
}

impl SlotOptions {
    /// A slot that ends with its session.
    pub const fn temporary() -> Self {
        Self {
            temporary: true,
            snapshot: Snapshot::Nothing,
            two_phase: false,
            failover: false,
        }
    }
}

impl StreamOptions {
    /// This slot and these publications, the highest protocol, transactions streamed in blocks, columns as text.
    pub fn new<P: Into<String>>(
        slot: impl Into<String>,
        publications: impl IntoIterator<Item = P>,
    ) -> Self {
        Self {
            slot: slot.into(),
            publications: publications.into_iter().map(Into::into).collect(),
            protocol: None,
            streaming: Streaming::default(),
            binary: false,
            messages: false,
            origin_none: false,
            two_phase: false,
            slot_wait: None,
        }
    }

    /// Whether a server of this version can do all of it; starting with them asks the same.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Unsupported`](crate::ErrorKind::Unsupported) for what the version does not have,
    /// [`ErrorKind::Config`](crate::ErrorKind::Config) for what does not fit together.
    pub fn check(&self, version: ServerVersion) -> Result<()> {
        self.text(version).map(drop)
    }

    /// What stands between the parentheses of `START_REPLICATION` on a server of this version: the publications, and
    /// those options that differ from the server's defaults.
    ///
    /// # Errors
    ///
    /// As [`check`](Self::check).
    pub fn text(&self, version: ServerVersion) -> Result<String> {
        list(self, version)
    }
}

/// `START_REPLICATION`.
pub(crate) fn start_replication(
    options: &StreamOptions,
    start: Lsn,
    version: ServerVersion,
) -> Result<String> {
    Ok(format!(
        "START_REPLICATION SLOT {} LOGICAL {start} ({})",
        quote_identifier(&options.slot),
        list(options, version)?
    ))
}

fn list(options: &StreamOptions, version: ServerVersion) -> Result<String> {
    let highest = version.protocol();
    let protocol = options.protocol.unwrap_or(highest);
    if protocol == 0 {
        return Err(Error::config("there is no protocol version 0"));
    }
    if protocol > highest {
        return Err(Error::unsupported(format!(
            "protocol version {protocol} was asked for, and PostgreSQL {version} speaks no higher than {highest}"
        )));
    }
    let needs = |wanted: bool, what: &str, least: u8| -> Result<()> {
        if !wanted || protocol >= least {
            return Ok(());
        }
        // 14 introduced version 2, and each release after it one more.
        let release = u32::from(least) + 12;
        if highest < least {
            return Err(Error::unsupported(format!(
                "{what} needs PostgreSQL {release}, and the server is {version}"
            )));
        }
        Err(Error::config(format!(
            "{what} needs protocol version {least}, and {protocol} was asked for"
        )))
    };
    needs(options.streaming == Streaming::On, "streaming", 2)?;
    needs(
        options.streaming == Streaming::Parallel,
        "streaming=parallel",
        4,
    )?;
    needs(options.two_phase, "two_phase", 3)?;
    if options.origin_none && version.major() < 16 {
        return Err(Error::unsupported(format!(
            "origin=none needs PostgreSQL 16, and the server is {version}"
        )));
    }
    if options.publications.is_empty() {
        return Err(Error::config("no publication is named"));
    }
    let names: Vec<_> = options
        .publications
        .iter()
        .map(|name| quote_identifier(name))
        .collect();

    let mut list = format!(
        "proto_version '{protocol}', publication_names {}",
        literal(&names.join(","))
    );
    match options.streaming {
        Streaming::Off => {}
        Streaming::On => list.push_str(", streaming 'on'"),
        Streaming::Parallel => list.push_str(", streaming 'parallel'"),
    }
    for (wanted, text) in [
        (options.binary, ", binary 'true'"),
        (options.messages, ", messages 'true'"),
        (options.origin_none, ", origin 'none'"),
        (options.two_phase, ", two_phase 'true'"),
    ] {
        if wanted {
            list.push_str(text);
        }
    }
    Ok(list)
}

/// `CREATE_REPLICATION_SLOT`, in the form that this version has.
pub(crate) fn create_slot(
    name: &str,
    options: &SlotOptions,
    version: ServerVersion,
) -> Result<String> {
    check_slot_name(name)?;
    if options.two_phase && version.major() < 15 {
        return Err(Error::unsupported(format!(
            "a slot with two_phase needs PostgreSQL 15, and the server is {version}"
        )));
    }
    if options.failover && version.major() < 17 {
        return Err(Error::unsupported(format!(
            "a slot with failover needs PostgreSQL 17, and the server is {version}"
        )));
    }
    let temporary = if options.temporary { " TEMPORARY" } else { "" };
    let mut text = format!(
        "CREATE_REPLICATION_SLOT {}{temporary} LOGICAL pgoutput",
        quote_identifier(name)
    );
    if version.major() < 15 {
        text.push_str(match options.snapshot {
            Snapshot::Nothing => " NOEXPORT_SNAPSHOT",
            Snapshot::Export => " EXPORT_SNAPSHOT",
            Snapshot::Use => " USE_SNAPSHOT",
        });
        return Ok(text);
    }
    text.push_str(match options.snapshot {
        Snapshot::Nothing => " (SNAPSHOT 'nothing'",
        Snapshot::Export => " (SNAPSHOT 'export'",
        Snapshot::Use => " (SNAPSHOT 'use'",
    });
    if options.two_phase {
        text.push_str(", TWO_PHASE true");
    }
    if options.failover {
        text.push_str(", FAILOVER true");
    }
    text.push(')');
    Ok(text)
}

/// `ALTER_REPLICATION_SLOT`.
pub(crate) fn alter_slot(
    name: &str,
    changes: &AlterSlot,
    version: ServerVersion,
) -> Result<String> {
    let mut list = Vec::new();
    for (wanted, what, least) in [
        (changes.failover, "FAILOVER", 17),
        (changes.two_phase, "TWO_PHASE", 18),
    ] {
        let Some(wanted) = wanted else { continue };
        if version.major() < least {
            return Err(Error::unsupported(format!(
                "altering {} of a slot needs PostgreSQL {least}, and the server is {version}",
                what.to_ascii_lowercase()
            )));
        }
        list.push(format!("{what} {wanted}"));
    }
    if list.is_empty() {
        return Err(Error::config(format!(
            "no change of replication slot \"{}\" is asked for",
            name.escape_debug()
        ))
        .with_hint("Set failover or two_phase of AlterSlot."));
    }
    Ok(format!(
        "ALTER_REPLICATION_SLOT {} ({})",
        quote_identifier(name),
        list.join(", ")
    ))
}

/// `SHOW`, of a setting whose name may have a prefix.
pub(crate) fn show(name: &str) -> String {
    let parts: Vec<_> = name.split('.').map(quote_identifier).collect();
    format!("SHOW {}", parts.join("."))
}

/// `DROP_REPLICATION_SLOT`.
pub(crate) fn drop_slot(name: &str, wait: bool) -> String {
    let wait = if wait { " WAIT" } else { "" };
    format!("DROP_REPLICATION_SLOT {}{wait}", quote_identifier(name))
}

/// Whether a slot can have this name.
///
/// # Errors
///
/// [`ErrorKind::Config`](crate::ErrorKind::Config). A server refuses other characters itself, but cuts a longer name
/// short without a word, and nobody would find that slot under the name that was given.
pub fn check_slot_name(name: &str) -> Result<()> {
    let known = |byte: u8| matches!(byte, b'a'..=b'z' | b'0'..=b'9' | b'_');
    if (1..=63).contains(&name.len()) && name.bytes().all(known) {
        return Ok(());
    }
    Err(Error::slot_name(name))
}

/// The same where replication commands are not understood.
pub(crate) fn drop_slot_by_function(name: &str) -> String {
    format!(
        "SELECT pg_catalog.pg_drop_replication_slot({})",
        quote_literal(name)
    )
}

/// A name as SQL and replication commands take it, whatever is in it: `"x""y"`.
pub fn quote_identifier(name: &str) -> String {
    format!("\"{}\"", name.replace('"', "\"\""))
}

/// A text as SQL takes it, whatever is in it and however `standard_conforming_strings` is set: `'it''s'`.
pub fn quote_literal(text: &str) -> String {
    let doubled = text.replace('\'', "''");
    if doubled.contains('\\') {
        format!(" E'{}'", doubled.replace('\\', "\\\\"))
    } else {
        format!("'{doubled}'")
    }
}

/// A text as replication commands take it: only `'` is doubled, a backslash is one.
fn literal(text: &str) -> String {
    format!("'{}'", text.replace('\'', "''"))
}

#[cfg(test)]
mod tests;
