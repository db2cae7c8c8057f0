//! What `information_schema` says of a destination table: for statements over it, and whether it can hold our rows.

use std::collections::BTreeMap;

use super::session::{Session, column};
use crate::config::OnMisfit;
use crate::destination::server;
use crate::dialect::mysql::Target;
use crate::dialect::mysql::existing::{Existing, ExistingColumn};
use crate::error::Result;
use crate::table::Table;
use crate::value::Kind;

/// A table that is there.
#[derive(Debug)]
pub(in crate::destination) struct Found {
    /// `tables.table_type`.
    kind: String,
    existing: Existing,
    /// Unique indexes over whole columns, the primary key among them: the columns of each.
    unique: Vec<Vec<String>>,
    /// Nothing else looks at other rows when one is changed: no trigger, no foreign key.
    plain: bool,
}

const TABLE: &str = "SELECT `table_name`, `table_type`, `engine` FROM information_schema.`tables`
                     WHERE `table_schema` = DATABASE() AND `table_name` = ?";

const COLUMNS: &str = "
    SELECT `column_name`, `data_type`, CAST(`column_type` AS CHAR), `character_maximum_length`, `numeric_precision`,
           `numeric_scale`, `datetime_precision`, `character_set_name`, `collation_name`,
           `is_nullable` = 'NO' AND `column_default` IS NULL AND `extra` NOT LIKE '%auto_increment%',
           COALESCE(CAST(`generation_expression` AS CHAR), '') <> ''
    FROM information_schema.`columns` WHERE `table_schema` = DATABASE() AND `table_name` = ?
    ORDER BY `ordinal_position`";

const UNIQUE: &str = "SELECT `index_name`, `column_name`, `sub_part` IS NOT NULL FROM information_schema.`statistics`
                      WHERE `table_schema` = DATABASE() AND `table_name` = ? AND `non_unique` = 0
                      ORDER BY `index_name`, `seq_in_index`";

const BOUND: &str = "
    SELECT (SELECT COUNT(*) FROM information_schema.`triggers`
            WHERE `event_object_schema` = DATABASE() AND `event_object_table` = ?)
         + (SELECT COUNT(*) FROM information_schema.`key_column_usage` WHERE `referenced_table_name` IS NOT NULL
              AND (`table_schema` = DATABASE() AND `table_name` = ?
                   OR `referenced_table_schema` = DATABASE() AND `referenced_table_name` = ?))";

/// What has the name of the table at the destination, if anything.
pub(super) async fn find(db: &mut Session, destination: &str) -> Result<Option<Found>> {
    let named = |times: usize| vec![destination.into(); times];
    let mut there = None;
    for row in db.rows(TABLE, named(1)).await? {
        // The catalog does not tell the case of names apart, although the server may.
        let name: String = column(&row, 0)?;
        if name == destination || db.server.folds {
            there = Some((column(&row, 1)?, column::<Option<String>>(&row, 2)?));
        }
    }
    let Some((kind, engine)) = there else {
        return Ok(None);
    };
    let mut columns = Vec::new();
    for row in db.rows(COLUMNS, named(1)).await? {
        columns.push(ExistingColumn {
            name: column(&row, 0)?,
            data_type: column::<String>(&row, 1)?.to_ascii_lowercase(),
            column_type: column::<String>(&row, 2)?.to_ascii_lowercase(),
            length: column(&row, 3)?,
            precision: column(&row, 4)?,
            scale: column(&row, 5)?,
            digits: column(&row, 6)?,
            charset: column(&row, 7)?,
            collation: column(&row, 8)?,
            required: column(&row, 9)?,
            generated: column(&row, 10)?,
        });
    }
    let mut unique: BTreeMap<String, Option<Vec<String>>> = BTreeMap::new();
    for row in db.rows(UNIQUE, named(1)).await? {
        let index = unique
            .entry(column(&row, 0)?)
            .or_insert_with(|| Some(Vec::new()));
        // The beginning of a column, or an expression.
        let (name, is_part): (Option<String>, bool) = (column(&row, 1)?, column(&row, 2)?);
        match (name, is_part, &mut *index) {
            (Some(name), false, Some(names)) => names.push(name),
            _ => *index = None,
        }
    }
    let only_whole = unique.values().all(Option::is_some);
    let bound: i64 = match db.rows(BOUND, named(3)).await?.first() {
        Some(row) => column(row, 0)?,
        None => 1,
    };
    Ok(Some(Found {
        kind,
        existing: Existing {
            engine: engine.unwrap_or_default(),
            columns,
        },
        plain: bound == 0 && only_whole && unique.len() <= 1,
        unique: unique.into_values().flatten().collect(),
    }))
}

impl server::Found for Found {
    fn kind(&self) -> &'static str {
        match self.kind.as_str() {
            "BASE TABLE" => "table",
            "VIEW" | "SYSTEM VIEW" => "view",
            "SEQUENCE" => "sequence",
            "SYSTEM VERSIONED" => "system-versioned table",
            _ => "relation",
        }
    }

    fn has(&self, name: &str) -> bool {
        let mut columns = self.existing.columns.iter();
        columns.any(|found| found.name.eq_ignore_ascii_case(name))
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
    pub(super) fn target(&self, db: &Session, table: &Table) -> Result<Target> {
        let dialect = db.dialect();
        let held = self
            .existing
            .held(table, &dialect.on_misfit(OnMisfit::Fail));
        // A table that was made with other types: their keys have other lengths.
        let held = match held {
            Ok(held) => held,
            Err(error) => {
                let other = dialect.on_misfit(OnMisfit::Text);
                self.existing.held(table, &other).map_err(|_| error)?
            }
        };
        Ok(Target::new(table, held, dialect.flavour()))
    }

    /// Whether the key finds one row at most.
    pub(super) fn finds_one(&self, table: &Table) -> bool {
        let in_key = |name: &String| {
            let mut key = table.key.iter().filter_map(|at| table.columns.get(*at));
            key.any(|column| column.name.eq_ignore_ascii_case(name))
        };
        self.unique.iter().any(|names| names.iter().all(in_key))
    }

    /// Whether changes of different keys may change their order.
    pub(super) fn is_free(&self, table: &Table) -> bool {
        self.plain && (table.key.is_empty() || self.finds_one(table))
    }

    /// Whether changes of one key may become one as well: no column is filled by the server, and keys that are equal
    /// there (`0` and `-0`) are equal as we have them.
    pub(super) fn folds(&self, table: &Table) -> bool {
        let mut key = table.key.iter().filter_map(|at| table.columns.get(*at));
        self.is_free(table)
            && self.existing.columns.len() == table.columns.len()
            && key.all(|column| !matches!(column.kind, Kind::Float4 | Kind::Float8))
    }
}
