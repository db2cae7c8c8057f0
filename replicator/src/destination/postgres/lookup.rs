//! What the server's catalog says of a destination table: for statements over it, and whether it can hold our rows.

use walproto::Oid;

use super::session::{Session, column};
use crate::destination::server;
use crate::dialect::postgres::types::BuiltIn;
use crate::dialect::postgres::wide::keeps;
use crate::dialect::postgres::{Target, TargetColumn, parts, qualified, quoted};
use crate::dialect::text::own_typmod;
use crate::error::{Error, Result};
use crate::table::{Column, Table};
use crate::value::Kind;

/// A table that is there.
#[derive(Debug)]
pub(in crate::destination) struct Found {
    /// `pg_class.relkind`.
    pub(super) kind: String,
    /// Nothing looks at other rows when one is changed: no trigger, rule or foreign key, no other unique index, no
    /// partitions. Only then rows of different keys may change their order.
    plain: bool,
    columns: Vec<FoundColumn>,
    /// The columns of each index that lets no two rows be equal in them at any moment.
    unique: Vec<Vec<String>>,
}

#[derive(Debug)]
struct FoundColumn {
    name: String,
    /// With domains resolved.
    base: Oid,
    typmod: i32,
    /// In SQL, as the column is declared.
    cast: String,
    type_oid: Oid,
    collation: Option<String>,
    deterministic: bool,
    required: bool,
    generated: bool,
}

/// The kind, and what bears on the order of changes.
const TABLE: &str = "
    SELECT c.oid::int8, c.relkind::text,
           c.relkind = 'r' AND NOT c.relhastriggers AND NOT c.relhasrules AND NOT c.relhassubclass
           AND (SELECT count(*) FROM pg_index i WHERE i.indrelid = c.oid AND (i.indisunique OR i.indisexclusion)) <= 1
    FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
    WHERE n.nspname = $1 AND c.relname = $2";

/// Without those over some rows only, those over expressions, those that are looked at later, and those over one of
/// the tables of an inheritance tree.
const UNIQUE: &str = "
    SELECT (SELECT array_agg(a.attname::text)
            FROM generate_series(0, i.indnkeyatts - 1) AS at JOIN pg_attribute a
            ON a.attrelid = c.oid AND a.attnum = i.indkey[at])
    FROM pg_index i JOIN pg_class c ON c.oid = i.indrelid
    WHERE c.oid = $1::int8::oid AND (c.relkind = 'p' OR c.relkind = 'r' AND NOT c.relhassubclass) AND NOT c.relhasrules
      AND i.indisunique AND i.indisvalid AND i.indimmediate AND i.indpred IS NULL AND i.indexprs IS NULL";

const COLUMNS: &str = "
    WITH RECURSIVE base(att, oid, typmod) AS (
      SELECT a.attnum, a.atttypid, a.atttypmod FROM pg_attribute a
      WHERE a.attrelid = $1::int8::oid AND a.attnum > 0 AND NOT a.attisdropped
      UNION ALL
      SELECT b.att, y.typbasetype, y.typtypmod FROM base b JOIN pg_type y ON y.oid = b.oid WHERE y.typtype = 'd'
    )
    SELECT a.attname::text, b.oid::int8, b.typmod, quote_ident(tn.nspname) || '.' || quote_ident(t.typname),
           a.atttypid::int8, quote_ident(cn.nspname) || '.' || quote_ident(co.collname), coalesce(co.collisdeterministic, true),
           a.attnotnull AND NOT a.atthasdef AND a.attidentity = '', a.attgenerated <> ''
    FROM base b JOIN pg_attribute a ON a.attrelid = $1::int8::oid AND a.attnum = b.att
    JOIN pg_type y ON y.oid = b.oid AND y.typtype <> 'd'
    JOIN pg_type t ON t.oid = a.atttypid JOIN pg_namespace tn ON tn.oid = t.typnamespace
    LEFT JOIN pg_collation co ON co.oid = a.attcollation LEFT JOIN pg_namespace cn ON cn.oid = co.collnamespace
    ORDER BY a.attnum";

/// What has the name of the table at the destination, if anything.
pub(super) async fn find(db: &mut Session, destination: &str) -> Result<Option<Found>> {
    let (schema, name) = parts(destination);
    let rows = db.rows(sqlx::query(TABLE).bind(schema).bind(name)).await?;
    let Some(row) = rows.first() else {
        return Ok(None);
    };
    let oid: i64 = column(row, 0)?;
    let mut columns = Vec::new();
    for row in db.rows(sqlx::query(COLUMNS).bind(oid)).await? {
        let number = |at| -> Result<Oid> {
            let number: i64 = column(&row, at)?;
            Ok(Oid(u32::try_from(number).unwrap_or(0)))
        };
        columns.push(FoundColumn {
            name: column(&row, 0)?,
            base: number(1)?,
            typmod: column(&row, 2)?,
            cast: column(&row, 3)?,
            type_oid: number(4)?,
            collation: column(&row, 5)?,
            deterministic: column(&row, 6)?,
            required: column(&row, 7)?,
            generated: column(&row, 8)?,
        });
    }
    let unique = db.rows(sqlx::query(UNIQUE).bind(oid)).await?;
    let unique = unique.iter().map(|row| column(row, 0));
    Ok(Some(Found {
        kind: column(row, 1)?,
        plain: column(row, 2)?,
        columns,
        unique: unique.collect::<Result<_>>()?,
    }))
}

/// What may be done with changes of a table, and leave the same rows.
#[derive(Clone, Copy, Debug)]
pub(super) struct Freedom {
    /// Those of different keys may pass each other.
    pub(super) passes: bool,
    /// Those of one key may become one: no column is filled by the server.
    pub(super) folds: bool,
    /// New rows may come by COPY, which knows no rules.
    pub(super) copies: bool,
    /// What COPY prints of a row at the source says the same here.
    pub(super) reads: bool,
}

impl server::Found for Found {
    fn kind(&self) -> &'static str {
        match self.kind.as_str() {
            "r" | "p" => "table",
            "v" => "view",
            "m" => "materialized view",
            "f" => "foreign table",
            "S" => "sequence",
            "i" | "I" => "index",
            _ => "relation",
        }
    }

    fn has(&self, name: &str) -> bool {
        self.columns.iter().any(|found| found.name == name)
    }

    fn unique(&self) -> &[Vec<String>] {
        &self.unique
    }
}

impl Found {
    /// Quoted names of the columns that are not computed.
    pub(super) fn stored(&self) -> Vec<String> {
        let stored = self.columns.iter().filter(|found| !found.generated);
        stored.map(|found| quoted(&found.name)).collect()
    }

    /// The table as statements need it, and what may be done with changes of it.
    pub(super) fn target(&self, table: &Table) -> Result<(Target, Freedom)> {
        let mut columns = Vec::with_capacity(table.columns.len());
        let mut reads = true;
        for ours in &table.columns {
            let found = self.column(table, ours)?;
            reads &= BuiltIn::reads(ours, found.base);
            let held = BuiltIn::of(found.type_oid);
            columns.push(TargetColumn {
                name: quoted(&ours.name),
                cast: held.map_or_else(|| found.cast.clone(), BuiltIn::sql),
                kind: match held.map(BuiltIn::kind) {
                    Some(kind) if kind == ours.kind => kind,
                    _ => Kind::Text,
                },
                collation: found.collation.clone(),
                exact: held.is_some_and(BuiltIn::is_exact),
            });
        }
        let exact = table
            .key
            .iter()
            .all(|at| columns.get(*at).is_some_and(|column| column.exact));
        let target = Target {
            name: qualified(&table.destination),
            columns,
            key: table.key.clone(),
            unique: self.is_unique(table),
        };
        let free = self.plain && exact;
        let freedom = Freedom {
            passes: free,
            folds: free && self.columns.len() == table.columns.len(),
            copies: self.plain,
            reads,
        };
        Ok((target, freedom))
    }

    /// Whether no two rows ever have the same key.
    fn is_unique(&self, table: &Table) -> bool {
        let is_key = |name: &String| {
            let mut key = table.key.iter().filter_map(|at| table.columns.get(*at));
            key.any(|column| column.name == *name)
        };
        self.unique.iter().any(|columns| columns.iter().all(is_key))
    }

    fn column(&self, table: &Table, ours: &Column) -> Result<&FoundColumn> {
        let found = self.columns.iter().find(|found| found.name == ours.name);
        found.ok_or_else(|| {
            Error::person(format!(
                "the destination's table {} has no column {}",
                table.destination, ours.name
            ))
            .with_hint("add it, or drop the table and let us make it")
            .mended_by(format!(
                "ALTER TABLE {} ADD COLUMN {} {}",
                qualified(&table.destination),
                quoted(&ours.name),
                BuiltIn::held(ours).declared(own_typmod(ours))
            ))
        })
    }

    /// Whether somebody else's table can hold what we store.
    pub(super) fn check(&self, table: &Table) -> Result<()> {
        let name = &table.destination;
        for (at, ours) in table.columns.iter().enumerate() {
            let found = self.column(table, ours)?;
            let column = &ours.name;
            if found.generated {
                return Err(Error::person(format!(
                    "column {column} of the destination's table {name} is generated there, and takes no values"
                ))
                .with_hint("make it an ordinary column, or leave it out of the publication"));
            }
            if table.key.contains(&at) && !found.deterministic {
                return Err(Error::person(format!(
                    "key column {column} of the destination's table {name} has a collation that calls different texts equal"
                ))
                .with_hint("give it a deterministic collation, such as \"C\""));
            }
            if !keeps(ours, found.base, found.typmod) {
                let (held, modifier) = (&found.cast, found.typmod);
                let modifier = if modifier < 0 {
                    String::new()
                } else {
                    format!(" (modifier {modifier})")
                };
                let wanted = BuiltIn::held(ours).declared(own_typmod(ours));
                return Err(Error::person(format!(
                    "column {column} of the destination's table {name} is {held}{modifier}, which does not hold every value of {wanted} unchanged"
                ))
                .with_hint(format!("make it {wanted} or text, or drop the table and let us make it"))
                .mended_by(format!(
                    "ALTER TABLE {} ALTER COLUMN {} TYPE {wanted}",
                    qualified(name),
                    quoted(column)
                )));
            }
        }
        let ours = |name: &str| table.columns.iter().any(|column| column.name == name);
        if let Some(more) = self
            .columns
            .iter()
            .find(|found| found.required && !ours(&found.name))
        {
            return Err(Error::person(format!(
                "column {} of the destination's table {name} must not be NULL, and the source has no value for it",
                more.name
            ))
            .with_hint("give it a default, or allow NULL")
            .mended_by(format!(
                "ALTER TABLE {} ALTER COLUMN {} DROP NOT NULL",
                qualified(name),
                quoted(&more.name)
            )));
        }
        Ok(())
    }
}
