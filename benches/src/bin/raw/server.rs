//! PostgreSQL as the sender: the same backlog in a slot for each run.

use benches::shape::{Shape, TRANSACTION};
use testdata::{Client as Sql, Server, Version};
use walstream::walproto::Lsn;

use crate::Failure;
use crate::contestant::{CONTESTANTS, Target};
use crate::table::Table;

/// About so much is sent in one run.
const LENGTH: usize = 16 << 20;

const ROUNDS: usize = 3;

pub(crate) fn measure(shapes: &[&str]) -> Result<(), Failure> {
    println!("From PostgreSQL 18, over loopback TCP\n");
    for shape in Shape::chosen(shapes)? {
        let server = Server::start(Version::V18);
        let mut sql = Sql::connect(&server, "postgres")?;
        let columns: Vec<_> = shape
            .types()
            .enumerate()
            .map(|(at, (name, _))| format!("column_{at} {name}"))
            .collect();
        sql.batch(&format!(
            "CREATE TABLE t ({}, PRIMARY KEY (column_0)); CREATE PUBLICATION p FOR TABLE t",
            columns.join(", ")
        ))?;
        sql.batch("SELECT pg_create_logical_replication_slot('base', 'pgoutput')")?;
        // As long on the wire as in the flood, within some per cent.
        let sample = shape.flow(1 << 20);
        let bytes_per_row = sample.bytes.len() / sample.rows;
        let rows = (LENGTH / bytes_per_row).next_multiple_of(TRANSACTION);
        fill(&mut sql, &shape, rows)?;
        let end: Lsn = sql.value("SELECT pg_current_wal_insert_lsn()")?.parse()?;
        let mut table = Table::new(shape.title, bytes_per_row * rows, rows);
        for _ in 0..ROUNDS {
            for contestant in CONTESTANTS {
                sql.batch("SELECT pg_copy_logical_replication_slot('base', 'run')")?;
                let run = contestant.measure(&Target {
                    shape,
                    port: server.port(),
                    user: "postgres",
                    slot: "run",
                    rows,
                    end: end.0,
                })?;
                table.add(contestant, run)?;
                drop_slot(&mut sql)?;
            }
        }
        table.print();
    }
    Ok(())
}

fn fill(sql: &mut Sql, shape: &Shape, rows: usize) -> Result<(), Failure> {
    for first in (1..=rows).step_by(TRANSACTION) {
        let insert = format!("INSERT INTO t {}", shape.select(first, TRANSACTION));
        sql.batch(&insert)?;
    }
    Ok(())
}

/// Once the server has noticed that its reader left.
fn drop_slot(sql: &mut Sql) -> Result<(), Failure> {
    let active = "SELECT count(*) FROM pg_replication_slots WHERE slot_name = 'run' AND active";
    while sql.value(active)? != "0" {
        std::thread::sleep(std::time::Duration::from_millis(10));
    }
    sql.batch("SELECT pg_drop_replication_slot('run')")?;
    Ok(())
}
