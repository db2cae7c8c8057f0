//! SQL for rows that wait with a key that nobody else has until their own is free.
//!
//! Such a row stays where it is, so that what is not replicated of it stays with it. Its *unique* columns, those of which a
//! unique index of the table knows, hold values that mean nothing; what they are to hold lies in a temporary table,
//! one row for each row that waits: `place` (its row number), `lsn`, `why` (the conflict if it cannot be; NULL for an
//! insert), and a column `cN` for each unique one.

use super::{Sqlite, comma, parameters, rowid};
use crate::dialect::Dialect;
use crate::table::Table;

/// Where the rows of one table wait.
#[derive(Clone, Debug)]
pub(crate) struct Lot {
    /// The temporary table.
    pub(crate) name: String,
    /// The table's own row number.
    rowid: &'static str,
    /// Places of the unique columns.
    pub(crate) unique: Vec<usize>,
    /// The one among them that is the row number itself.
    pub(crate) alias: Option<usize>,
}

impl Lot {
    /// `None` where nothing in a row could wait, or no name for the row number is left.
    pub(crate) fn new(
        number: usize,
        table: &Table,
        unique: Vec<usize>,
        alias: Option<usize>,
    ) -> Option<Self> {
        let rowid = rowid(table).filter(|_| !unique.is_empty())?;
        Some(Self {
            name: format!("_replicator_parked_{number}"),
            rowid,
            unique,
            alias,
        })
    }

    pub(crate) fn is_unique(&self, at: usize) -> bool {
        self.unique.contains(&at)
    }

    pub(crate) fn create(&self) -> String {
        let Self { name, unique, .. } = self;
        let columns = list(unique.iter().map(|at| format!("c{at}")));
        // Enough to find a row by; an index of all would be as large as the rows.
        let first = list(unique.iter().take(4).map(|at| format!("c{at}")));
        format!(
            "CREATE TEMP TABLE \"{name}\" (place INTEGER PRIMARY KEY, lsn, why, {columns}); \
             CREATE INDEX temp.\"{name}_by\" ON \"{name}\" ({first})"
        )
    }

    pub(crate) fn drop(&self) -> String {
        format!("DROP TABLE temp.\"{}\"", self.name)
    }

    /// The row number of a row that does not wait; parameters as for an update or delete.
    pub(crate) fn find_standing(&self, table: &Table) -> String {
        let mut sql = self.select_rowid(table);
        sql.push_str(" WHERE (");
        Sqlite.columns(&mut sql, table, table.matched());
        // Knows NULL, and is no deeper with 1600 columns than with one.
        sql.push_str(") IS (");
        parameters(&mut sql, table.matched().len());
        sql += &format!(
            ") AND {} NOT IN (SELECT place FROM temp.\"{}\") LIMIT 1",
            self.rowid, self.name
        );
        sql
    }

    /// Places of the matched columns in the order in which [`find`](Self::find) takes their values.
    pub(crate) fn sought(&self, table: &Table) -> Vec<usize> {
        let (mut waiting, standing): (Vec<_>, Vec<_>) =
            table.matched().partition(|at| self.is_unique(*at));
        waiting.extend(standing);
        waiting
    }

    /// The row number of a row that waits.
    pub(crate) fn find(&self, table: &Table) -> String {
        let (waiting, standing): (Vec<_>, Vec<_>) =
            table.matched().partition(|at| self.is_unique(*at));
        // Both may have columns of any name.
        let mut sql = format!("SELECT p.place FROM temp.\"{}\" p", self.name);
        let join = !standing.is_empty();
        if join {
            sql.push_str(" JOIN ");
            Sqlite.identifier(&mut sql, &table.destination);
            sql += &format!(" t ON t.{} = p.place", self.rowid);
        }
        sql.push_str(" WHERE ");
        for (count, at) in waiting.iter().enumerate() {
            and(&mut sql, count);
            // As the index of the temporary table has it.
            sql += &format!("p.c{at} IS ?");
        }
        if join {
            and(&mut sql, waiting.len());
            sql.push('(');
            for (count, at) in standing.iter().enumerate() {
                comma(&mut sql, count);
                sql.push_str("t.");
                Sqlite.column(&mut sql, table, *at);
            }
            sql.push_str(") IS (");
            parameters(&mut sql, standing.len());
            sql.push(')');
        }
        sql.push_str(" LIMIT 1");
        sql
    }

    /// Lets a standing row wait for what an update gives it. Parameters: its place from now on, LSN and reason, the
    /// new values of the unique columns that `set` has, its place.
    pub(crate) fn park(&self, table: &Table, set: &[usize]) -> String {
        let mut sql = format!("INSERT INTO temp.\"{}\" SELECT ?, ?, ?", self.name);
        for at in &self.unique {
            sql.push_str(", ");
            if set.contains(at) {
                sql.push('?');
            } else {
                Sqlite.column(&mut sql, table, *at);
            }
        }
        sql.push_str(" FROM ");
        Sqlite.identifier(&mut sql, &table.destination);
        sql += &format!(" WHERE {} = ?", self.rowid);
        sql
    }

    /// What an insert or update does to the row that waits: unique columns get values that mean nothing, the others
    /// those of `set`. Parameters: those values, for an [alias](Self::alias) its new place, and the row's place.
    pub(crate) fn blank(&self, table: &Table, set: &[usize]) -> String {
        let mut sql = "UPDATE ".to_owned();
        Sqlite.identifier(&mut sql, &table.destination);
        sql.push_str(" SET ");
        let free = set.iter().filter(|at| !self.is_unique(**at));
        let mut count = 0;
        let others = self.unique.iter().filter(|at| Some(**at) != self.alias);
        for at in free.clone() {
            comma(&mut sql, count);
            Sqlite.column(&mut sql, table, *at);
            sql.push_str(" = ?");
            count += 1;
        }
        for at in others {
            comma(&mut sql, count);
            Sqlite.column(&mut sql, table, *at);
            sql.push_str(" = randomblob(16)");
            count += 1;
        }
        if let Some(at) = self.alias {
            comma(&mut sql, count);
            Sqlite.column(&mut sql, table, at);
            sql.push_str(" = ?");
        }
        sql += &format!(" WHERE {} = ?", self.rowid);
        sql
    }

    /// A new row that waits. Parameters: the values of the columns that are not unique, and an alias's place.
    pub(crate) fn insert(&self, table: &Table) -> String {
        let mut sql = "INSERT INTO ".to_owned();
        Sqlite.identifier(&mut sql, &table.destination);
        sql.push_str(" (");
        let free = (0..table.columns.len()).filter(|at| !self.is_unique(*at));
        let others = self.unique.iter().copied();
        let others = others.filter(|at| Some(*at) != self.alias);
        Sqlite.columns(
            &mut sql,
            table,
            free.clone().chain(others.clone()).chain(self.alias),
        );
        sql.push_str(") VALUES (");
        let values = free.map(|_| "?").chain(others.map(|_| "randomblob(16)"));
        sql += &list(values.chain(self.alias.map(|_| "?")));
        sql.push(')');
        sql
    }

    /// The line of a new row that waits. Parameters: place, LSN, and the unique columns' values.
    pub(crate) fn note(&self) -> String {
        let mut sql = format!("INSERT INTO temp.\"{}\" VALUES (?, ?, NULL, ", self.name);
        parameters(&mut sql, self.unique.len());
        sql.push(')');
        sql
    }

    /// Another value for what a row waits for. Parameters: these columns, all unique, and the place.
    pub(crate) fn renew(&self, set: &[usize]) -> String {
        let columns = list(set.iter().map(|at| format!("c{at} = ?")));
        format!(
            "UPDATE temp.\"{}\" SET {columns} WHERE place = ?",
            self.name
        )
    }

    /// Sets columns of a row by its place: these, and the place.
    pub(crate) fn set(&self, table: &Table, set: &[usize]) -> String {
        let mut sql = "UPDATE ".to_owned();
        Sqlite.identifier(&mut sql, &table.destination);
        sql.push_str(" SET ");
        for (count, at) in set.iter().enumerate() {
            comma(&mut sql, count);
            Sqlite.column(&mut sql, table, *at);
            sql.push_str(" = ?");
        }
        sql += &format!(" WHERE {} = ?", self.rowid);
        sql
    }

    /// Removes a row by its place.
    pub(crate) fn delete(&self, table: &Table) -> String {
        let mut sql = "DELETE FROM ".to_owned();
        Sqlite.identifier(&mut sql, &table.destination);
        sql += &format!(" WHERE {} = ?", self.rowid);
        sql
    }

    /// Forgets one that waited, by its place.
    pub(crate) fn forget(&self) -> String {
        format!("DELETE FROM temp.\"{}\" WHERE place = ?", self.name)
    }

    /// Forgets all that wait.
    pub(crate) fn forget_all(&self) -> String {
        format!("DELETE FROM temp.\"{}\"", self.name)
    }

    /// Those behind a place, in their order: place, LSN, reason, and the unique columns.
    pub(crate) fn waiting(&self) -> String {
        format!(
            "SELECT * FROM temp.\"{}\" WHERE place > ? ORDER BY place LIMIT 500",
            self.name
        )
    }

    /// All published columns of a row, by its place.
    pub(crate) fn row(&self, table: &Table) -> String {
        let mut sql = Sqlite.select(table);
        sql += &format!(" WHERE {} = ?", self.rowid);
        sql
    }

    /// Whether a row that waits has this number.
    pub(crate) fn waits(&self) -> String {
        format!("SELECT place FROM temp.\"{}\" WHERE place = ?", self.name)
    }

    /// Whether a row has this number.
    pub(crate) fn taken(&self, table: &Table) -> String {
        format!("{} WHERE {} = ?", self.select_rowid(table), self.rowid)
    }

    fn select_rowid(&self, table: &Table) -> String {
        let mut sql = format!("SELECT {} FROM ", self.rowid);
        Sqlite.identifier(&mut sql, &table.destination);
        sql
    }
}

/// Names of the columns that a unique index of a table or its primary key has; the table is the only parameter.
pub(crate) const UNIQUE: &str = "
    SELECT i.name FROM pragma_index_list(?1) l, pragma_index_info(l.name) i WHERE l.\"unique\" AND i.name IS NOT NULL
    UNION SELECT name FROM pragma_table_info(?1) WHERE pk > 0";

/// The column that is the row number itself.
pub(crate) const ALIAS: &str = "
    SELECT name FROM pragma_table_info(?1)
    WHERE pk > 0 AND lower(type) = 'integer' AND (SELECT count(*) FROM pragma_table_info(?1) WHERE pk > 0) = 1
      AND NOT EXISTS (SELECT * FROM pragma_index_list(?1) WHERE origin = 'pk')";

fn list(items: impl Iterator<Item = impl AsRef<str>>) -> String {
    let mut text = String::new();
    for (count, item) in items.enumerate() {
        comma(&mut text, count);
        text.push_str(item.as_ref());
    }
    text
}

fn and(sql: &mut String, count: usize) {
    if count > 0 {
        sql.push_str(" AND ");
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::table::Column;
    use walproto::Oid;

    /// `id integer primary key, code text unique, note text`, of which the source's key is none.
    fn table() -> Table {
        Table {
            oid: Oid(1),
            schema: "public".to_owned(),
            name: "t".to_owned(),
            destination: "t".to_owned(),
            columns: [("id", 23), ("code", 25), ("note", 25)]
                .map(|(name, oid)| Column::new(name, Oid(oid), -1, Oid(oid)))
                .into(),
            key: Vec::new(),
            identity: 'f',
            relfilenode: 1,
        }
    }

    #[test]
    fn a_row_waits_with_values_that_nobody_has() {
        let table = table();
        let lot = Lot::new(0, &table, vec![0, 1], Some(0)).unwrap();
        assert_eq!(
            lot.create(),
            "CREATE TEMP TABLE \"_replicator_parked_0\" (place INTEGER PRIMARY KEY, lsn, why, c0, c1); \
             CREATE INDEX temp.\"_replicator_parked_0_by\" ON \"_replicator_parked_0\" (c0, c1)"
        );
        assert_eq!(
            lot.park(&table, &[0, 2]),
            r#"INSERT INTO temp."_replicator_parked_0" SELECT ?, ?, ?, ?, "code" FROM "t" WHERE rowid = ?"#
        );
        assert_eq!(
            lot.blank(&table, &[0, 2]),
            r#"UPDATE "t" SET "note" = ?, "code" = randomblob(16), "id" = ? WHERE rowid = ?"#
        );
        assert_eq!(
            lot.insert(&table),
            r#"INSERT INTO "t" ("note", "code", "id") VALUES (?, randomblob(16), ?)"#
        );
    }

    #[test]
    fn a_waiting_row_is_found_by_what_it_waits_for() {
        let table = table();
        let lot = Lot::new(0, &table, vec![0, 1], Some(0)).unwrap();
        assert_eq!(
            lot.find(&table),
            r#"SELECT p.place FROM temp."_replicator_parked_0" p JOIN "t" t ON t.rowid = p.place WHERE p.c0 IS ? AND p.c1 IS ? AND (t."note") IS (?) LIMIT 1"#
        );
        assert_eq!(lot.sought(&table), [0, 1, 2]);
        let keyed = Table {
            key: vec![1],
            ..table
        };
        assert_eq!(
            lot.find(&keyed),
            r#"SELECT p.place FROM temp."_replicator_parked_0" p WHERE p.c1 IS ? LIMIT 1"#
        );
        assert_eq!(
            lot.find_standing(&keyed),
            r#"SELECT rowid FROM "t" WHERE ("code") IS (?) AND rowid NOT IN (SELECT place FROM temp."_replicator_parked_0") LIMIT 1"#
        );
    }
}
