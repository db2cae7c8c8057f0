//! What a session does to its rows: statements, and the same in the model.

use super::Workload;
use super::tables::{Cells, Fill, Shape, TABLES, is_out_of_line};
use crate::ClientError;

impl Workload {
    /// A statement, or several at once, that change rows of the session.
    pub(super) fn change(&mut self, at: usize) -> Result<(), ClientError> {
        let table = self.random.below(TABLES.len());
        let shape = &TABLES[table];
        let count = self.sessions[at].rows[table].len();
        let kind = self.random.below(if count == 0 { 3 } else { 24 });
        let sql = match kind {
            _ if count > shape.plenty => {
                let all = self.random.once_in(2);
                self.delete_many(at, table, if all { count } else { count / 2 })
            }
            0..8 => self.insert(at, table),
            8..13 => self.update(at, table, false),
            13..15 => self.update(at, table, true),
            15..18 => self.delete(at, table),
            18 => self.update_many(at, table),
            19 => self.delete_many(at, table, count / 3),
            20 | 21 => self.swap(at, table),
            _ => self.use_key_again(at, table),
        };
        self.run(at, &sql)
    }

    fn insert(&mut self, at: usize, table: usize) -> String {
        let count = if self.sessions[at].large {
            20 + self.random.below(60)
        } else {
            1 + self.random.below(3)
        };
        let shape = &TABLES[table];
        let mut rows = Vec::new();
        for _ in 0..count.min(shape.plenty) {
            let known = &self.sessions[at].rows[table];
            let row = if shape.key.is_empty() && !known.is_empty() && self.random.once_in(2) {
                let copied = self.random.below(known.len());
                let row = known[copied].clone();
                self.count("equal row");
                row
            } else {
                self.row(at, shape)
            };
            rows.push(Shape::values(&row));
            self.add(at, table, row);
        }
        self.count("insert");
        format!("INSERT INTO {} VALUES {}", shape.name, rows.join(", "))
    }

    fn row(&mut self, at: usize, shape: &Shape) -> Cells {
        let mut row = Cells::new();
        for (_, fill) in shape.columns {
            self.unique += 1;
            let value = fill.value(&mut self.random, at, self.unique);
            match (fill, &value) {
                (_, None) => self.count("null"),
                (Fill::BigCode, _) => self.count("key out of line"),
                (Fill::Big, Some(_)) if is_out_of_line(value.as_ref()) => {
                    self.count("value out of line");
                }
                _ => {}
            }
            row.push(value);
        }
        row
    }

    /// Changes some columns of one row; those out of line mostly stay as they are.
    fn update(&mut self, at: usize, table: usize, key: bool) -> String {
        let shape = &TABLES[table];
        let (chosen, old) = self.choose(at, table);
        let fresh = self.row(at, shape);
        let mut new = old.clone();
        for place in 0..new.len() {
            let in_key = shape.key.contains(&place);
            let fill = shape.columns[place].1;
            let change = match fill {
                Fill::Session => false,
                _ if in_key => key && (shape.key.len() == 1 || self.random.once_in(2)),
                Fill::Big => self.random.once_in(4),
                _ => self.random.once_in(2),
            };
            if change {
                new[place] = fresh[place].clone();
            }
        }
        let assignments = shape.assignments(&old, &new);
        if assignments.is_empty() {
            // Writes the row all the same, without a change.
            let name = shape.columns[0].0;
            self.count("update");
            return format!(
                "UPDATE {} SET {name} = {name} WHERE {}",
                shape.name,
                shape.one(&old)
            );
        }
        let key_changed = shape.key.iter().any(|&place| old[place] != new[place]);
        if shape
            .out_of_line(&old)
            .any(|place| old[place] == new[place])
        {
            self.count(if key_changed {
                "unchanged value out of line beside a key change"
            } else {
                "unchanged value out of line"
            });
        }
        self.count(if key_changed { "key change" } else { "update" });
        self.remove(at, table, chosen);
        self.add(at, table, new);
        format!(
            "UPDATE {} SET {assignments} WHERE {}",
            shape.name,
            shape.one(&old)
        )
    }

    fn update_many(&mut self, at: usize, table: usize) -> String {
        let shape = &TABLES[table];
        // Every table has such a column, after which the statement is named.
        let place = (0..shape.columns.len())
            .find(|&place| matches!(shape.columns[place].1, Fill::Word | Fill::Number))
            .expect("every table has a column of that kind");
        let (name, fill) = shape.columns[place];
        self.unique += 1;
        let value = fill.value(&mut self.random, at, self.unique);
        for old in std::mem::take(&mut self.sessions[at].rows[table]) {
            let mut new = old.clone();
            new[place].clone_from(&value);
            self.record(at, false, table, old);
            self.add(at, table, new);
        }
        self.count("update of many rows");
        let set = value.map_or_else(
            || "NULL".into(),
            |text| format!("'{}'", text.replace('\'', "''")),
        );
        format!("UPDATE {} SET {name} = {set} WHERE s = {at}", shape.name)
    }

    fn delete(&mut self, at: usize, table: usize) -> String {
        let shape = &TABLES[table];
        let (chosen, row) = self.choose(at, table);
        self.remove(at, table, chosen);
        self.count("delete");
        if shape.key.is_empty() && self.sessions[at].rows[table].contains(&row) {
            self.count("one of equal rows removed");
        }
        format!("DELETE FROM {} WHERE {}", shape.name, shape.one(&row))
    }

    fn delete_many(&mut self, at: usize, table: usize, count: usize) -> String {
        let shape = &TABLES[table];
        self.count("delete of many rows");
        let all = count >= self.sessions[at].rows[table].len();
        let mut statements = Vec::new();
        for _ in 0..count {
            let (chosen, row) = self.choose(at, table);
            self.remove(at, table, chosen);
            statements.push(format!(
                "DELETE FROM {} WHERE {}",
                shape.name,
                shape.one(&row)
            ));
        }
        if all || statements.is_empty() {
            let everything = std::mem::take(&mut self.sessions[at].rows[table]);
            for row in everything {
                self.record(at, false, table, row);
            }
            return format!("DELETE FROM {} WHERE s = {at}", shape.name);
        }
        statements.join("; ")
    }

    /// Two rows exchange their keys, by way of a third.
    fn swap(&mut self, at: usize, table: usize) -> String {
        let shape = &TABLES[table];
        if shape.key.is_empty() || self.sessions[at].rows[table].len() < 2 {
            return self.insert(at, table);
        }
        let (chosen, first) = self.choose(at, table);
        self.remove(at, table, chosen);
        let (chosen, second) = self.choose(at, table);
        self.remove(at, table, chosen);
        let aside = self.row(at, shape);
        let with_key = |row: &Cells, key: &Cells| {
            let mut row = row.clone();
            for &place in shape.key {
                row[place].clone_from(&key[place]);
            }
            row
        };
        let step = |row: &Cells, new: &Cells| {
            format!(
                "UPDATE {} SET {} WHERE {}",
                shape.name,
                shape.assignments(row, new),
                shape.one(row)
            )
        };
        let parked = with_key(&first, &aside);
        let (new_first, new_second) = (with_key(&first, &second), with_key(&second, &first));
        let sql = [
            step(&first, &parked),
            step(&second, &new_second),
            step(&parked, &new_first),
        ];
        self.add(at, table, new_first);
        self.add(at, table, new_second);
        self.count("swap of keys");
        sql.join("; ")
    }

    /// A row goes and another one with its key comes.
    fn use_key_again(&mut self, at: usize, table: usize) -> String {
        let shape = &TABLES[table];
        if shape.key.is_empty() {
            return self.delete(at, table);
        }
        let (chosen, old) = self.choose(at, table);
        self.remove(at, table, chosen);
        let mut new = self.row(at, shape);
        for &place in shape.key {
            new[place].clone_from(&old[place]);
        }
        let sql = format!(
            "DELETE FROM {name} WHERE {}; INSERT INTO {name} VALUES {}",
            shape.one(&old),
            Shape::values(&new),
            name = shape.name
        );
        self.add(at, table, new);
        self.count("key used again");
        sql
    }
}
