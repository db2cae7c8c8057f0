//! What the source's catalog knows of a table whose definition changed, and the stream does not tell.
//!
//! The catalog is of now, the stream of then: what it says counts only where both agree.

use std::collections::HashMap;

use walstream::walproto::{Oid, ReplicaIdentity};
use walstream::{Client, Relation, RelationColumn, quote_identifier, quote_literal};

use crate::error::{Error, Result};
use crate::source::{missing_field, parse};
use crate::table::{Column, Table};
use crate::value::Value;

/// The table that the stream speaks of from here on, at the same place of the destination.
pub(crate) async fn changed(
    client: &mut Client,
    was: &Table,
    relation: &Relation,
) -> Result<Table> {
    let bases = bases(client, relation).await?;
    let attnums = attnums(client, relation).await?;
    let mut columns = Vec::with_capacity(relation.columns.len());
    for column in &relation.columns {
        let RelationColumn {
            name,
            type_oid,
            typmod,
            ..
        } = column;
        let known = was.columns.iter().find(|ours| ours.type_oid == *type_oid);
        let base = bases
            .get(type_oid)
            .copied()
            .or_else(|| known.map(|it| it.base_oid));
        // The type is gone by now; its text is all that there ever was of it here.
        let base = base.unwrap_or(*type_oid);
        let column = Column::new(name.clone(), *type_oid, *typmod, base);
        let mut kept = was.columns.iter();
        let attnum = match attnums.get(name) {
            Some((attnum, of)) if *of == (*type_oid, *typmod) => Some(*attnum),
            // It has changed once more since; what it was before that nobody knows.
            _ => kept
                .find(|it| it.looks_like(&column))
                .and_then(|it| it.attnum),
        };
        columns.push(column.with_attnum(attnum));
    }
    let key = key(was, relation);
    Ok(Table {
        schema: relation.namespace.clone(),
        name: relation.name.clone(),
        columns,
        key,
        ..was.clone()
    })
}

/// The key that old rows come with; the one we know where the stream does not say.
fn key(was: &Table, relation: &Relation) -> Vec<usize> {
    let place = |name: &str| relation.columns.iter().position(|it| it.name == name);
    let ours = was.key.iter().filter_map(|at| was.columns.get(*at));
    let kept: Option<Vec<usize>> = ours.map(|column| place(&column.name)).collect();
    let flagged = |at: &usize| relation.columns.get(*at).is_some_and(|it| it.key);
    let sent: Vec<usize> = (0..relation.columns.len()).filter(flagged).collect();
    let whole = matches!(
        relation.identity,
        ReplicaIdentity::Full | ReplicaIdentity::Nothing
    );
    match kept {
        // In the order in which the index has them.
        Some(kept) if whole || sent.is_empty() => kept,
        Some(kept) if kept.len() == sent.len() && kept.iter().all(flagged) => kept,
        _ if whole => Vec::new(),
        _ => sent,
    }
}

/// The numbers of the columns of now, by name, each with its type and modifier.
async fn attnums(
    client: &mut Client,
    relation: &Relation,
) -> Result<HashMap<String, (i16, (Oid, i32))>> {
    let sql = format!(
        "SELECT attname, attnum, atttypid, atttypmod FROM pg_attribute
         WHERE attrelid = {} AND attnum > 0 AND NOT attisdropped",
        relation.oid
    );
    let rows = client.query(&sql).await?;
    let read = |row: &walstream::Row| {
        let field = |at: usize| row.get(at).ok_or_else(|| missing_field(at));
        let of = (Oid(parse(field(2)?)?), parse(field(3)?)?);
        Ok((field(0)?.to_owned(), (parse(field(1)?)?, of)))
    };
    rows.iter().map(read).collect()
}

/// Each type with its domains resolved.
async fn bases(client: &mut Client, relation: &Relation) -> Result<HashMap<Oid, Oid>> {
    let types: Vec<String> = relation
        .columns
        .iter()
        .map(|column| column.type_oid.to_string())
        .collect();
    let sql = format!(
        "WITH RECURSIVE base(type, oid) AS (
           SELECT DISTINCT t, t FROM unnest('{{{}}}'::oid[]) AS t
           UNION
           SELECT b.type, y.typbasetype FROM base b JOIN pg_type y ON y.oid = b.oid WHERE y.typtype = 'd'
         )
         SELECT b.type, b.oid FROM base b JOIN pg_type y ON y.oid = b.oid AND y.typtype <> 'd'",
        types.join(",")
    );
    let mut bases = HashMap::new();
    for row in client.query(&sql).await? {
        let number = |at| row.get(at).and_then(|text| text.parse().ok()).map(Oid);
        let (of, base) = (number(0), number(1));
        let of = of.ok_or_else(|| missing_field(0))?;
        bases.insert(of, base.ok_or_else(|| missing_field(1))?);
    }
    Ok(bases)
}

/// What the rows that were there when a column was added hold in it, or why nobody can tell.
///
/// PostgreSQL keeps a constant default of then beside the column and leaves the rows as they are. Where it does not, they
/// hold NULL, or the table was rewritten with values that the stream does not show.
pub(crate) async fn missing(
    client: &mut Client,
    was: &Table,
    is: &Table,
    at: usize,
) -> Result<Result<Value, String>> {
    let Some(column) = is.columns.get(at) else {
        return Ok(Err("it has no such column".to_owned()));
    };
    let name = &column.name;
    // The element's text is what the column's output function prints.
    let sql = format!(
        "SELECT a.atttypid, a.atttypmod, a.atthasmissing, (a.attmissingval::text::text[])[1], c.relkind, c.relfilenode,
                r.relkind
         FROM pg_class r
         JOIN LATERAL (SELECT r.oid WHERE r.relkind <> 'p'
                       UNION SELECT p.relid FROM pg_partition_tree(r.oid) p WHERE p.isleaf) AS part(oid) ON true
         JOIN pg_class c ON c.oid = part.oid
         JOIN pg_attribute a ON a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped
         WHERE r.oid = {} AND a.attname = {}",
        is.oid,
        quote_literal(name)
    );
    let mut found: Option<Option<String>> = None;
    let mut in_place = true;
    for row in client.query(&sql).await? {
        let field = |at: usize| row.get(at).ok_or_else(|| missing_field(at));
        let same =
            (field(0)?, field(1)?) == (&*column.type_oid.to_string(), &*column.typmod.to_string());
        if !same {
            return Ok(Err(format!(
                "column {name} has changed again at the source since it was added"
            )));
        }
        let value = match field(2)? {
            "t" => Some(field(3)?.to_owned()),
            _ => None,
        };
        if found.as_ref().is_some_and(|other| *other != value) {
            return Ok(Err(format!(
                "the partitions do not agree about what their rows hold in column {name}"
            )));
        }
        in_place &= field(6)? != "p" && field(5)? == was.relfilenode.to_string();
        found = Some(value);
    }
    match found {
        // A partitioned table without partitions has no rows.
        None if !exists(client, is).await? => Ok(Err(format!(
            "column {name} or the table is gone at the source by now"
        ))),
        None => Ok(Ok(Value::Null)),
        Some(Some(text)) => Ok(Value::from_text(column.kind, text.as_bytes())
            .map_err(|error| format!("its default cannot be read: {error}"))),
        Some(None) if in_place || !holds_any(client, is, name).await? => Ok(Ok(Value::Null)),
        Some(None) => Ok(Err(format!(
            "the source wrote its table anew, so the rows that were there may hold values in column {name} that the stream \
             does not show (a default that is not constant, a generated column)"
        ))),
    }
}

/// Whether a partitioned table of this number, without partitions, is there.
async fn exists(client: &mut Client, table: &Table) -> Result<bool> {
    let sql = format!(
        "SELECT FROM pg_class WHERE oid = {} AND relkind = 'p'",
        table.oid
    );
    Ok(!client.query(&sql).await?.is_empty())
}

/// Whether a row of now holds anything in a column. If none does, rows of then hold nothing either, or the stream brings
/// the change.
async fn holds_any(client: &mut Client, table: &Table, name: &str) -> Result<bool> {
    let sql = format!(
        "SELECT EXISTS (SELECT FROM {}.{} WHERE num_nonnulls({}) > 0)",
        quote_identifier(&table.schema),
        quote_identifier(&table.name),
        quote_identifier(name)
    );
    let rows = client.query(&sql).await.map_err(|error| {
        Error::from(error).with_hint(
            "the role of --source needs SELECT on the table to tell what its rows hold in a new column",
        )
    })?;
    Ok(rows.first().and_then(|row| row.get(0)) == Some("t"))
}
