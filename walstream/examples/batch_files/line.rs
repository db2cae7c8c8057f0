//! Changes as lines of JSON: `{"insert":"public.t","lsn":"0/1750578","new":{"id":"1"}}`.

use std::collections::BTreeMap;
use std::error::Error;

use serde_json::{Value, json};
use walstream::walproto::{RowError, Sent};
use walstream::{Change, Relation, Transaction};

/// A row as text by column name, `None` for NULL.
type Row = BTreeMap<String, Sent<Option<String>>>;

/// Appends one line for each change of rows.
pub(crate) fn append(
    lines: &mut String,
    transaction: &mut Transaction,
) -> Result<(), Box<dyn Error>> {
    let mut changes = transaction.changes()?;
    while let Some((lsn, change)) = changes.next()? {
        let mut line = match change {
            Change::Insert { relation, new } => {
                json!({"insert": name(relation), "new": sent(new.deserialize_columns(relation.defs()))?})
            }
            Change::Update { relation, old, new } => {
                let old = old.map(|old| sent(old.deserialize_columns(relation.defs())));
                let new = sent(new.deserialize_columns(relation.defs()))?;
                json!({"update": name(relation), "old": old.transpose()?, "new": new})
            }
            Change::Delete { relation, old } => {
                json!({"delete": name(relation), "old": sent(old.deserialize_columns(relation.defs()))?})
            }
            Change::Truncate { relations, .. } => {
                json!({"truncate": relations.into_iter().map(|it| name(it)).collect::<Vec<_>>()})
            }
            _ => continue,
        };
        line["lsn"] = lsn.to_string().into();
        lines.push_str(&line.to_string());
        lines.push('\n');
    }
    Ok(())
}

fn name(relation: &Relation) -> String {
    format!("{}.{}", relation.namespace, relation.name)
}

/// The columns that were sent; those outside a key and large ones that did not change are left out.
fn sent(row: Result<Row, RowError>) -> Result<Value, RowError> {
    let columns = row?.into_iter();
    Ok(columns
        .filter_map(|(column, value)| Some((column, Value::from(value.value()?))))
        .collect())
}
