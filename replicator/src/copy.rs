//! Copies of tables: rows that existed when a snapshot was taken, each table with the snapshot's place in the stream.
//!
//! A snapshot sees exactly what committed before its slot's consistent point. That position goes into the ledger with the
//! table, and of the stream the table gets what commits at it or later: neither gap nor overlap, and tables may be copied
//! at different moments. The order of events, and what a crash leaves behind, stands in the crate's documentation.

mod estimate;
mod event;
mod figures;
mod lines;
mod pace;
mod progress;
mod row;
mod snapshot;

use std::sync::Arc;

use walstream::{Client, quote_identifier};

use crate::chunk::Chunk;
use crate::config::Config;
use crate::destination::Destination;
use crate::error::{Error, Result};
use crate::fail_point;
use crate::position::{PositionRow, TableRow, TableState};
use crate::source::{self, PublishedTable, Source};
use crate::table::Table;
pub use event::{CopyEvent, CopyPlan, CopyProgress, CopyTable};
pub use pace::CopyHandle;
pub(crate) use progress::{OnCopy, Progress};
pub(crate) use row::{row, unescape};
pub(crate) use snapshot::Snapshot;

/// Rows that travel to the destination together.
const ROWS: u64 = 10_000;
/// And their bytes, so that large rows do not pile up.
const BYTES: usize = 2 << 20;

/// How often a table may be found rewritten between a snapshot and its lock.
const SNAPSHOTS: usize = 5;

/// What copies are made from and for.
pub(crate) struct Copying<'a> {
    pub(crate) config: &'a Config,
    /// Leads to the source.
    pub(crate) connection: &'a walstream::Config,
    pub(crate) publications: &'a [String],
    /// Under which we write.
    pub(crate) held: &'a PositionRow,
}

impl Copying<'_> {
    /// Copies every table of the ledger whose copy is not complete; the ledger's tables as they are then.
    ///
    /// `first` is the snapshot of the slot that was just made. Without it, and for tables that changed since, one of now
    /// is taken.
    pub(crate) async fn all(
        &self,
        source: &mut Source,
        destination: &mut impl Destination,
        first: Option<Snapshot>,
    ) -> Result<Vec<TableRow>> {
        let Self { config, held, .. } = self;
        let mut first = first;
        let mut progress: Option<Progress> = None;
        for _ in 0..SNAPSHOTS {
            let rows = destination.tables(&held.slot).await?;
            let pending: Vec<&TableRow> = rows
                .iter()
                .filter(|row| row.state == TableState::Copying)
                .collect();
            if pending.is_empty() {
                if let Some(progress) = progress {
                    progress.done();
                }
                return Ok(rows);
            }
            let progress = match &progress {
                Some(progress) => progress,
                None => progress.insert(Progress::begin(config, source, &pending).await?),
            };
            let mut snapshot = match first.take() {
                Some(snapshot) => snapshot,
                None => Snapshot::now(self.connection, source, &config.slot).await?,
            };
            let holder = &mut snapshot.holder;
            let published = source::published(holder, self.publications, &config.selection).await?;
            let mut client = snapshot.session(self.connection).await?;
            for row in pending {
                let oid = row.table.oid;
                let found = published.tables.iter().find(|it| it.table.oid == oid);
                let Some(found) = found else {
                    let why = "it was dropped, or is not published any more";
                    destination.stop_table(&held.slot, oid, why).await?;
                    tracing::warn!(table = %row.table, "not copied: {why}");
                    progress.table_left(oid);
                    continue;
                };
                if !lock(&mut client, source, found, self.publications).await? {
                    tracing::info!(table = %row.table, "the table changed since the snapshot; it is copied with another one");
                    continue;
                }
                let table = Arc::new(Table {
                    destination: row.table.destination.clone(),
                    ..found.table.clone()
                });
                destination.begin_copy(held, &table, snapshot.lsn).await?;
                progress.table_begun(oid);
                fail_point!("copy-begun");
                let copied =
                    self.table(&mut client, destination, found, &table, &snapshot, progress);
                tokio::select! {
                    copied = copied => copied?,
                    never = progress.watch(self.connection, &held.slot) => match never {},
                }
                fail_point!("copied");
                destination.finish_copy(held, oid, snapshot.lsn).await?;
                fail_point!("copy-finished");
                progress.table_done(oid);
            }
        }
        Err(Error::retry(format!(
            "tables kept changing their definition; no copy in {SNAPSHOTS} attempts"
        )))
    }

    /// Copies one table's published rows; the destination table stands and is empty.
    async fn table(
        &self,
        client: &mut Client,
        destination: &mut impl Destination,
        published: &PublishedTable,
        table: &Arc<Table>,
        snapshot: &Snapshot,
        progress: &Progress,
    ) -> Result<()> {
        let fresh = |number| Chunk::new(Arc::clone(table), snapshot.lsn, 0, number);
        let mut chunk = fresh(1);
        let mut stream = client.copy_out(&source::copy_query(published)).await?;
        while let Some(line) = stream.next().await? {
            chunk.push(&line);
            if chunk.count() >= ROWS || chunk.lines().len() >= BYTES {
                let next = fresh(chunk.number() + 1);
                fail_point!("copy-middle");
                let full = std::mem::replace(&mut chunk, next);
                self.hand_in(destination, full, progress).await?;
            }
        }
        if chunk.count() > 0 {
            fail_point!("copy-middle");
            self.hand_in(destination, chunk, progress).await?;
        }
        Ok(())
    }

    async fn hand_in(
        &self,
        destination: &mut impl Destination,
        chunk: Chunk,
        progress: &Progress,
    ) -> Result<()> {
        let (oid, rows, bytes) = (chunk.table().oid, chunk.count(), chunk.lines().len());
        progress.take(bytes).await;
        destination.copy(self.held, chunk).await?;
        progress.add(oid, rows, bytes);
        Ok(())
    }
}

/// Locks a table against rewriting, and compares what the snapshot says of it with what it is now.
///
/// A table that was rewritten or truncated between the snapshot and the lock would be read as it is now, not as it
/// was; `false` asks for a new snapshot.
async fn lock(
    client: &mut Client,
    now: &mut Source,
    was: &PublishedTable,
    names: &[String],
) -> Result<bool> {
    let name = format!(
        "{}.{}",
        quote_identifier(&was.table.schema),
        quote_identifier(&was.table.name)
    );
    // Waiting here blocks only ourselves.
    client
        .execute("SET LOCAL lock_timeout = '10s'; SAVEPOINT locking")
        .await?;
    match client
        .execute(&format!("LOCK TABLE {name} IN ACCESS SHARE MODE"))
        .await
    {
        Ok(()) => {}
        // Renamed or dropped since the snapshot.
        Err(error) if matches!(error.sqlstate(), Some("42P01" | "3F000")) => {
            client.execute("ROLLBACK TO SAVEPOINT locking").await?;
            return Ok(false);
        }
        Err(error) => return Err(error.into()),
    }
    let current = match now.published(names).await {
        Ok(current) => current,
        // Somebody waits for a lock that conflicts with ours, and the catalog's functions queue up behind: if we
        // waited too, nobody would ever go on. The new snapshot will be after what they do.
        Err(error) if error.is_locked_out() => {
            client.execute("ROLLBACK TO SAVEPOINT locking").await?;
            return Ok(false);
        }
        Err(error) => return Err(error),
    };
    let same = current.tables.contains(was);
    if !same {
        client.execute("ROLLBACK TO SAVEPOINT locking").await?;
    }
    Ok(same)
}
