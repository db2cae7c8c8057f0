//! A destination of the user's own between the run and a file: one that loses its connection, and one that cannot leave
//! anything out.

use std::sync::Arc;
use std::time::Duration;

use replicator::{
    Chunk, Config, Copy, Destination, Error, Existing, Names, Operation, Outcome, PositionRow,
    Refused, Result, Rows, ShutdownHandle, SqliteDestination, SqliteOptions, Summary, Table,
    TableRow, Until,
};
use walproto::{Lsn, Oid};

use crate::bench::Bench;
use crate::place::{Place, Sqlite};

/// What is between.
struct Own {
    file: SqliteDestination,
    /// Whether it can leave something out.
    leaves: bool,
    /// How many more commits of what was left out are lost.
    lost: u32,
    /// Whether something was left out since the batch began.
    left: bool,
}

impl Destination for Own {
    fn name_tables<'a>(
        &self,
        names: &Names,
        tables: impl IntoIterator<Item = &'a mut Table>,
    ) -> Result<()> {
        self.file.name_tables(names, tables)
    }

    async fn position(&mut self, slot: &str) -> Result<Option<PositionRow>> {
        self.file.position(slot).await
    }

    async fn tables(&mut self, slot: &str) -> Result<Vec<TableRow>> {
        self.file.tables(slot).await
    }

    async fn write_intent(&mut self, row: &PositionRow) -> Result<PositionRow> {
        self.file.write_intent(row).await
    }

    async fn remove_intent(&mut self, slot: &str) -> Result<()> {
        self.file.remove_intent(slot).await
    }

    async fn create_table(
        &mut self,
        slot: &str,
        table: &Arc<Table>,
        existing: Existing,
    ) -> Result<()> {
        self.file.create_table(slot, table, existing).await
    }

    async fn drop_made_tables(&mut self, slot: &str) -> Result<Vec<String>> {
        self.file.drop_made_tables(slot).await
    }

    async fn activate(&mut self, row: &PositionRow) -> Result<PositionRow> {
        self.file.activate(row).await
    }

    async fn raise_epoch(&mut self, slot: &str, holder: &str) -> Result<PositionRow> {
        self.file.raise_epoch(slot, holder).await
    }

    async fn begin_copy(&mut self, held: &PositionRow, table: &Arc<Table>, at: Lsn) -> Result<()> {
        self.file.begin_copy(held, table, at).await
    }

    async fn copy(&mut self, held: &PositionRow, chunk: Chunk) -> Result<()> {
        self.file.copy(held, chunk).await
    }

    async fn finish_copy(&mut self, held: &PositionRow, oid: Oid, at: Lsn) -> Result<()> {
        self.file.finish_copy(held, oid, at).await
    }

    async fn begin(&mut self, expected: &PositionRow, next: &PositionRow) -> Result<()> {
        self.left = false;
        self.file.begin(expected, next).await
    }

    async fn execute(&mut self, operations: Vec<Operation>) -> Result<()> {
        self.file.execute(operations).await
    }

    async fn attempt(&mut self, operations: Vec<Operation>) -> Result<Vec<Refused>> {
        if !self.leaves {
            // As the trait has it for who does not say otherwise.
            return self.execute(operations).await.map(|()| Vec::new());
        }
        let refused = self.file.attempt(operations).await?;
        self.left |= !refused.is_empty();
        Ok(refused)
    }

    async fn commit(&mut self) -> Result<Outcome> {
        if self.left && self.lost > 0 {
            self.lost -= 1;
            // Now and then it is in all the same.
            if self.lost % 2 == 1 {
                self.file.rollback().await?;
            } else {
                let _ = self.file.commit().await?;
            }
            return Err(Error::retry("the answer to the commit was lost"));
        }
        self.file.commit().await
    }

    async fn rollback(&mut self) -> Result<()> {
        self.file.rollback().await
    }

    async fn forget(&mut self, slot: &str) -> Result<()> {
        self.file.forget(slot).await
    }

    async fn caught_up(&mut self, slot: &str, oid: Oid) -> Result<()> {
        self.file.caught_up(slot, oid).await
    }

    async fn stop_table(&mut self, slot: &str, oid: Oid, reason: &str) -> Result<()> {
        self.file.stop_table(slot, oid, reason).await
    }

    async fn read(&mut self, table: &Arc<Table>) -> Result<Rows> {
        self.file.read(table).await
    }

    async fn close(self) -> Result<()> {
        self.file.close().await
    }
}

/// Runs into it, with a file for what is left out.
fn run(bench: &Bench<Sqlite>, leaves: bool, lost: u32) -> Result<Summary> {
    let url = bench.place.url();
    let path = url.strip_prefix("sqlite:").unwrap();
    let slot = bench.job.slot_name();
    let (_handle, shutdown) = ShutdownHandle::new();
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap();
    runtime.block_on(async {
        let options = SqliteOptions::new(path, slot).wait(Duration::from_secs(5));
        let own = Own {
            file: SqliteDestination::open(options).await?,
            leaves,
            lost,
            left: false,
        };
        let config = Config::new(bench.job.source(), &*url)
            .slot(slot)
            .copy(Copy::No)
            .quarantine(bench.file())
            .until(Until::Current);
        replicator::run_into(config, own, shutdown).await
    })
}

/// What was written down for an attempt that came to nothing is taken back.
#[test]
fn a_commit_that_is_lost_leaves_each_line_once() {
    for lost in 0..4 {
        let mut bench = Bench::<Sqlite>::new(&[]);
        bench.play("INSERT INTO t VALUES (1, 1, 'one'), (2, 200, 'two'), (3, 300, 'three')");
        let summary = run(&bench, true, lost).unwrap();
        assert_eq!((summary.changes, summary.left_out), (1, 2), "{lost}");
        let lines = bench.left_out();
        let ids: Vec<&str> = lines
            .iter()
            .map(|line| line["key"]["id"].as_str().unwrap())
            .collect();
        assert_eq!(ids, ["2", "3"], "{lost}");
        assert_eq!(bench.differences().len(), 2, "{lost}");
    }
}

/// It ends the run as if there were no file, and the way on is the other one.
#[test]
fn who_cannot_leave_anything_out_stops() {
    let mut bench = Bench::<Sqlite>::new(&[]);
    bench.play("INSERT INTO t VALUES (1, 1, 'one'), (2, 200, 'two')");
    let error = run(&bench, false, 0).unwrap_err();
    assert_eq!(error.exit_code(), 3, "{error}");
    assert!(error.to_string().contains("id = 2"), "{error}");
    assert!(error.hint().unwrap().contains("--skip"), "{error:?}");
    assert_eq!(bench.left_out().len(), 0);
}
