//! Tables as the stream describes them, with their names ready to be written.

use std::collections::HashMap;

use walproto::{ColumnDef, Oid, Relation, Tuple};

use super::error::ShowError;
use super::json;
use super::value::identifier;

/// The tables that count at one place of the stream.
#[derive(Debug, Default)]
pub(super) struct Tables(HashMap<Oid, Table>);

#[derive(Debug)]
pub(super) struct Table {
    /// Schema and name, quoted where SQL would have it so.
    pub(super) name: String,
    pub(super) schema: String,
    pub(super) table: String,
    /// `"schema":"s","table":"t"`
    pub(super) json: Vec<u8>,
    pub(super) columns: Vec<TableColumn>,
}

#[derive(Debug)]
pub(super) struct TableColumn {
    pub(super) key: bool,
    pub(super) type_oid: Oid,
    /// Quoted where SQL would have it so, and a sign of equality.
    pub(super) name: String,
    /// The name as a JSON string, and a colon.
    pub(super) json: Vec<u8>,
}

impl Tables {
    pub(super) fn clear(&mut self) {
        self.0.clear();
    }

    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    pub(super) fn put(&mut self, relation: &Relation<'_>) {
        let schema = schema(relation.namespace);
        let mut json = Vec::new();
        json::member(&mut json, "schema", schema);
        json::member(&mut json, "table", relation.name);
        let table = Table {
            name: format!("{}.{}", identifier(schema), identifier(relation.name)),
            schema: schema.to_owned(),
            table: relation.name.to_owned(),
            json,
            columns: relation.columns.map(TableColumn::new).collect(),
        };
        self.0.insert(relation.oid, table);
    }

    pub(super) fn get(&self, oid: Oid) -> Result<&Table, ShowError> {
        self.0.get(&oid).ok_or(ShowError::UnknownRelation(oid))
    }

    /// Whether the table is known and has as many columns as the row.
    pub(super) fn fits(&self, oid: Oid, row: Tuple<'_>) -> Result<(), ShowError> {
        let table = self.get(oid)?;
        if table.columns.len() == row.len() {
            return Ok(());
        }
        Err(ShowError::ColumnCount {
            table: table.name.clone(),
            columns: table.columns.len(),
            values: row.len(),
        })
    }
}

impl TableColumn {
    fn new(column: ColumnDef<'_>) -> Self {
        let mut json = Vec::new();
        json::string(&mut json, column.name);
        json.push(b':');
        Self {
            key: column.key,
            type_oid: column.type_oid,
            name: identifier(column.name) + "=",
            json,
        }
    }
}

/// In the protocol the schema of built-in things is empty.
pub(super) fn schema(namespace: &str) -> &str {
    if namespace.is_empty() {
        "pg_catalog"
    } else {
        namespace
    }
}
