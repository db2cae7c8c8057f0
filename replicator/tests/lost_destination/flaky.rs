//! A destination whose every call may fail, before or after it was carried out.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

use replicator::{
    Chunk, Destination, Error, Existing, Names, Operation, Outcome, PositionRow, Result, Rows,
    SqliteDestination, Table, TableRow,
};
use testdata::workload::Random;
use walproto::{Lsn, Oid};

/// After so many faults, what never failed fails the next time.
const SPARED: u64 = 40;

/// After so many without a commit in between chance has no more of them: pauses grow, and a large transaction makes so
/// many calls that one of them nearly always fails.
const IN_A_ROW: usize = 4;

/// What goes wrong, and how often it did.
#[derive(Debug)]
pub(crate) struct Faults {
    pub(crate) random: Random,
    /// One call in so many; none if zero.
    pub(crate) one_in: usize,
    /// After a fault so many more calls are lost, whatever they are.
    pub(crate) lost_for: usize,
    pub(crate) met: BTreeMap<&'static str, u64>,
    /// How many since a commit was answered.
    since_commit: usize,
}

impl Faults {
    pub(crate) fn new(seed: u64, one_in: usize) -> Arc<Mutex<Self>> {
        Arc::new(Mutex::new(Self {
            random: Random::new(seed),
            one_in,
            lost_for: 0,
            met: BTreeMap::new(),
            since_commit: 0,
        }))
    }

    /// Whether this one was spared while others failed again and again, as chance has it where calls are few.
    fn is_due(&self, place: &'static str) -> bool {
        !self.met.contains_key(place) && self.met.values().sum::<u64>() >= SPARED
    }
}

#[derive(Debug)]
pub(crate) struct Flaky {
    pub(crate) inner: SqliteDestination,
    pub(crate) faults: Arc<Mutex<Faults>>,
}

impl Flaky {
    fn fails(&self, place: &'static str) -> bool {
        let mut faults = self.faults.lock().unwrap();
        if faults.lost_for > 0 {
            faults.lost_for -= 1;
        } else {
            let one_in = faults.one_in;
            if one_in == 0 || faults.since_commit >= IN_A_ROW {
                return false;
            }
            if !faults.is_due(place) && faults.random.below(one_in) != 0 {
                return false;
            }
            faults.lost_for = faults.random.below(2);
        }
        faults.since_commit += 1;
        *faults.met.entry(place).or_default() += 1;
        true
    }

    fn check(&self, place: &'static str) -> Result<()> {
        if self.fails(place) {
            return Err(Error::retry(format!("lost in {place}")));
        }
        Ok(())
    }
}

impl Destination for Flaky {
    fn name_tables<'a>(
        &self,
        names: &Names,
        tables: impl IntoIterator<Item = &'a mut Table>,
    ) -> Result<()> {
        self.inner.name_tables(names, tables)
    }

    async fn position(&mut self, slot: &str) -> Result<Option<PositionRow>> {
        self.check("position")?;
        self.inner.position(slot).await
    }

    async fn tables(&mut self, slot: &str) -> Result<Vec<TableRow>> {
        self.inner.tables(slot).await
    }

    async fn write_intent(&mut self, row: &PositionRow) -> Result<PositionRow> {
        self.inner.write_intent(row).await
    }

    async fn remove_intent(&mut self, slot: &str) -> Result<()> {
        self.inner.remove_intent(slot).await
    }

    async fn create_table(
        &mut self,
        slot: &str,
        table: &Arc<Table>,
        existing: Existing,
    ) -> Result<()> {
        self.inner.create_table(slot, table, existing).await
    }

    async fn drop_made_tables(&mut self, slot: &str) -> Result<Vec<String>> {
        self.inner.drop_made_tables(slot).await
    }

    async fn activate(&mut self, row: &PositionRow) -> Result<PositionRow> {
        self.inner.activate(row).await
    }

    async fn raise_epoch(&mut self, slot: &str, holder: &str) -> Result<PositionRow> {
        self.inner.raise_epoch(slot, holder).await
    }

    async fn begin_copy(&mut self, held: &PositionRow, table: &Arc<Table>, at: Lsn) -> Result<()> {
        self.inner.begin_copy(held, table, at).await
    }

    async fn copy(&mut self, held: &PositionRow, chunk: Chunk) -> Result<()> {
        self.inner.copy(held, chunk).await
    }

    async fn finish_copy(&mut self, held: &PositionRow, oid: Oid, at: Lsn) -> Result<()> {
        self.inner.finish_copy(held, oid, at).await
    }

    async fn begin(&mut self, expected: &PositionRow, next: &PositionRow) -> Result<()> {
        self.check("begin")?;
        self.inner.begin(expected, next).await?;
        self.check("begun")
    }

    async fn execute(&mut self, operations: Vec<Operation>) -> Result<()> {
        self.check("execute")?;
        self.inner.execute(operations).await?;
        self.check("executed")
    }

    async fn commit(&mut self) -> Result<Outcome> {
        if self.fails("commit") {
            self.inner.rollback().await?;
            return Ok(Outcome::NotCommitted(Error::retry("not committed")));
        }
        if self.fails("commit, and nobody knows") {
            self.inner.rollback().await?;
            return Err(Error::retry("no answer"));
        }
        let outcome = self.inner.commit().await?;
        self.check("committed, and nobody knows")?;
        self.faults.lock().unwrap().since_commit = 0;
        Ok(outcome)
    }

    async fn rollback(&mut self) -> Result<()> {
        self.check("rollback")?;
        self.inner.rollback().await
    }

    async fn forget(&mut self, slot: &str) -> Result<()> {
        self.inner.forget(slot).await
    }

    async fn caught_up(&mut self, slot: &str, oid: Oid) -> Result<()> {
        self.inner.caught_up(slot, oid).await
    }

    async fn stop_table(&mut self, slot: &str, oid: Oid, reason: &str) -> Result<()> {
        self.inner.stop_table(slot, oid, reason).await
    }

    async fn read(&mut self, table: &Arc<Table>) -> Result<Rows> {
        self.inner.read(table).await
    }

    async fn close(self) -> Result<()> {
        self.inner.close().await
    }
}
