//! What a slot that is being made waits for: every transaction that could have changed something before its beginning.

use std::fmt;
use std::time::Duration;

use walproto::Timestamp;

use crate::client::Client;
use crate::command::SlotOptions;
use crate::error::Result;
use crate::row::Row;
use crate::slot::CreatedSlot;
use crate::system::{micros, missing, number, seconds, time};

/// How often is looked while a slot is being made.
const AGAIN: Duration = Duration::from_secs(1);

/// Something that keeps a slot from being made.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Blocker {
    /// A transaction that runs, in whatever database.
    Transaction {
        /// Its server process.
        pid: i32,
        /// Its role.
        user: Option<String>,
        /// What its client calls itself.
        application_name: Option<String>,
        /// What the session does, such as `idle in transaction`; shown to the same role and to members of
        /// `pg_read_all_stats`.
        state: Option<String>,
        /// When the transaction began; shown to the same.
        since: Option<Timestamp>,
    },
    /// A prepared transaction, in whatever database.
    Prepared {
        /// The name that it was given.
        gid: String,
        /// The role that prepared it.
        owner: String,
        /// The database where COMMIT PREPARED or ROLLBACK PREPARED ends it.
        database: String,
        /// When it was prepared.
        since: Option<Timestamp>,
    },
    /// The server is a standby, and its primary has to write down which transactions run there; then those have to end.
    Primary,
}

impl Blocker {
    /// What ends it: a sentence with a statement to run.
    pub fn remedy(&self) -> String {
        match self {
            Self::Transaction { pid, .. } => {
                format!("Let it end, or end its session with SELECT pg_terminate_backend({pid}).")
            }
            Self::Prepared { gid, database, .. } => {
                let gid = crate::command::quote_literal(gid);
                let gid = gid.trim_start();
                format!(
                    "End it in database \"{database}\" with COMMIT PREPARED {gid} or ROLLBACK PREPARED {gid}."
                )
            }
            Self::Primary => {
                "Run SELECT pg_log_standby_snapshot() on the primary, and let the transactions end that run there."
                    .into()
            }
        }
    }
}

impl fmt::Display for Blocker {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let since = match self {
            Self::Transaction {
                pid,
                user,
                state,
                since,
                ..
            } => {
                write!(f, "process {pid}")?;
                let known: Vec<_> = [user, state]
                    .into_iter()
                    .filter_map(Option::as_deref)
                    .collect();
                if !known.is_empty() {
                    write!(f, " ({})", known.join(", "))?;
                }
                f.write_str(" in a transaction")?;
                since
            }
            Self::Prepared { gid, since, .. } => {
                write!(f, "prepared transaction '{}'", gid.escape_debug())?;
                since
            }
            Self::Primary => {
                return f.write_str(
                    "the primary, to write down which transactions run (SELECT pg_log_standby_snapshot() makes it)",
                );
            }
        };
        match since {
            Some(since) => write!(f, " since {}", seconds(*since)),
            None => Ok(()),
        }
    }
}

impl Client {
    /// What the slot waits for that the session `creator` is making, oldest first; on another connection than that.
    ///
    /// `creator` is the [`process_id`](Self::process_id) of that session. Transactions that began after the making did
    /// are left out, unless it is one of them that is waited for now.
    ///
    /// # Errors
    ///
    /// As [`query`](Self::query).
    ///
    /// # Cancel safety
    ///
    /// As [`query`](Self::query).
    pub async fn blockers(&mut self, creator: i32) -> Result<Vec<Blocker>> {
        let rows = self.query(&text(creator)).await?;
        rows.iter().map(Blocker::read).collect()
    }

    /// Makes a slot as [`create_slot`](Self::create_slot) does, and tells every second what it waits for.
    ///
    /// `observer` is another session on the same server, for SQL or replication. `report` gets what it answered; an
    /// error of it does not end the making. The list is empty while nothing is known to stand against it.
    ///
    /// # Errors
    ///
    /// Those of [`create_slot`](Self::create_slot).
    ///
    /// # Cancel safety
    ///
    /// As [`create_slot`](Self::create_slot); the observer stays usable.
    pub async fn create_slot_reporting(
        &mut self,
        name: &str,
        options: &SlotOptions,
        observer: &mut Self,
        mut report: impl FnMut(Result<Vec<Blocker>>),
    ) -> Result<CreatedSlot> {
        let creator = self.process_id();
        let creation = self.create_slot(name, options);
        tokio::pin!(creation);
        loop {
            tokio::select! {
                done = &mut creation => return done,
                () = tokio::time::sleep(AGAIN) => {}
            }
            // Beside the creation, which must go on meanwhile.
            tokio::select! {
                done = &mut creation => return done,
                blockers = observer.blockers(creator) => report(blockers),
            }
        }
    }
}

fn text(creator: i32) -> String {
    // The creator waits for one transaction after the other; which one, its lock tells. What began after it began to
    // wait is waited for only if it is that. Roles without the right to see when are listed rather than left out.
    format!(
        "WITH creator AS (
           SELECT a.query_start, pg_catalog.pg_blocking_pids(a.pid) AS holders
           FROM pg_catalog.pg_stat_activity a WHERE a.pid = {creator}
         )
         SELECT * FROM (
           SELECT 'transaction' AS kind, a.pid, a.usename::text AS owner,
                  nullif(a.application_name, '') AS application_name, a.state, {since} AS since,
                  NULL::text AS gid, NULL::text AS database
           FROM pg_catalog.pg_stat_activity a
           WHERE a.backend_xid IS NOT NULL AND a.pid NOT IN (pg_catalog.pg_backend_pid(), {creator})
             AND NOT EXISTS (SELECT FROM creator c
                             WHERE a.xact_start > c.query_start AND NOT a.pid = ANY (c.holders))
           UNION ALL
           SELECT 'prepared', NULL, p.owner::text, NULL, NULL, {prepared}, p.gid, p.database::text
           FROM pg_catalog.pg_prepared_xacts p
           UNION ALL
           SELECT 'primary', NULL, NULL, NULL, NULL, NULL, NULL, NULL WHERE pg_catalog.pg_is_in_recovery()
         ) AS blocker ORDER BY since NULLS LAST, pid, gid",
        since = micros("a.xact_start"),
        prepared = micros("p.prepared"),
    )
}

impl Blocker {
    fn read(row: &Row) -> Result<Self> {
        let text = |name| row.by_name(name).map(str::to_owned);
        let needed = |name| text(name).ok_or_else(|| missing(name));
        match row.by_name("kind") {
            Some("transaction") => Ok(Self::Transaction {
                pid: number(row, "pid")?.ok_or_else(|| missing("pid"))?,
                user: text("owner"),
                application_name: text("application_name"),
                state: text("state"),
                since: time(row, "since")?,
            }),
            Some("prepared") => Ok(Self::Prepared {
                gid: needed("gid")?,
                owner: needed("owner")?,
                database: needed("database")?,
                since: time(row, "since")?,
            }),
            Some("primary") => Ok(Self::Primary),
            _ => Err(missing("kind")),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_blocker_says_who_since_when_and_what_ends_it() {
        let since = Some(Timestamp(61_999_999));
        let mut blocker = Blocker::Transaction {
            pid: 7,
            user: Some("app".into()),
            application_name: Some("etl".into()),
            state: Some("idle in transaction".into()),
            since,
        };
        assert_eq!(
            blocker.to_string(),
            "process 7 (app, idle in transaction) in a transaction since 2000-01-01 00:01:01+00"
        );
        if let Blocker::Transaction { state, since, .. } = &mut blocker {
            (*state, *since) = (None, None);
        }
        assert_eq!(blocker.to_string(), "process 7 (app) in a transaction");
        assert!(blocker.remedy().contains("pg_terminate_backend(7)"));

        let blocker = Blocker::Prepared {
            gid: "it's".into(),
            owner: "app".into(),
            database: "shop".into(),
            since,
        };
        assert_eq!(
            blocker.to_string(),
            r"prepared transaction 'it\'s' since 2000-01-01 00:01:01+00"
        );
        assert_eq!(
            blocker.remedy(),
            "End it in database \"shop\" with COMMIT PREPARED 'it''s' or ROLLBACK PREPARED 'it''s'."
        );
        assert!(
            Blocker::Primary
                .to_string()
                .contains("pg_log_standby_snapshot()")
        );
    }
}
