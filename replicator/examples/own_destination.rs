//! A destination of one's own: a file to which every change is appended as a line of JSON, exactly once.
//!
//! `cargo run -p replicator --example own_destination postgres://app@localhost/shop changes changes.jsonl`
//!
//! What makes it exact: the position is a line of the same file, behind the changes that it is about. A line with a
//! position ends a batch; what stands behind the last one came from a batch that was not completed, and is cut off.
//! [`Ledger`] knows what has to be in that line.

use std::fs::{File, OpenOptions};
use std::io::{Read, Seek, SeekFrom, Write};
use std::sync::Arc;

use replicator::{
    Action, Chunk, Config, Destination, Error, Existing, Ledger, Operation, Outcome, PositionRow,
    Result, ShutdownHandle, Table, TableRow, Value, run_into,
};
use serde_json::{Map, json};
use walproto::{Lsn, Oid};

/// The file, and what its last position says.
struct Lines {
    file: File,
    /// The end of the last complete batch.
    length: u64,
    ledger: Ledger,
    /// As it will be when the batch is complete.
    next: Option<(Ledger, PositionRow)>,
}

impl Lines {
    fn open(path: &str) -> Result<Self> {
        let failed = |error| Error::retry(format!("cannot use {path}")).caused_by(error);
        let mut options = OpenOptions::new();
        let mut file = options
            .read(true)
            .write(true)
            .create(true)
            .open(path)
            .map_err(failed)?;
        file.try_lock()
            .map_err(|_| Error::retry(format!("{path} is in use")))?;
        let mut text = String::new();
        file.read_to_string(&mut text).map_err(failed)?;
        let (mut length, mut ledger, mut end) = (0, Ledger::new(), 0);
        for line in text.split_inclusive('\n') {
            end += line.len() as u64;
            if let Some(position) = line
                .strip_prefix(POSITION)
                .and_then(|rest| rest.strip_suffix("}\n"))
            {
                (length, ledger) = (end, Ledger::from_json(position)?);
            }
        }
        file.set_len(length)
            .and_then(|()| file.seek(SeekFrom::End(0)))
            .map_err(failed)?;
        Ok(Self {
            file,
            length,
            ledger,
            next: None,
        })
    }

    fn write(&mut self, line: &str) -> Result<()> {
        let line = format!("{line}\n");
        self.file
            .write_all(line.as_bytes())
            .map_err(|error| Error::retry("cannot write a line").caused_by(error))
    }

    /// Ends what was written since the last time: from here on it counts.
    fn complete(&mut self, ledger: Ledger) -> Result<()> {
        self.write(&format!("{POSITION}{}}}", ledger.to_json()))?;
        let durable = self
            .file
            .sync_data()
            .and_then(|()| self.file.stream_position());
        self.length =
            durable.map_err(|error| Error::retry("cannot make lines durable").caused_by(error))?;
        self.ledger = ledger;
        Ok(())
    }

    /// Changes what is remembered, and makes that durable.
    fn remember<T>(&mut self, change: impl FnOnce(&mut Ledger) -> Result<T>) -> Result<T> {
        let mut ledger = self.ledger.clone();
        let value = change(&mut ledger)?;
        self.complete(ledger)?;
        Ok(value)
    }
}

const POSITION: &str = "{\"position\":";

/// Columns and values as an object, each value as PostgreSQL prints it.
fn row<'a>(
    table: &Table,
    columns: impl Iterator<Item = (usize, &'a Value)>,
) -> Result<serde_json::Value> {
    let pair = |(at, value): (usize, &Value)| {
        let column = &table.columns[at];
        let text = value
            .to_text(column.kind)
            .map_err(|error| Error::person(error.to_string()))?;
        Ok((column.name.clone(), json!(text)))
    };
    Ok(serde_json::Value::Object(
        columns.map(pair).collect::<Result<Map<_, _>>>()?,
    ))
}

fn line(table: &Table, action: &Action) -> Result<String> {
    let matched = |values: &'_ [Value]| row(table, table.matched().zip(values));
    let mut line = match action {
        Action::Insert { values } => json!({"insert": row(table, values.iter().enumerate())?}),
        Action::Update { set, matched: old } => {
            json!({"update": matched(old)?, "set": row(table, set.iter().map(|(at, value)| (*at, value)))?})
        }
        Action::Delete { matched: old } => json!({"delete": matched(old)?}),
        Action::Truncate => json!({"truncate": true}),
    };
    line["table"] = json!(table.destination);
    Ok(line.to_string())
}

impl Destination for Lines {
    async fn position(&mut self, slot: &str) -> Result<Option<PositionRow>> {
        Ok(self.ledger.position(slot).cloned())
    }

    async fn tables(&mut self, slot: &str) -> Result<Vec<TableRow>> {
        Ok(self.ledger.tables(slot))
    }

    async fn write_intent(&mut self, row: &PositionRow) -> Result<PositionRow> {
        self.remember(|ledger| ledger.write_intent(row))
    }

    async fn remove_intent(&mut self, slot: &str) -> Result<()> {
        self.remember(|ledger| ledger.remove_intent(slot))
    }

    async fn create_table(&mut self, slot: &str, table: &Arc<Table>, _: Existing) -> Result<()> {
        self.write(&json!({"create": table.destination}).to_string())?;
        self.remember(|ledger| {
            ledger.add_table(slot, table, true);
            Ok(())
        })
    }

    async fn drop_made_tables(&mut self, slot: &str) -> Result<Vec<String>> {
        let mut ledger = self.ledger.clone();
        let names: Vec<_> = ledger
            .remove_tables(slot)
            .into_iter()
            .map(|row| row.table.destination)
            .collect();
        for name in &names {
            self.write(&json!({"drop": name}).to_string())?;
        }
        self.complete(ledger)?;
        Ok(names)
    }

    async fn activate(&mut self, row: &PositionRow) -> Result<PositionRow> {
        self.remember(|ledger| ledger.activate(row))
    }

    async fn raise_epoch(&mut self, slot: &str, holder: &str) -> Result<PositionRow> {
        self.remember(|ledger| ledger.raise_epoch(slot, holder))
    }

    async fn begin_copy(&mut self, held: &PositionRow, table: &Arc<Table>, at: Lsn) -> Result<()> {
        let mut ledger = self.ledger.clone();
        ledger.begin_copy(held, table, at)?;
        // What an earlier copy brought, if one was begun.
        let line = line(table, &Action::Truncate)?;
        self.write(&line)?;
        self.complete(ledger)
    }

    async fn copy(&mut self, held: &PositionRow, chunk: Chunk) -> Result<()> {
        let mut ledger = self.ledger.clone();
        if !ledger.add_chunk(held, &chunk)? {
            return Ok(());
        }
        let rows = chunk.rows();
        let lines = rows.map(|values| line(chunk.table(), &Action::Insert { values: values? }));
        self.write(&lines.collect::<Result<Vec<_>>>()?.join("\n"))?;
        self.complete(ledger)
    }

    async fn finish_copy(&mut self, held: &PositionRow, oid: Oid, at: Lsn) -> Result<()> {
        self.remember(|ledger| ledger.finish_copy(held, oid, at))
    }

    async fn begin(&mut self, expected: &PositionRow, next: &PositionRow) -> Result<()> {
        let mut ledger = self.ledger.clone();
        let row = ledger.advance(expected, next)?;
        self.next = Some((ledger, row));
        Ok(())
    }

    async fn execute(&mut self, operations: Vec<Operation>) -> Result<()> {
        let lines: Vec<String> = operations
            .iter()
            .map(|it| line(&it.table, &it.action))
            .collect::<Result<_>>()?;
        self.write(&lines.join("\n"))
    }

    async fn commit(&mut self) -> Result<Outcome> {
        let (ledger, row) = self
            .next
            .take()
            .ok_or_else(|| Error::person("no batch is open"))?;
        self.complete(ledger)?;
        Ok(Outcome::Committed(row))
    }

    async fn rollback(&mut self) -> Result<()> {
        self.next = None;
        let cut = self
            .file
            .set_len(self.length)
            .and_then(|()| self.file.seek(SeekFrom::End(0)));
        cut.map(drop)
            .map_err(|error| Error::retry("cannot cut off lines").caused_by(error))
    }

    async fn forget(&mut self, slot: &str) -> Result<()> {
        self.remember(|ledger| {
            ledger.forget(slot);
            Ok(())
        })
    }
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> std::process::ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [source, slot, path] = &arguments[..] else {
        eprintln!("own_destination SOURCE SLOT FILE");
        return 2.into();
    };
    let (handle, shutdown) = ShutdownHandle::new();
    tokio::spawn(async move {
        let _ = tokio::signal::ctrl_c().await;
        handle.shut_down();
    });
    // It is handed in, so the configuration names none.
    let config = Config::new(source, "").slot(slot);
    let done = match Lines::open(path) {
        Ok(lines) => run_into(config, lines, shutdown).await,
        Err(error) => Err(error),
    };
    match done {
        Ok(summary) => {
            println!(
                "{} transactions, up to {}",
                summary.transactions, summary.position
            );
            0.into()
        }
        Err(error) => {
            eprintln!("{error}\n{}", error.hint().unwrap_or_default());
            error.exit_code().into()
        }
    }
}
