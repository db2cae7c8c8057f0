//! Who uses a slot.

use std::fmt;

use walproto::Timestamp;

use crate::client::Client;
use crate::command::quote_literal;
use crate::error::Result;
use crate::row::Row;
use crate::system::{micros, missing, number, seconds, time};

/// The session that uses a slot, as far as the role may see it.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Holder {
    /// Its server process.
    pub pid: i32,
    /// Its role.
    pub user: Option<String>,
    /// What its client calls itself.
    pub application_name: Option<String>,
    /// The address of its client; `None` for a Unix socket too. Shown to the same role and to members of
    /// `pg_read_all_stats`.
    pub client_address: Option<String>,
    /// When the session began; shown to the same.
    pub since: Option<Timestamp>,
}

impl Client {
    /// Who uses a slot; on either kind of connection. `None` where nobody does, or there is no such slot.
    ///
    /// # Errors
    ///
    /// As [`query`](Self::query).
    ///
    /// # Cancel safety
    ///
    /// As [`query`](Self::query).
    pub async fn slot_holder(&mut self, name: &str) -> Result<Option<Holder>> {
        let rows = self.query(&text(name)).await?;
        rows.first().map(Holder::read).transpose()
    }
}

fn text(name: &str) -> String {
    format!(
        "SELECT s.active_pid, a.usename, nullif(a.application_name, '') AS application_name, \
         host(a.client_addr) AS client_addr, {} AS since \
         FROM pg_catalog.pg_replication_slots s LEFT JOIN pg_catalog.pg_stat_activity a ON a.pid = s.active_pid \
         WHERE s.active_pid IS NOT NULL AND s.slot_name = {}",
        micros("a.backend_start"),
        quote_literal(name)
    )
}

impl Holder {
    fn read(row: &Row) -> Result<Self> {
        let text = |name| row.by_name(name).map(str::to_owned);
        Ok(Self {
            pid: number(row, "active_pid")?.ok_or_else(|| missing("active_pid"))?,
            user: text("usename"),
            application_name: text("application_name"),
            client_address: text("client_addr"),
            since: time(row, "since")?,
        })
    }
}

impl fmt::Display for Holder {
    /// `server process 4711 (application "etl", role "app", client 10.1.2.3, since 2026-11-28 05:56:37+00)`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "server process {}", self.pid)?;
        let mut open = " (";
        for (what, name) in [
            ("application", &self.application_name),
            ("role", &self.user),
        ] {
            if let Some(name) = name {
                write!(f, "{open}{what} \"{}\"", name.escape_debug())?;
                open = ", ";
            }
        }
        if let Some(address) = &self.client_address {
            write!(f, "{open}client {address}")?;
            open = ", ";
        }
        if let Some(since) = self.since {
            write!(f, "{open}since {}", seconds(since))?;
            open = ", ";
        }
        if open == ", " {
            f.write_str(")")?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_holder_is_told_as_far_as_it_is_known() {
        let mut holder = Holder {
            pid: 7,
            user: Some("app".into()),
            application_name: Some("a\"b\n".into()),
            client_address: Some("::1".into()),
            since: Some(Timestamp(1_999_999)),
        };
        assert_eq!(
            holder.to_string(),
            r#"server process 7 (application "a\"b\n", role "app", client ::1, since 2000-01-01 00:00:01+00)"#
        );
        (holder.user, holder.application_name) = (None, None);
        (holder.client_address, holder.since) = (None, None);
        assert_eq!(holder.to_string(), "server process 7");
    }
}
