//! The sequences of a PostgreSQL destination, for whoever cuts over to it.

use std::collections::HashMap;

use sqlx::AssertSqlSafe;

use super::PostgresDestination;
use super::session::{Session, column};
use crate::cut_over::{ColumnThere, Name, Sequence, There};
use crate::dialect::postgres::quoted;
use crate::error::{Error, Result};
use crate::fail_point;

/// A sequence's column is the one that it is the identity of, or that calls for it in its default, or else that owns it.
const SEQUENCES: &str = "
    WITH used AS (
      SELECT d.objid AS sequence, d.refobjid AS relation, d.refobjsubid AS attribute FROM pg_depend d
      WHERE d.classid = 'pg_class'::regclass AND d.refclassid = 'pg_class'::regclass AND d.deptype IN ('i', 'a')
        AND d.refobjsubid > 0
      UNION
      SELECT d.refobjid, a.adrelid, a.adnum FROM pg_depend d JOIN pg_attrdef a ON a.oid = d.objid
      WHERE d.classid = 'pg_attrdef'::regclass AND d.refclassid = 'pg_class'::regclass
    )
    SELECT s.oid::int8, n.nspname::text, s.relname::text, q.seqincrement, q.seqmin, q.seqmax, q.seqcache, q.seqcycle,
           has_sequence_privilege(s.oid, 'SELECT') AND has_sequence_privilege(s.oid, 'UPDATE'),
           tn.nspname::text, t.relname::text, a.attname::text
    FROM pg_class s
    JOIN pg_namespace n ON n.oid = s.relnamespace
    JOIN pg_sequence q ON q.seqrelid = s.oid
    LEFT JOIN (used u JOIN pg_class t ON t.oid = u.relation JOIN pg_namespace tn ON tn.oid = t.relnamespace
               JOIN pg_attribute a ON a.attrelid = u.relation AND a.attnum = u.attribute AND NOT a.attisdropped)
      ON u.sequence = s.oid
    WHERE s.relkind = 'S' AND s.relpersistence <> 't'
    ORDER BY n.nspname, s.relname, s.oid";

const COLUMNS: &str = "
    SELECT n.nspname::text, c.relname::text, a.attname::text, a.attnotnull, a.atttypid::int8,
           pg_get_expr(d.adbin, d.adrelid)
    FROM pg_class c
    JOIN pg_namespace n ON n.oid = c.relnamespace
    JOIN pg_attribute a ON a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped
    LEFT JOIN pg_attrdef d ON d.adrelid = c.oid AND d.adnum = a.attnum
    WHERE c.relkind IN ('r', 'p') AND (n.nspname, c.relname) IN (SELECT * FROM unnest($1::text[], $2::text[]))";

impl PostgresDestination {
    /// Every sequence there is.
    ///
    /// # Errors
    ///
    /// The server cannot be asked.
    pub(crate) async fn sequences(&mut self) -> Result<Vec<There>> {
        let mut writer = self.writer.lock().await;
        let db = writer.db().await?;
        let what = "could not read the destination's sequences";
        let rows = db.rows_of(sqlx::query(SEQUENCES), what).await?;
        let mut all: Vec<There> = Vec::new();
        let mut last = None;
        for row in &rows {
            let oid: i64 = column(row, 0)?;
            if last != Some(oid) {
                last = Some(oid);
                all.push(There {
                    sequence: Sequence {
                        name: Name::new(column::<String>(row, 1)?, column::<String>(row, 2)?),
                        last: 0,
                        called: false,
                        increment: column(row, 3)?,
                        min: column(row, 4)?,
                        max: column(row, 5)?,
                        cache: column(row, 6)?,
                        cycles: column(row, 7)?,
                    },
                    columns: Vec::new(),
                    may_set: column(row, 8)?,
                });
            }
            let schema: Option<String> = column(row, 9)?;
            let (table, of): (Option<String>, Option<String>) =
                (column(row, 10)?, column(row, 11)?);
            if let (Some(schema), Some(table), Some(of), Some(there)) =
                (schema, table, of, all.last_mut())
            {
                there.columns.push((Name::new(schema, table), of));
            }
        }
        for there in all.iter_mut().filter(|there| there.may_set) {
            let sql = format!("SELECT last_value, is_called FROM {}", there.sequence.name);
            let rows = db.rows_of(sqlx::query(AssertSqlSafe(sql)), what).await?;
            if let Some(row) = rows.first() {
                (there.sequence.last, there.sequence.called) = (column(row, 0)?, column(row, 1)?);
            }
        }
        Ok(all)
    }

    /// The columns of these tables.
    ///
    /// # Errors
    ///
    /// The server cannot be asked.
    pub(crate) async fn columns(
        &mut self,
        tables: &[Name],
    ) -> Result<HashMap<(Name, String), ColumnThere>> {
        let (schemas, names): (Vec<&str>, Vec<&str>) = tables
            .iter()
            .map(|name| (&*name.schema, &*name.name))
            .unzip();
        let mut writer = self.writer.lock().await;
        let db = writer.db().await?;
        let query = sqlx::query(COLUMNS).bind(schemas).bind(names);
        let rows = db
            .rows_of(query, "could not read the destination's columns")
            .await?;
        rows.iter()
            .map(|row| {
                let table = Name::new(column::<String>(row, 0)?, column::<String>(row, 1)?);
                let there = ColumnThere {
                    not_null: column(row, 3)?,
                    range: range(column(row, 4)?),
                    default: column(row, 5)?,
                };
                Ok(((table, column(row, 2)?), there))
            })
            .collect()
    }

    /// The value of a column, of those that count upwards the largest, that rows have there.
    ///
    /// # Errors
    ///
    /// We may not read it, or it is no number.
    pub(crate) async fn furthest(
        &mut self,
        table: &Name,
        of: &str,
        upwards: bool,
    ) -> Result<Option<i64>> {
        let mut writer = self.writer.lock().await;
        let db = writer.db().await?;
        let function = if upwards { "max" } else { "min" };
        let sql = format!("SELECT {function}({})::int8 FROM {table}", quoted(of));
        let what = format!("could not read table {table} at the destination");
        let rows = db.rows_of(sqlx::query(AssertSqlSafe(sql)), &what).await?;
        rows.first().map_or(Ok(None), |row| column(row, 0))
    }

    /// Carries out the statements in one transaction.
    ///
    /// A sequence that is set is so at once, whatever becomes of the transaction; with its commit it is durable.
    ///
    /// # Errors
    ///
    /// One is refused: what was made is undone, and sequences that were set stay so.
    pub(crate) async fn carry_out(&mut self, statements: &[String]) -> Result<()> {
        let mut writer = self.writer.lock().await;
        let db = writer.db().await?;
        db.run("BEGIN").await?;
        for statement in statements {
            if let Err(error) = one(db, statement).await {
                // The session ends with the program.
                let _ = db.run("ROLLBACK").await;
                return Err(error);
            }
            fail_point!("sequence-set");
        }
        db.run("COMMIT").await
    }
}

async fn one(db: &mut Session, statement: &str) -> Result<()> {
    db.run(statement).await.map_err(|error| {
        let hint = error.hint().map(str::to_owned);
        let refused = Error::new(
            error.kind(),
            format!("the destination refuses {statement}: {error}"),
        );
        refused.with_hint(hint.unwrap_or_else(|| {
            "mend it there, or leave the column alone with --missing leave; sequences that were set by now stay so, and \
             another cut-over goes on"
                .to_owned()
        }))
    })
}

/// What fits into a type that an identity may have.
fn range(type_oid: i64) -> Option<(i64, i64)> {
    match type_oid {
        21 => Some((i16::MIN.into(), i16::MAX.into())),
        23 => Some((i32::MIN.into(), i32::MAX.into())),
        20 => Some((i64::MIN, i64::MAX)),
        _ => None,
    }
}
