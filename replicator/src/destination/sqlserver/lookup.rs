//! What the catalog says of a destination table: for statements over it, and whether it can hold our rows.

use std::collections::BTreeMap;

use super::session::{Session, column};
use super::values::text;
use crate::config::OnMisfit;
use crate::destination::server::{self, Freedom};
use crate::dialect::sqlserver::existing::{Existing, ExistingColumn};
use crate::dialect::sqlserver::{Target, catalog, qualified};
use crate::error::Result;
use crate::table::Table;
use crate::value::Kind;

/// A table that is there.
#[derive(Debug)]
pub(in crate::destination) struct Found {
    /// `sys.objects.type_desc`.
    kind: String,
    /// Whether the server keeps its history.
    history: bool,
    existing: Existing,
    /// Unique indexes over all rows, the primary key among them: the columns of each.
    unique: Vec<Vec<String>>,
    /// Nothing else looks at other rows when one is changed: no trigger, no foreign key.
    plain: bool,
}

/// What has the name of the table at the destination, if anything.
pub(super) async fn find(db: &mut Session, destination: &str) -> Result<Option<Found>> {
    let name = qualified(destination);
    let named = || vec![text(name.clone())];
    let rows = db.rows(catalog::OBJECT, named()).await?;
    let Some(row) = rows.first() else {
        return Ok(None);
    };
    let (kind, durable): (String, i32) = (column(row, 0)?, column(row, 1)?);
    let history = column::<i32>(row, 2)? != 0;
    let mut columns = Vec::new();
    for row in db.rows(catalog::COLUMNS, named()).await? {
        columns.push(ExistingColumn {
            name: column(&row, 0)?,
            data_type: column::<String>(&row, 1)?.to_ascii_lowercase(),
            length: column(&row, 2)?,
            precision: column(&row, 3)?,
            scale: column(&row, 4)?,
            collation: column(&row, 5)?,
            required: column::<i32>(&row, 6)? != 0,
            generated: column::<i32>(&row, 7)? != 0,
        });
    }
    let mut unique: BTreeMap<i32, Option<Vec<String>>> = BTreeMap::new();
    for row in db.rows(catalog::UNIQUE, named()).await? {
        let (name, is_part): (String, i32) = (column(&row, 1)?, column(&row, 2)?);
        let index = unique
            .entry(column(&row, 0)?)
            .or_insert_with(|| Some(Vec::new()));
        match &mut *index {
            Some(names) if is_part == 0 => names.push(name),
            _ => *index = None,
        }
    }
    let only_whole = unique.values().all(Option::is_some);
    let bound: i32 = match db.rows(catalog::BOUND, named()).await?.first() {
        Some(row) => column(row, 0)?,
        None => 1,
    };
    Ok(Some(Found {
        kind,
        history,
        existing: Existing {
            durable: durable != 0,
            columns,
            folds: db.server.folds,
        },
        plain: bound == 0 && only_whole && unique.len() <= 1,
        unique: unique.into_values().flatten().collect(),
    }))
}

impl server::Found for Found {
    fn kind(&self) -> &'static str {
        match self.kind.as_str() {
            "USER_TABLE" if self.history => "system-versioned table",
            "USER_TABLE" => "table",
            "VIEW" => "view",
            "SYNONYM" => "synonym",
            "SEQUENCE_OBJECT" => "sequence",
            _ => "relation",
        }
    }

    fn has(&self, name: &str) -> bool {
        self.existing.has(name)
    }

    fn unique(&self) -> &[Vec<String>] {
        &self.unique
    }
}

impl Found {
    /// The table as statements need it.
    ///
    /// # Errors
    ///
    /// Names what cannot hold our rows.
    pub(super) fn target(&self, table: &Table) -> Result<Target> {
        // A table that was made with other types: their keys have other lengths.
        self.existing
            .target(table, OnMisfit::Fail)
            .or_else(|error| {
                let other = self.existing.target(table, OnMisfit::Text);
                other.map_err(|_| error)
            })
    }

    /// Whether the key finds one row at most.
    pub(super) fn finds_one(&self, table: &Table) -> bool {
        let in_key = |name: &String| {
            let mut key = table.key.iter().filter_map(|at| table.columns.get(*at));
            key.any(|column| self.existing.is_name(name, &column.name))
        };
        self.unique.iter().any(|names| names.iter().all(in_key))
    }

    /// What may be done with changes of it. Those of one key become one only where no column is filled by the server, and
    /// keys that are equal there (`0` and `-0`) are equal as we have them.
    pub(super) fn freedom(&self, table: &Table) -> Freedom {
        let passes = self.plain && (table.key.is_empty() || self.finds_one(table));
        let mut key = table.key.iter().filter_map(|at| table.columns.get(*at));
        let folds = passes
            && self.existing.columns.len() == table.columns.len()
            && key.all(|column| !matches!(column.kind, Kind::Float4 | Kind::Float8));
        Freedom { passes, folds }
    }
}
