//! Rows with the names of their columns, where there is no allocator to keep the names.
//!
//! `cargo run -p walproto --example no_std_schemas`. Only this file uses `std`, for the console; `schemas.rs` is for
//! copying into a program without it. The server is made up too, with the encoder.

mod schemas;

use std::error::Error;

use schemas::Schemas;
use walproto::{
    Column, ColumnDef, ColumnDefs, Decoder, Encoder, Insert, Message, Oid, Relation,
    ReplicaIdentity, Tuple,
};

fn main() -> Result<(), Box<dyn Error>> {
    let mut decoder = Decoder::new();
    let mut schemas: Schemas<16, 2048> = Schemas::new();
    for message in session()? {
        show(&mut decoder, &mut schemas, &message)?;
    }
    println!(
        "{} schema kept, in {} bytes",
        schemas.len(),
        size_of_val(&schemas)
    );
    Ok(())
}

/// One message of the server.
fn show<const TABLES: usize, const BYTES: usize>(
    decoder: &mut Decoder,
    schemas: &mut Schemas<TABLES, BYTES>,
    message: &[u8],
) -> Result<(), Box<dyn Error>> {
    match decoder.decode(message)?.message {
        Message::Relation(relation) => schemas
            .keep(&relation)
            .map_err(|_| "no room for the schema of one more table")?,
        Message::Insert(insert) => {
            let relation = schemas.find(insert.relation).ok_or("an unknown table")?;
            println!("new row in {}.{}", relation.namespace, relation.name);
            for (column, value) in relation.columns.zip(insert.new.columns()) {
                match value.as_str() {
                    Some(text) => println!("  {}: {}", column.name, text?),
                    None => println!("  {}: {value:?}", column.name),
                }
            }
        }
        _ => {}
    }
    Ok(())
}

/// What a server would send: a table, a row of it, the table with one more column, and another row.
fn session() -> Result<[Vec<u8>; 4], walproto::EncodeError> {
    let id = ColumnDef {
        key: true,
        name: "id",
        type_oid: Oid(23),
        typmod: -1,
    };
    let note = ColumnDef {
        key: false,
        name: "note",
        type_oid: Oid(25),
        typmod: -1,
    };
    Ok([
        relation(&[id])?,
        insert(&[Column::Text(b"1")])?,
        relation(&[id, note])?,
        insert(&[Column::Text(b"2"), Column::Null])?,
    ])
}

fn relation(columns: &[ColumnDef<'_>]) -> Result<Vec<u8>, walproto::EncodeError> {
    let mut buffer = [0; 256];
    let (columns, _) = ColumnDefs::write(columns.iter().copied(), &mut buffer)?;
    encoded(&Message::Relation(Relation {
        oid: Oid(16385),
        namespace: "public",
        name: "notes",
        identity: ReplicaIdentity::Default,
        columns,
    }))
}

fn insert(row: &[Column<'_>]) -> Result<Vec<u8>, walproto::EncodeError> {
    let mut buffer = [0; 256];
    let (new, _) = Tuple::write(row.iter().copied(), &mut buffer)?;
    encoded(&Message::Insert(Insert {
        relation: Oid(16385),
        new,
    }))
}

fn encoded(message: &Message<'_>) -> Result<Vec<u8>, walproto::EncodeError> {
    let mut out = vec![0; Encoder::new().encoded_len(None, message)?];
    Encoder::new().encode(None, message, &mut out)?;
    Ok(out)
}
