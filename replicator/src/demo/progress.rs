//! How far the replicator is behind: what is measured, and a line of it for each second.

use std::collections::VecDeque;
use std::path::PathBuf;

use tokio::task::spawn_blocking;
use tokio::time::Instant;
use walstream::Client;
use walstream::walproto::Lsn;

use super::file;
use crate::error::Result;
use crate::show::people::{grouped, size};

/// Watches both sides.
pub(super) struct Progress {
    client: Client,
    slot: String,
    file: PathBuf,
    started: Instant,
    /// When the source was at which position, for those that are not confirmed yet.
    unconfirmed: VecDeque<(Instant, Lsn)>,
    written: Lsn,
    confirmed: Option<Lsn>,
}

impl Progress {
    pub(super) fn new(client: Client, slot: &str, file: PathBuf) -> Self {
        Self {
            client,
            slot: slot.to_owned(),
            file,
            started: Instant::now(),
            unconfirmed: VecDeque::new(),
            written: Lsn::ZERO,
            confirmed: None,
        }
    }

    /// Takes note of where both sides are; the time it is behind is as fine as this is often.
    pub(super) async fn look(&mut self) -> Result<()> {
        let now = Instant::now();
        let rows = self.client.query("SELECT pg_current_wal_lsn()").await?;
        let written = rows.first().and_then(|row| row.get(0)?.parse().ok());
        self.written = written.unwrap_or(self.written);
        let slot = self.client.slot(&self.slot).await?;
        self.confirmed = slot.and_then(|slot| slot.confirmed_flush);
        self.unconfirmed.push_back((now, self.written));
        while let Some((_, lsn)) = self.unconfirmed.front()
            && self.confirmed.is_some_and(|confirmed| *lsn <= confirmed)
        {
            self.unconfirmed.pop_front();
        }
        Ok(())
    }

    /// Whether the first copy is over.
    pub(super) const fn is_streaming(&self) -> bool {
        self.confirmed.is_some()
    }

    /// What the columns of [`line`](Self::line) are.
    pub(super) fn head() -> String {
        columns([
            "second",
            "transactions",
            "orders there",
            "in the file",
            "behind by",
        ])
    }

    /// This second.
    pub(super) async fn line(&mut self, transactions: u64) -> Result<String> {
        let rows = self
            .client
            .query("SELECT count(*) FROM public.orders")
            .await?;
        let there: u64 = rows
            .first()
            .and_then(|row| row.get(0)?.parse().ok())
            .unwrap_or(0);
        let file = self.file.clone();
        let here = spawn_blocking(move || file::orders(&file))
            .await
            .unwrap_or(0);
        let second = self.started.elapsed().as_secs_f64().round();
        let behind = match self.confirmed {
            None => "copying".to_owned(),
            Some(confirmed) => {
                let since = self
                    .unconfirmed
                    .front()
                    .map_or(0.0, |(since, _)| since.elapsed().as_secs_f64());
                let bytes = self.written.0.saturating_sub(confirmed.0);
                format!("{since:.1} s, {}", size(bytes))
            }
        };
        Ok(columns([
            &second.to_string(),
            &grouped(transactions),
            &grouped(there),
            &grouped(here),
            &behind,
        ]))
    }
}

fn columns(cells: [&str; 5]) -> String {
    let [second, transactions, there, here, behind] = cells;
    format!("  {second:>6}  {transactions:>12}  {there:>12}  {here:>12}  {behind:>16}")
}
