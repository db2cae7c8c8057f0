//! SQL for rows that wait outside of their table until the keys are free that they are to have.
//!
//! A column has a type here, and no value of it is surely nobody's; so a row that waits is taken out of its table and
//! lies, whole, in a temporary one: the columns of the table with what is asked of each row alone (NOT NULL, CHECK), so
//! that a refusal comes at once, and [`PLACE`] and [`WHY`].

use std::fmt::Write;

use super::{Target, quoted, separate};

/// The order in which rows came to wait.
const PLACE: &str = "\"_replicator_place\"";

/// The conflict if a changed row cannot have its key; NULL for a new row.
const WHY: &str = "\"_replicator_why\"";

/// Where the rows of one table wait.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Lot {
    /// The temporary table, quoted.
    name: String,
    /// What a row consists of, quoted: all columns that are not computed, published or not.
    stored: Vec<String>,
    /// Of those the ones that are not published.
    local: Vec<String>,
    /// Places of the columns that a unique index knows.
    unique: Vec<usize>,
    /// Of those the ones that are never NULL, so that an index finds a row without a key by them.
    required: Vec<usize>,
}

impl Lot {
    pub(crate) fn new(
        number: usize,
        target: &Target,
        stored: Vec<String>,
        unique: Vec<usize>,
        required: Vec<usize>,
    ) -> Self {
        let published = |name: &String| target.columns.iter().any(|column| column.name == *name);
        let local = stored.iter().filter(|name| !published(name));
        Self {
            name: quoted(&format!("_replicator_waiting_{number}")),
            local: local.cloned().collect(),
            stored,
            unique,
            required,
        }
    }

    /// Whether an update of these columns can collide.
    pub(crate) fn is_unique(&self, at: usize) -> bool {
        self.unique.contains(&at)
    }

    pub(crate) fn create(&self, target: &Target) -> String {
        let Self { name, local, .. } = self;
        let mut sql = format!(
            "CREATE TEMP TABLE {name} (LIKE {} INCLUDING CONSTRAINTS INCLUDING DEFAULTS INCLUDING GENERATED, \
             {PLACE} pg_catalog.\"int8\" GENERATED ALWAYS AS IDENTITY, {WHY} pg_catalog.\"text\") ON COMMIT DROP",
            target.name
        );
        for column in local {
            // Its default may be an identity, which is not taken over.
            let _ = write!(
                sql,
                "; ALTER TABLE pg_temp.{name} ALTER COLUMN {column} DROP NOT NULL"
            );
        }
        let sought = if target.key.is_empty() {
            &self.required
        } else {
            &target.key
        };
        if !sought.is_empty() {
            // Enough to find a row by.
            let first = sought.iter().take(4);
            let first = target.list(first.enumerate(), |_, column| column.name.clone());
            let _ = write!(sql, "; CREATE INDEX ON pg_temp.{name} ({first})");
        }
        sql
    }

    /// A new row that waits; parameters as for an insert.
    pub(crate) fn insert(&self, target: &Target) -> String {
        let all: Vec<usize> = (0..target.columns.len()).collect();
        let columns = target.list(all.iter().enumerate(), |_, column| column.name.clone());
        let values = target.list(all.iter().enumerate(), |at, column| {
            column.value(&target.only(at, at + 1))
        });
        format!(
            "INSERT INTO pg_temp.{} ({columns}) VALUES ({values})",
            self.name
        )
    }

    /// Takes a row out of its table, to wait for what an update gives it. Parameters as for the update, and the reason.
    pub(crate) fn park(&self, target: &Target, set: &[usize]) -> String {
        let (mut columns, mut values) = (String::new(), String::new());
        let mut taken = String::new();
        for (count, name) in self.stored.iter().enumerate() {
            separate(&mut columns, count, ", ");
            separate(&mut values, count, ", ");
            separate(&mut taken, count, ", ");
            columns += name;
            let _ = write!(taken, "t.{name}");
            let place = set.iter().position(|at| target.columns[*at].name == *name);
            match place {
                Some(place) => values += &self.given(target, set, place),
                None => {
                    let _ = write!(values, "gone.{name}");
                }
            }
        }
        let table = &target.name;
        let standing = if target.key.is_empty() {
            let same = self.matching(target, "s", set.len());
            format!(
                "(t.tableoid, t.ctid) = (SELECT s.tableoid, s.ctid FROM {table} AS s WHERE {same} LIMIT 1)"
            )
        } else {
            self.matching(target, "t", set.len())
        };
        let why = set.len() + self.matched(target).len() + 1;
        format!(
            "WITH gone AS (DELETE FROM {table} AS t WHERE {standing} RETURNING {taken}) \
             INSERT INTO pg_temp.{} ({columns}, {WHY}) SELECT {values}, ${why}::pg_catalog.\"text\" FROM gone",
            self.name
        )
    }

    /// Changes a row that waits; parameters as for the update.
    pub(crate) fn update(&self, target: &Target, set: &[usize]) -> String {
        let mut list = target.list(set.iter().enumerate(), |place, column| {
            format!("{} = {}", column.name, self.given(target, set, place))
        });
        if set.is_empty() {
            list = format!("{WHY} = t.{WHY}");
        }
        let same = self.waiting(target, set.len());
        format!("UPDATE pg_temp.{} AS t SET {list} WHERE {same}", self.name)
    }

    /// Ends a row that waits; parameters as for the delete.
    pub(crate) fn delete(&self, target: &Target) -> String {
        let same = self.waiting(target, 0);
        format!("DELETE FROM pg_temp.{} AS t WHERE {same}", self.name)
    }

    /// Forgets all rows that wait.
    pub(crate) fn forget(&self) -> String {
        format!("DELETE FROM pg_temp.{}", self.name)
    }

    pub(crate) fn drop(&self) -> String {
        format!("DROP TABLE pg_temp.{}", self.name)
    }

    /// Brings all rows back: the changed ones whole, the new ones without what the table fills by itself.
    pub(crate) fn leave(&self, target: &Target) -> [String; 2] {
        [true, false].map(|changed| {
            let null = if changed { "IS NOT NULL" } else { "IS NULL" };
            let rows = self.bring(target, changed);
            format!("{rows} WHERE {WHY} {null} ORDER BY {PLACE}")
        })
    }

    /// Brings one row back, by its place.
    pub(crate) fn leave_one(&self, target: &Target, changed: bool) -> String {
        format!("{} WHERE {PLACE} = $1", self.bring(target, changed))
    }

    fn bring(&self, target: &Target, changed: bool) -> String {
        let columns = if changed {
            self.stored.join(", ")
        } else {
            let names: Vec<&str> = target.columns.iter().map(|column| &*column.name).collect();
            names.join(", ")
        };
        format!(
            "INSERT INTO {} ({columns}) OVERRIDING SYSTEM VALUE SELECT {columns} FROM pg_temp.{}",
            target.name, self.name
        )
    }

    /// Place and reason of the rows behind a place, in their order.
    pub(crate) fn those_behind(&self) -> String {
        format!(
            "SELECT {PLACE}, {WHY} FROM pg_temp.{} WHERE {PLACE} > $1 ORDER BY {PLACE} LIMIT 500",
            self.name
        )
    }

    /// The published columns of a row that waits, by its place, as lines of COPY.
    pub(crate) fn copy_out(&self, target: &Target, place: i64) -> String {
        let names: Vec<&str> = target.columns.iter().map(|column| &*column.name).collect();
        let names = names.join(", ");
        format!(
            "COPY (SELECT {names} FROM pg_temp.{} WHERE {PLACE} = {place}) TO STDOUT",
            self.name
        )
    }

    /// What an update gives to the column at this place of those that it sets.
    fn given(&self, target: &Target, set: &[usize], place: usize) -> String {
        let at = set[place];
        target.columns[at].value(&target.only(at, place + 1))
    }

    fn matched(&self, target: &Target) -> Vec<usize> {
        if target.key.is_empty() {
            (0..target.columns.len()).collect()
        } else {
            target.key.clone()
        }
    }

    /// The row of an update or delete, whose parameters come behind the first `before`.
    fn matching(&self, target: &Target, alias: &str, before: usize) -> String {
        let mut sql = String::new();
        for (count, at) in self.matched(target).into_iter().enumerate() {
            separate(&mut sql, count, " AND ");
            let (column, only) = (&target.columns[at], target.only(at, before + count + 1));
            if !target.key.is_empty() {
                sql += &column.equals(alias, &only);
                continue;
            }
            sql += &column.is(alias, &only);
            if self.required.contains(&at) {
                // The same once more, for an index.
                let _ = write!(sql, " AND {}", column.equals(alias, &only));
            }
        }
        sql
    }

    fn waiting(&self, target: &Target, before: usize) -> String {
        let same = self.matching(target, "p", before);
        format!(
            "t.{PLACE} = (SELECT p.{PLACE} FROM pg_temp.{} AS p WHERE {same} ORDER BY p.{PLACE} LIMIT 1)",
            self.name
        )
    }
}

/// Names of the columns that a unique index of a table knows, and whether they are never NULL; for a table from which a
/// row can be taken and brought back without anything else happening: no trigger, rule, heir or partition, and no
/// foreign key that leads to it.
pub(crate) const UNIQUE: &str = "
    SELECT DISTINCT a.attname::text, a.attnotnull
    FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
    JOIN pg_index i ON i.indrelid = c.oid AND i.indisunique
    JOIN pg_attribute a ON a.attrelid = c.oid AND a.attnum = ANY ((i.indkey::int2[])[0:i.indnkeyatts - 1])
    WHERE n.nspname = $1 AND c.relname = $2 AND c.relkind = 'r' AND NOT c.relhasrules AND NOT c.relhassubclass
      AND NOT EXISTS (SELECT FROM pg_trigger t WHERE t.tgrelid = c.oid AND NOT t.tgisinternal)
      AND NOT EXISTS (SELECT FROM pg_constraint f WHERE f.confrelid = c.oid AND f.contype = 'f')
    ORDER BY 1";

#[cfg(test)]
mod tests {
    use walproto::Oid;

    use super::*;
    use crate::table::{Column, Table};

    /// `id int, code text, note json` and a column `local` of the destination's own.
    fn lot(key: &[usize]) -> (Lot, Target) {
        let columns = [("id", 23), ("code", 25), ("note", 114)];
        let table = Table {
            oid: Oid(1),
            schema: "public".to_owned(),
            name: "t".to_owned(),
            destination: "public.t".to_owned(),
            columns: columns
                .map(|(name, oid)| Column::new(name, Oid(oid), -1, Oid(oid)))
                .into(),
            key: key.to_vec(),
            identity: 'f',
            relfilenode: 1,
        };
        let target = Target::made(&table);
        let stored = ["id", "code", "note", "local"].map(quoted).into();
        (Lot::new(0, &target, stored, vec![0, 1], vec![0]), target)
    }

    #[test]
    fn a_row_waits_whole_in_a_table_that_checks_it() {
        let (lot, target) = lot(&[0]);
        assert_eq!(
            lot.create(&target),
            r#"CREATE TEMP TABLE "_replicator_waiting_0" (LIKE "public"."t" INCLUDING CONSTRAINTS INCLUDING DEFAULTS INCLUDING GENERATED, "_replicator_place" pg_catalog."int8" GENERATED ALWAYS AS IDENTITY, "_replicator_why" pg_catalog."text") ON COMMIT DROP; ALTER TABLE pg_temp."_replicator_waiting_0" ALTER COLUMN "local" DROP NOT NULL; CREATE INDEX ON pg_temp."_replicator_waiting_0" ("id")"#
        );
        assert_eq!(
            lot.park(&target, &[1]),
            r#"WITH gone AS (DELETE FROM "public"."t" AS t WHERE t."id" = (($2::pg_catalog."int4"[])[1]) RETURNING t."id", t."code", t."note", t."local") INSERT INTO pg_temp."_replicator_waiting_0" ("id", "code", "note", "local", "_replicator_why") SELECT gone."id", ($1::pg_catalog."text"[])[1]::pg_catalog."text", gone."note", gone."local", $3::pg_catalog."text" FROM gone"#
        );
        assert_eq!(
            lot.leave(&target),
            [
                r#"INSERT INTO "public"."t" ("id", "code", "note", "local") OVERRIDING SYSTEM VALUE SELECT "id", "code", "note", "local" FROM pg_temp."_replicator_waiting_0" WHERE "_replicator_why" IS NOT NULL ORDER BY "_replicator_place""#,
                r#"INSERT INTO "public"."t" ("id", "code", "note") OVERRIDING SYSTEM VALUE SELECT "id", "code", "note" FROM pg_temp."_replicator_waiting_0" WHERE "_replicator_why" IS NULL ORDER BY "_replicator_place""#
            ]
        );
    }

    #[test]
    fn a_row_without_a_key_is_found_by_all_and_by_an_index() {
        let (lot, target) = lot(&[]);
        assert_eq!(
            lot.delete(&target),
            r#"DELETE FROM pg_temp."_replicator_waiting_0" AS t WHERE t."_replicator_place" = (SELECT p."_replicator_place" FROM pg_temp."_replicator_waiting_0" AS p WHERE (p."id" IS NOT DISTINCT FROM (($1::pg_catalog."int4"[])[1])) AND p."id" = (($1::pg_catalog."int4"[])[1]) AND (p."code" COLLATE pg_catalog."C" IS NOT DISTINCT FROM (($2::pg_catalog."text"[])[1]::pg_catalog."text") COLLATE pg_catalog."C") AND ((p."note")::pg_catalog."text" COLLATE pg_catalog."C" IS NOT DISTINCT FROM (($3::pg_catalog."text"[])[1]::pg_catalog."json")::pg_catalog."text" COLLATE pg_catalog."C") ORDER BY p."_replicator_place" LIMIT 1)"#
        );
    }
}
