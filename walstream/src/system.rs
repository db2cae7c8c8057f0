//! Which cluster this is, and which timelines led to it.

use std::str::FromStr;

use walproto::{Lsn, Timestamp};

use crate::client::Client;
use crate::command;
use crate::error::{Doing, Error, Result};
use crate::row::Row;

/// A cluster and how far its WAL is.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct SystemIdentity {
    /// Made up when the cluster was; its physical copies share it.
    pub system_id: String,
    /// The present timeline; each promotion begins a new one.
    pub timeline: u32,
    /// End of the WAL that is on disk.
    pub wal_flush: Lsn,
    /// The database of the session.
    pub database: Option<String>,
}

/// Where one timeline ended and the next began.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct TimelineSwitch {
    /// The timeline that ended.
    pub timeline: u32,
    /// Its end: WAL before this is shared with the timelines after it.
    pub switch: Lsn,
}

impl Client {
    /// Which cluster this is; on a replication connection.
    ///
    /// # Errors
    ///
    /// As [`query`](Self::query); a session for SQL does not know the command.
    ///
    /// # Cancel safety
    ///
    /// As [`query`](Self::query).
    pub async fn identify_system(&mut self) -> Result<SystemIdentity> {
        let row = self.one_row("IDENTIFY_SYSTEM", Doing::Querying).await?;
        let text = |name| row.by_name(name).ok_or_else(|| missing(name));
        Ok(SystemIdentity {
            system_id: text("systemid")?.to_owned(),
            timeline: text("timeline")?.parse().map_err(|_| missing("timeline"))?,
            wal_flush: lsn(&row, "xlogpos")?.ok_or_else(|| missing("xlogpos"))?,
            database: row.by_name("dbname").map(str::to_owned),
        })
    }

    /// A setting of the server as this session has it, in the form of `SHOW`, such as `64kB`; `None` where this version
    /// knows no setting of that name.
    ///
    /// # Errors
    ///
    /// As [`query`](Self::query); some settings are shown to members of `pg_read_all_settings` only. Inside a
    /// transaction, asking for an unknown one fails the transaction.
    ///
    /// # Cancel safety
    ///
    /// As [`query`](Self::query).
    pub async fn show(&mut self, name: &str) -> Result<Option<String>> {
        match self.one_row(&command::show(name), Doing::Querying).await {
            Ok(row) => Ok(Some(row.get(0).unwrap_or_default().to_owned())),
            Err(error) if error.sqlstate() == Some("42704") => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// The timelines before this one, oldest first; none for timeline 1. On a replication connection.
    ///
    /// # Errors
    ///
    /// As [`query`](Self::query); `58P01` where the server does not have the history of that timeline.
    ///
    /// # Cancel safety
    ///
    /// As [`query`](Self::query).
    pub async fn timeline_history(&mut self, timeline: u32) -> Result<Vec<TimelineSwitch>> {
        // The first timeline has no history file, and asking for it is an error.
        if timeline <= 1 {
            return Ok(Vec::new());
        }
        let row = self
            .one_row(&format!("TIMELINE_HISTORY {timeline}"), Doing::Querying)
            .await?;
        parse(row.by_name("content").ok_or_else(|| missing("content"))?)
    }
}

/// `1<tab>0/3000148<tab>reason` per line, with comments and empty lines.
fn parse(text: &str) -> Result<Vec<TimelineSwitch>> {
    let lines = text
        .lines()
        .map(str::trim)
        .filter(|line| !line.is_empty() && !line.starts_with('#'));
    lines
        .map(|line| {
            let mut words = line.split_whitespace();
            let (timeline, switch) = (
                words.next().and_then(|word| word.parse().ok()),
                words.next().and_then(|word| word.parse().ok()),
            );
            match (timeline, switch) {
                (Some(timeline), Some(switch)) => Ok(TimelineSwitch { timeline, switch }),
                _ => Err(Error::protocol(format!(
                    "the timeline history has a line that cannot be read: {}",
                    line.escape_debug()
                ))),
            }
        })
        .collect()
}

/// A position in an answer; `None` for NULL.
pub(crate) fn lsn(row: &Row, name: &str) -> Result<Option<Lsn>> {
    row.by_name(name)
        .map(|text| text.parse().map_err(|_| missing(name)))
        .transpose()
}

/// A number in an answer; `None` for NULL.
pub(crate) fn number<T: FromStr>(row: &Row, name: &str) -> Result<Option<T>> {
    row.by_name(name)
        .map(|text| text.parse().map_err(|_| missing(name)))
        .transpose()
}

/// A boolean in an answer; `None` for NULL.
pub(crate) fn flag(row: &Row, name: &str) -> Option<bool> {
    row.by_name(name).map(|text| text == "t")
}

/// A time in an answer, asked for by [`micros`]; `None` for NULL and for what no clock shows.
pub(crate) fn time(row: &Row, name: &str) -> Result<Option<Timestamp>> {
    Ok(number(row, name)?.and_then(Timestamp::from_unix_micros))
}

/// The expression that makes a number of a time, without loss.
pub(crate) fn micros(expression: &str) -> String {
    format!("(extract(epoch FROM {expression}) * 1000000)::int8")
}

/// A time for people, to the second.
pub(crate) fn seconds(time: Timestamp) -> Timestamp {
    Timestamp(time.0 - time.0.rem_euclid(1_000_000))
}

pub(crate) fn missing(name: &str) -> Error {
    Error::protocol(format!("the server's answer has no usable {name}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_a_history_file() {
        let text = "1\t0/3000148\tno recovery target specified\n\n# a comment\n 2\t16/B374D848\tbefore 2026-01-01 00:00:00+00\n";
        assert_eq!(
            parse(text).unwrap(),
            [
                TimelineSwitch {
                    timeline: 1,
                    switch: Lsn(0x0300_0148)
                },
                TimelineSwitch {
                    timeline: 2,
                    switch: Lsn(0x16_B374_D848)
                },
            ]
        );
        assert_eq!(parse("").unwrap(), []);
        for text in ["x", "1", "1 2", "-1 0/1", "1 0/1 r\n2"] {
            assert!(parse(text).is_err(), "{text:?}");
        }
    }
}
