//! The text of replication commands, and what each server version knows of them.

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
    /// Whether the slot ends with the session.
    pub temporary: bool,
    /// What becomes of the snapshot at the slot's beginning.
    pub snapshot: Snapshot,
    /// Prepared transactions are sent when they are prepared; needs 15.
    pub two_phase: bool,
    /// The slot is kept in step on standbys; needs 17.
    pub failover: bool,
}

/// What becomes of the snapshot that sees the data exactly as it is at a slot's beginning.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Snapshot {
    /// Nothing.
    #[default]
    Nothing,
    /// Other sessions can import it until this session's next command; not inside a transaction.
    Export,
    /// The open transaction takes it: `BEGIN READ ONLY ISOLATION LEVEL REPEATABLE READ`, and this the first command.
    Use,
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
mod tests {
    use super::*;
    use crate::error::ErrorKind;

    const V14: ServerVersion = ServerVersion(140_023);
    const V15: ServerVersion = ServerVersion(150_018);
    const V16: ServerVersion = ServerVersion(160_014);
    const V17: ServerVersion = ServerVersion(170_010);

    fn start(
        change: impl FnOnce(&mut StreamOptions),
        version: ServerVersion,
    ) -> Result<String, ErrorKind> {
        let mut options = StreamOptions::new("s", ["p"]);
        change(&mut options);
        start_replication(&options, Lsn(0x16_B374_D848), version).map_err(|error| error.kind())
    }

    #[test]
    fn asks_for_the_highest_protocol_that_the_server_speaks() {
        for (version, protocol) in [(V14, 2), (V15, 3), (V16, 4), (V17, 4)] {
            assert_eq!(
                start(|_| {}, version).unwrap(),
                format!(
                    r#"START_REPLICATION SLOT "s" LOGICAL 16/B374D848 (proto_version '{protocol}', publication_names '"p"', streaming 'on')"#
                )
            );
        }
    }

    #[test]
    fn every_option_is_spelled_as_the_server_reads_it() {
        let all = |options: &mut StreamOptions| {
            options.streaming = Streaming::Parallel;
            (
                options.binary,
                options.messages,
                options.origin_none,
                options.two_phase,
            ) = (true, true, true, true);
        };
        assert_eq!(
            start(all, V16).unwrap(),
            r#"START_REPLICATION SLOT "s" LOGICAL 16/B374D848 (proto_version '4', publication_names '"p"', streaming 'parallel', binary 'true', messages 'true', origin 'none', two_phase 'true')"#
        );
        let v1 = |options: &mut StreamOptions| {
            (options.protocol, options.streaming) = (Some(1), Streaming::Off)
        };
        assert_eq!(
            start(v1, V14).unwrap(),
            r#"START_REPLICATION SLOT "s" LOGICAL 16/B374D848 (proto_version '1', publication_names '"p"')"#
        );
    }

    #[test]
    fn hostile_names_stay_names() {
        let hostile = |options: &mut StreamOptions| {
            options.slot = r#"x"; DROP TABLE y; --"#.into();
            options.publications = vec![
                "a,b".into(),
                r"it's \'".into(),
                r#"x"; --"#.into(),
                "MixedCase".into(),
            ];
        };
        assert_eq!(
            start(hostile, V16).unwrap(),
            r#"START_REPLICATION SLOT "x""; DROP TABLE y; --" LOGICAL 16/B374D848 (proto_version '4', publication_names '"a,b","it''s \''","x""; --","MixedCase"', streaming 'on')"#
        );
        assert_eq!(
            drop_slot(r#"a"b"#, true),
            r#"DROP_REPLICATION_SLOT "a""b" WAIT"#
        );
        assert_eq!(quote_literal(r"it's"), "'it''s'");
        assert_eq!(quote_literal(r"\'; --"), r" E'\\''; --'");
    }

    #[test]
    fn refuses_what_the_version_or_the_protocol_does_not_have() {
        use ErrorKind::{Config, Unsupported};
        type Change = fn(&mut StreamOptions);
        let cases: [(Change, ServerVersion, ErrorKind); 9] = [
            (|o| o.protocol = Some(0), V16, Config),
            (|o| o.protocol = Some(5), V17, Unsupported),
            (|o| o.protocol = Some(3), V14, Unsupported),
            (|o| o.protocol = Some(1), V16, Config),
            (|o| o.streaming = Streaming::Parallel, V15, Unsupported),
            (
                |o| (o.streaming, o.protocol) = (Streaming::Parallel, Some(3)),
                V16,
                Config,
            ),
            (|o| o.two_phase = true, V14, Unsupported),
            (|o| o.origin_none = true, V15, Unsupported),
            (|o| o.publications.clear(), V16, Config),
        ];
        for (at, (change, version, kind)) in cases.into_iter().enumerate() {
            assert_eq!(start(change, version), Err(kind), "case {at}");
        }
    }

    #[test]
    fn a_slot_is_made_in_the_form_of_the_version() {
        let options = |snapshot| SlotOptions {
            snapshot,
            ..SlotOptions::default()
        };
        let text =
            |options, version| create_slot("s", &options, version).map_err(|error| error.kind());
        for (snapshot, old, new) in [
            (
                Snapshot::Nothing,
                "NOEXPORT_SNAPSHOT",
                "(SNAPSHOT 'nothing')",
            ),
            (Snapshot::Export, "EXPORT_SNAPSHOT", "(SNAPSHOT 'export')"),
            (Snapshot::Use, "USE_SNAPSHOT", "(SNAPSHOT 'use')"),
        ] {
            assert_eq!(
                text(options(snapshot), V14).unwrap(),
                format!(r#"CREATE_REPLICATION_SLOT "s" LOGICAL pgoutput {old}"#)
            );
            assert_eq!(
                text(options(snapshot), V15).unwrap(),
                format!(r#"CREATE_REPLICATION_SLOT "s" LOGICAL pgoutput {new}"#)
            );
        }
        let all = SlotOptions {
            temporary: true,
            snapshot: Snapshot::Nothing,
            two_phase: true,
            failover: true,
        };
        assert_eq!(
            text(all, V17).unwrap(),
            r#"CREATE_REPLICATION_SLOT "s" TEMPORARY LOGICAL pgoutput (SNAPSHOT 'nothing', TWO_PHASE true, FAILOVER true)"#
        );
        assert_eq!(text(all, V16), Err(ErrorKind::Unsupported));
        assert_eq!(
            text(
                SlotOptions {
                    two_phase: true,
                    ..SlotOptions::default()
                },
                V14
            ),
            Err(ErrorKind::Unsupported)
        );
    }
}
