//! Prints what is committed, row by row, until Ctrl-C: `print_changes URL SLOT PUBLICATION`.
//!
//! The slot moves with what was printed. It is made by `SELECT pg_create_logical_replication_slot('SLOT', 'pgoutput')`.

use std::error::Error;

use walstream::walproto::{Column, Tuple};
use walstream::{Change, Relation, Stream};

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [url, slot, publication] = &*arguments else {
        return Err("usage: print_changes URL SLOT PUBLICATION".into());
    };
    let mut stream = Stream::connect(url)
        .slot(slot)
        .publication(publication)
        .stop_when(async { drop(tokio::signal::ctrl_c().await) })
        .start()
        .await?;
    while let Some(mut transaction) = stream.next().await? {
        println!("transaction {}", transaction.xid());
        let mut changes = transaction.changes()?;
        while let Some((_, change)) = changes.next()? {
            print(&change);
        }
        transaction.confirm();
    }
    stream.finish().await?;
    Ok(())
}

fn print(change: &Change<'_>) {
    match change {
        Change::Insert { relation, new } => println!("  insert {}", row(relation, new)),
        Change::Update { relation, new, .. } => println!("  update {}", row(relation, new)),
        Change::Delete { relation, old } => println!("  delete {}", row(relation, &old.tuple())),
        Change::Truncate { relations, .. } => {
            relations
                .iter()
                .for_each(|it| println!("  truncate {}.{}", it.namespace, it.name));
        }
        _ => {}
    }
}

/// `schema.table column=value …`; a value that was not sent is left out.
fn row(relation: &Relation, row: &Tuple<'_>) -> String {
    let mut text = format!("{}.{}", relation.namespace, relation.name);
    for (definition, column) in relation.columns.iter().zip(row.columns()) {
        if let Column::Text(value) = column {
            text += &format!(" {}={}", definition.name, String::from_utf8_lossy(value));
        }
    }
    text
}
