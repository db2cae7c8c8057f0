//! What the destination server is, and what our sessions tell it.

use std::collections::HashMap;
use std::time::Duration;

use mysql_async::Conn;
use mysql_async::prelude::Queryable;

use super::failure::failure;
use crate::destination::server::IDLE;
use crate::dialect::mysql::types::{Flavour, SIGNED_ZERO};
use crate::error::{Error, Result};

/// What was found out about a server when the session was opened.
#[derive(Clone, Debug)]
pub(super) struct Server {
    pub(super) flavour: Flavour,
    /// Whether upper and lower case are one in names of tables.
    pub(super) folds: bool,
    /// What it takes at once, in bytes.
    pub(super) packet: usize,
    /// Whether it takes `LOAD DATA LOCAL`.
    pub(super) loads: bool,
    /// Whether its `DOUBLE` tells negative zero from zero.
    pub(super) signed_zero: bool,
    /// By name, those that were asked for.
    variables: HashMap<String, String>,
    /// When it was started, by its own clock: with the number of a session that is a session for good.
    pub(super) started: i64,
}

/// Something that a run works with.
#[derive(Clone, Copy, Debug)]
pub(super) struct Remark {
    /// The question that it answers.
    pub(super) id: &'static str,
    /// A global variable.
    pub(super) setting: &'static str,
    /// What it should be.
    pub(super) wanted: &'static str,
    pub(super) what: &'static str,
}

/// Whether what is committed is on the disk.
pub(super) const FLUSH: &str = "innodb_flush_log_at_trx_commit";

/// The server's own variables that bear on our promises.
const VARIABLES: &str = "SHOW GLOBAL VARIABLES WHERE Variable_name IN ('version', 'read_only', 'innodb_read_only',
    'innodb_flush_log_at_trx_commit', 'lower_case_table_names', 'max_allowed_packet', 'log_bin', 'binlog_format',
    'sync_binlog', 'innodb_strict_mode', 'time_zone', 'transaction_isolation', 'tx_isolation',
    'character_set_server', 'local_infile')";

impl Server {
    /// Looks.
    ///
    /// # Errors
    ///
    /// A server that is too old, takes no changes, or would lose commits that it has reported.
    pub(super) async fn look(db: &mut Conn, again: bool) -> Result<Self> {
        let server = Self::ask(db).await?;
        match server.faults(again).pop() {
            Some((_, error)) => Err(error),
            None => {
                server.warn();
                Ok(server)
            }
        }
    }

    /// Looks, whatever there is.
    pub(super) async fn ask(db: &mut Conn) -> Result<Self> {
        let failed = |error| failure("could not ask the destination server what it is", error);
        let variables: Vec<(String, String)> = db.query(VARIABLES).await.map_err(failed)?;
        let variables: HashMap<String, String> = variables
            .into_iter()
            .map(|(name, value)| (name.to_ascii_lowercase(), value))
            .collect();
        let uptime: Option<(String, i64)> = db
            .query_first("SHOW GLOBAL STATUS LIKE 'Uptime'")
            .await
            .map_err(failed)?;
        let now: Option<i64> = db
            .query_first("SELECT UNIX_TIMESTAMP()")
            .await
            .map_err(failed)?;
        let started = now.unwrap_or(0) - uptime.map_or(0, |(_, seconds)| seconds);
        let signed: Option<i64> = db.query_first(SIGNED_ZERO).await.map_err(failed)?;
        Ok(Self {
            signed_zero: signed == Some(1),
            ..Self::read(variables, started)
        })
    }

    fn read(variables: HashMap<String, String>, started: i64) -> Self {
        let value = |name: &str| variables.get(name).map(String::as_str).unwrap_or_default();
        Self {
            flavour: flavour(value("version")).0,
            folds: value("lower_case_table_names") != "0",
            packet: value("max_allowed_packet").parse().unwrap_or(1 << 20),
            loads: matches!(value("local_infile"), "ON" | "on" | "1"),
            signed_zero: true,
            started,
            variables,
        }
    }

    /// One of its variables.
    pub(super) fn value(&self, name: &str) -> &str {
        let value = self.variables.get(name);
        value.map(String::as_str).unwrap_or_default()
    }

    fn is_on(&self, name: &str) -> bool {
        matches!(self.value(name), "ON" | "on" | "1")
    }

    /// What keeps it from being a destination, each with the question that it answers; the last is the one to mend first.
    pub(super) fn faults(&self, again: bool) -> Vec<(&'static str, Error)> {
        let mut faults = Vec::new();
        if self.is_on("log_bin")
            && self
                .value("binlog_format")
                .eq_ignore_ascii_case("statement")
        {
            let error = Error::usage("the destination server writes its binary log by statement, which READ COMMITTED does not allow")
                .with_hint("SET GLOBAL binlog_format = 'ROW' there (or MIXED), and in its configuration");
            faults.push(("destination.binary_log", error));
        }
        match self.value(FLUSH) {
            "1" => {}
            "" => {
                let error = Error::usage(
                    "the destination server has no InnoDB, whose transactions we need",
                )
                .with_hint("use MySQL 8.0 or later, or MariaDB 10.6 or later");
                faults.push(("destination.durability", error));
            }
            other => {
                let error = Error::usage(format!(
                    "the destination server may lose transactions that it has committed: innodb_flush_log_at_trx_commit is {other}"
                ))
                .with_hint("SET GLOBAL innodb_flush_log_at_trx_commit = 1 there, and in its configuration");
                faults.push(("destination.durability", error));
            }
        }
        if self.is_on("read_only") || self.is_on("innodb_read_only") {
            let make = if again { Error::retry } else { Error::usage };
            let error = make("the destination server takes no changes: read_only is on".to_owned())
                .with_hint("name the primary as --destination");
            faults.push(("destination.writable", error));
        }
        let version = self.value("version");
        let (_, new_enough) = flavour(version);
        if !new_enough {
            let error = Error::usage(format!(
                "the destination server has version {version}; MySQL 8.0 and MariaDB 10.6 or later will do"
            ))
            .with_hint("name a newer server as --destination");
            faults.push(("destination.version", error));
        }
        faults
    }

    /// What somebody should know of it all the same, with the setting and the value that mends it.
    pub(super) fn remarks(&self) -> Vec<Remark> {
        let mut remarks = Vec::new();
        if self.is_on("log_bin") && self.value("sync_binlog") != "1" {
            remarks.push(Remark {
                id: "destination.binary_log",
                setting: "sync_binlog",
                wanted: "1",
                what: "the destination server may lose the end of its binary log when its machine stops; replicas of it would miss it",
            });
        }
        if !self.is_on("innodb_strict_mode") {
            remarks.push(Remark {
                id: "destination.strict_mode",
                setting: "innodb_strict_mode",
                wanted: "ON",
                what: "innodb_strict_mode is off at the destination server: a table too wide for its page may be made there all the same",
            });
        }
        remarks
    }

    fn warn(&self) {
        for remark in self.remarks() {
            let (setting, what) = (remark.setting, remark.what);
            tracing::warn!(setting, value = self.value(setting), "{what}");
        }
    }

    /// What shapes values, what bounds waiting, and what makes mistakes errors; whatever user and server say.
    pub(super) fn settings(&self, lock_wait: Duration) -> Vec<String> {
        let (locks, idle) = (seconds(lock_wait), IDLE.as_secs());
        let collation = self.flavour.collation();
        let (own, none) = match self.flavour {
            // There it is only a bound for whole sessions, and the one that is cut off meanwhile is opened again.
            Flavour::MySql => (format!("wait_timeout = {idle}"), "max_execution_time = 0"),
            Flavour::MariaDb => (
                format!("idle_transaction_timeout = {idle}"),
                "max_statement_time = 0",
            ),
        };
        vec![
            format!("SET NAMES utf8mb4 COLLATE {collation}"),
            // Without backslashes a quote is all that ends a text; zero is a number like others; a date is a date.
            "SET SESSION sql_mode = 'STRICT_TRANS_TABLES,STRICT_ALL_TABLES,NO_ZERO_IN_DATE,NO_ZERO_DATE,\
             ERROR_FOR_DIVISION_BY_ZERO,NO_ENGINE_SUBSTITUTION,NO_BACKSLASH_ESCAPES,NO_AUTO_VALUE_ON_ZERO'"
                .to_owned(),
            format!(
                "SET SESSION time_zone = '+00:00', autocommit = 1, completion_type = 0, sql_notes = 1, \
                 foreign_key_checks = 1, unique_checks = 1, sql_auto_is_null = 0, sql_safe_updates = 0, \
                 innodb_lock_wait_timeout = {locks}, lock_wait_timeout = {locks}, \
                 net_read_timeout = 600, net_write_timeout = 600, {own}, {none}"
            ),
            // Nothing but rows of ours is locked, and what somebody else commits meanwhile is met as it is then: a count
            // of rows is one of rows that are there.
            "SET SESSION TRANSACTION ISOLATION LEVEL READ COMMITTED".to_owned(),
            "SET SESSION TRANSACTION READ WRITE".to_owned(),
        ]
    }
}

/// The server counts in seconds, from one on.
pub(super) fn seconds(wait: Duration) -> u64 {
    wait.as_secs().max(1)
}

/// Which product it is, and whether it is new enough.
fn flavour(version: &str) -> (Flavour, bool) {
    let mut numbers = version
        .split(|letter: char| !letter.is_ascii_digit())
        .map(|number| number.parse::<u32>().unwrap_or(0));
    let number = (numbers.next().unwrap_or(0), numbers.next().unwrap_or(0));
    let (flavour, least) = if version.contains("MariaDB") {
        (Flavour::MariaDb, (10, 6))
    } else {
        (Flavour::MySql, (8, 0))
    };
    (flavour, number >= least)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(changes: &[(&str, &str)]) -> Result<Server> {
        let usual = [
            ("version", "10.11.14-MariaDB-0+deb12u2"),
            ("read_only", "OFF"),
            ("innodb_flush_log_at_trx_commit", "1"),
            ("lower_case_table_names", "0"),
            ("max_allowed_packet", "16777216"),
            ("log_bin", "OFF"),
            ("binlog_format", "MIXED"),
            ("innodb_strict_mode", "ON"),
        ];
        let all = usual.iter().chain(changes);
        let all = all.map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
        let server = Server::read(all.collect(), 0);
        match server.faults(false).pop() {
            Some((_, error)) => Err(error),
            None => Ok(server),
        }
    }

    #[test]
    fn a_server_is_known_by_its_version() {
        assert_eq!(read(&[]).unwrap().flavour, Flavour::MariaDb);
        assert_eq!(
            read(&[("version", "11.4.2-MariaDB")]).unwrap().flavour,
            Flavour::MariaDb
        );
        assert_eq!(
            read(&[("version", "8.0.36")]).unwrap().flavour,
            Flavour::MySql
        );
        assert_eq!(
            read(&[("version", "9.7.0-1+b1")]).unwrap().flavour,
            Flavour::MySql
        );
    }

    #[test]
    fn a_server_that_cannot_keep_promises_is_refused_in_one_sentence() {
        for (changes, words) in [
            (&[("version", "5.7.44")][..], "has version 5.7.44"),
            (&[("version", "10.5.9-MariaDB")], "has version 10.5.9"),
            (&[("read_only", "ON")], "takes no changes"),
            (
                &[("innodb_flush_log_at_trx_commit", "2")],
                "innodb_flush_log_at_trx_commit is 2",
            ),
            (&[("innodb_flush_log_at_trx_commit", "")], "no InnoDB"),
            (
                &[("log_bin", "ON"), ("binlog_format", "STATEMENT")],
                "by statement",
            ),
        ] {
            let error = read(changes).unwrap_err();
            assert!(error.to_string().contains(words), "{error}");
            assert_eq!(error.exit_code(), 2);
        }
        assert!(read(&[("binlog_format", "STATEMENT")]).is_ok());
        assert!(read(&[("version", "8.0.36")]).unwrap().remarks().is_empty());
        for changes in [
            &[("log_bin", "ON"), ("sync_binlog", "0")][..],
            &[("innodb_strict_mode", "OFF")],
        ] {
            assert_eq!(read(changes).unwrap().remarks().len(), 1, "{changes:?}");
        }
    }
}
