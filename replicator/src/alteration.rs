//! A table whose definition changed at a place of the stream: what it was, what it is, and what its rows hold.

use std::fmt;
use std::sync::Arc;

use crate::table::{Column, Table};
use crate::value::Value;

/// What a destination is to do about a table whose definition changed.
#[derive(Clone, Debug, PartialEq)]
pub struct Alteration {
    /// As the ledger has it.
    pub was: Arc<Table>,
    /// As it is from here on.
    pub is: Arc<Table>,
    /// What the rows that are there hold in the columns that `is` has more than `was`, in their order. `None` where the
    /// destination table has been changed by somebody else: only the ledger follows then.
    pub added: Option<Vec<Value>>,
}

impl Alteration {
    /// The columns that are to be added, each with its place in `is` and what the rows that are there hold.
    pub fn columns(&self) -> impl Iterator<Item = (usize, &Value)> {
        let first = self.was.columns.len();
        let values = self.added.iter().flatten();
        values
            .enumerate()
            .map(move |(at, value)| (first + at, value))
    }

    /// The names that went, and those that came with their places in `is`.
    fn names(&self) -> (Vec<&str>, Vec<usize>) {
        let has = |table: &Table, name: &str| table.columns.iter().any(|it| it.name == name);
        let was = self.was.columns.iter().map(|column| column.name.as_str());
        let gone = was.filter(|name| !has(&self.is, name)).collect();
        let is = self.is.columns.iter().enumerate();
        let come = is.filter(|(_, column)| !has(&self.was, &column.name));
        (gone, come.map(|(at, _)| at).collect())
    }

    /// Names of columns that the destination table should not have any more.
    pub(crate) fn gone(&self) -> Vec<&str> {
        self.names().0
    }

    /// Whether columns that kept their names are other ones by now, as their numbers or their order tell: PostgreSQL moves
    /// none. Names were swapped, or a column was dropped and one of its name added. Both leave a destination table that
    /// looks right, with other values in it.
    pub(crate) fn is_shuffled(&self) -> bool {
        let places = self.was.columns.iter().filter_map(|column| {
            let mut is = self.is.columns.iter();
            is.position(|it| it.name == column.name)
        });
        !places.is_sorted() || self.was.remade_column(&self.is).is_some()
    }

    /// What became of each column that was, by their numbers: its place now. `None` where some number is not known.
    fn traced(&self) -> Option<Vec<Option<usize>>> {
        let (was, is) = (&self.was.columns, &self.is.columns);
        let known = was.iter().chain(is).all(|it| it.attnum.is_some());
        let place = |was: &Column| is.iter().position(|it| it.attnum == was.attnum);
        known.then(|| was.iter().map(place).collect())
    }

    /// The same by names, and a new name in an old place with the same type for another name of the same column.
    fn guessed(&self) -> Vec<Option<usize>> {
        let (was, is) = (&self.was.columns, &self.is.columns);
        let (_, come) = self.names();
        let place = |(at, was): (usize, &Column)| {
            let renamed = || {
                let other = is.get(at)?;
                let same = (other.type_oid, other.typmod) == (was.type_oid, was.typmod);
                (same && come.contains(&at) && self.was.columns.len() == is.len()).then_some(at)
            };
            is.iter()
                .position(|it| it.name == was.name)
                .or_else(renamed)
        };
        was.iter().enumerate().map(place).collect()
    }

    /// The statements that make the destination table fit, as far as there are any.
    pub(crate) fn statements(&self, words: &impl Words) -> Vec<String> {
        let table = words.table(&self.is);
        let places = self.traced().unwrap_or_else(|| self.guessed());
        let mut statements = Vec::new();
        let (mut renamed, mut retyped) = (Vec::new(), Vec::new());
        for (was, at) in self.was.columns.iter().zip(&places) {
            let Some((at, is)) = at.and_then(|at| Some((at, self.is.columns.get(at)?))) else {
                let quoted = words.quoted(&was.name);
                statements.push(format!("ALTER TABLE {table} DROP COLUMN {quoted}"));
                continue;
            };
            if was.name != is.name {
                renamed.push((&*was.name, &*is.name));
            }
            if (was.type_oid, was.typmod) != (is.type_oid, is.typmod) {
                retyped.push(at);
            }
        }
        // A name is free once who had it has another.
        while !renamed.is_empty() {
            let is_free = |(_, name): &(&str, &str)| !renamed.iter().any(|(had, _)| had == name);
            let next = renamed.iter().position(is_free).unwrap_or(0);
            let (was, is) = renamed.remove(next);
            statements.push(words.rename(&self.is, was, is));
        }
        let come = (0..self.is.columns.len()).filter(|at| !places.contains(&Some(*at)));
        statements.extend(come.map(|at| words.add(&self.is, at)));
        retyped.sort_unstable();
        statements.extend(retyped.iter().filter_map(|at| words.retype(&self.is, *at)));
        statements
    }

    /// Why the destination does not fit yet, with what to run there.
    pub(crate) fn wanting(&self, why: impl fmt::Display, statements: &[String]) -> String {
        if statements.is_empty() {
            return format!("{why}; give the destination table a new definition by hand");
        }
        let renames = |it: &String| {
            [" RENAME ", " DROP ", "EXEC sp_rename "]
                .iter()
                .any(|verb| it.contains(verb))
        };
        let unsure = if self.traced().is_none() && statements.iter().any(renames) {
            " (a new name and a column that went while another came look the same from here: do at the destination what \
             was done at the source)"
        } else {
            ""
        };
        let statements = statements.join("; ");
        format!("{why}; run at the destination: {statements};{unsure}")
    }

    /// Whether the destination's unique indexes, each as the names of its columns, fit a key that changed.
    pub(crate) fn key_fits(&self, unique: &[Vec<String>]) -> bool {
        let names = |table: &Table| {
            let key = table.key.iter().filter_map(|at| table.columns.get(*at));
            let mut names: Vec<String> = key.map(|it| it.name.to_lowercase()).collect();
            names.sort_unstable();
            names
        };
        let (was, is) = (names(&self.was), names(&self.is));
        let has = |key: &Vec<String>| {
            unique.iter().any(|index| {
                let mut index: Vec<String> = index.iter().map(|it| it.to_lowercase()).collect();
                index.sort_unstable();
                index == *key
            })
        };
        was == is || (is.is_empty() || has(&is)) && (was.is_empty() || !has(&was))
    }
}

/// How a product says it.
pub(crate) trait Words {
    /// The table's name, quoted.
    fn table(&self, table: &Table) -> String;
    /// A column's name, quoted.
    fn quoted(&self, name: &str) -> String;
    /// The statement that gives a column another name.
    fn rename(&self, table: &Table, was: &str, is: &str) -> String {
        let (table, was, is) = (self.table(table), self.quoted(was), self.quoted(is));
        format!("ALTER TABLE {table} RENAME COLUMN {was} TO {is}")
    }
    /// The statement that adds a column.
    fn add(&self, table: &Table, at: usize) -> String;
    /// The one that gives a column its type, where there is one.
    fn retype(&self, table: &Table, at: usize) -> Option<String>;
}

#[cfg(test)]
mod tests {
    use super::*;
    use walproto::Oid;

    struct Plain;

    impl Words for Plain {
        fn table(&self, table: &Table) -> String {
            table.destination.clone()
        }

        fn quoted(&self, name: &str) -> String {
            name.to_owned()
        }

        fn add(&self, table: &Table, at: usize) -> String {
            format!("ADD {}", table.columns[at].name)
        }

        fn retype(&self, table: &Table, at: usize) -> Option<String> {
            Some(format!("TYPE {}", table.columns[at].name))
        }
    }

    fn table(columns: &[(&str, u32)], key: &[usize]) -> Arc<Table> {
        let columns = columns.iter();
        Arc::new(Table {
            oid: Oid(1),
            schema: "public".to_owned(),
            name: "t".to_owned(),
            destination: "t".to_owned(),
            columns: columns
                .map(|(name, oid)| Column::new(*name, Oid(*oid), -1, Oid(*oid)))
                .collect(),
            key: key.to_vec(),
            identity: 'd',
            relfilenode: 1,
        })
    }

    fn between(was: &[(&str, u32)], is: &[(&str, u32)]) -> Vec<String> {
        let alteration = Alteration {
            was: table(was, &[0]),
            is: table(is, &[0]),
            added: None,
        };
        alteration.statements(&Plain)
    }

    #[test]
    fn every_difference_has_its_statement() {
        let was = [("id", 23), ("a", 25), ("b", 25)];
        let none: [&str; 0] = [];
        assert_eq!(between(&was, &was), none);
        assert_eq!(
            between(&was, &[("id", 23), ("b", 25)]),
            ["ALTER TABLE t DROP COLUMN a"]
        );
        assert_eq!(
            between(&was, &[("id", 23), ("c", 25), ("b", 25)]),
            ["ALTER TABLE t RENAME COLUMN a TO c"]
        );
        assert_eq!(
            between(&was, &[("id", 23), ("b", 25), ("c", 25), ("d", 23)]),
            ["ALTER TABLE t DROP COLUMN a", "ADD c", "ADD d"]
        );
        assert_eq!(
            between(&was, &[("id", 20), ("a", 25), ("b", 25)]),
            ["TYPE id"]
        );
    }

    #[test]
    fn numbers_tell_a_new_name_from_another_column() {
        let numbered = |columns: &[(&str, u32, i16)]| {
            let names: Vec<(&str, u32)> =
                columns.iter().map(|(name, oid, _)| (*name, *oid)).collect();
            let mut table = Arc::unwrap_or_clone(table(&names, &[0]));
            for (column, (_, _, number)) in table.columns.iter_mut().zip(columns) {
                column.attnum = Some(*number).filter(|number| *number != 0);
            }
            Arc::new(table)
        };
        let was = [("id", 23, 1), ("a", 23, 2), ("b", 23, 3)];
        let change = |is: &[(&str, u32, i16)]| Alteration {
            was: numbered(&was),
            is: numbered(is),
            added: None,
        };
        let run = |is: &[(&str, u32, i16)]| change(is).statements(&Plain);
        let (drop, rename) = ("ALTER TABLE t DROP COLUMN", "ALTER TABLE t RENAME COLUMN");
        // Both look the same without them.
        assert_eq!(
            run(&[("id", 23, 1), ("b", 23, 3), ("c", 23, 4)]),
            [format!("{drop} a"), "ADD c".to_owned()]
        );
        assert_eq!(
            run(&[("id", 23, 1), ("a", 23, 2), ("c", 23, 4)]),
            [format!("{drop} b"), "ADD c".to_owned()]
        );
        assert_eq!(
            run(&[("id", 23, 1), ("a", 23, 2), ("c", 23, 3)]),
            [format!("{rename} b TO c")]
        );
        // A wider column in the place of another one, its values copied over before.
        assert_eq!(
            run(&[("id", 23, 1), ("a", 20, 3)]),
            [
                format!("{drop} a"),
                format!("{rename} b TO a"),
                "TYPE a".to_owned()
            ]
        );
        // Names that move on.
        assert_eq!(
            run(&[("id", 23, 1), ("b", 23, 2), ("c", 23, 3)]),
            [format!("{rename} b TO c"), format!("{rename} a TO b")]
        );
        let unsure = change(&[("id", 23, 1), ("a", 23, 2), ("c", 23, 3)]);
        let words = unsure.wanting("it differs", &unsure.statements(&Plain));
        assert!(!words.contains("look the same"), "{words}");
        let unsure = change(&[("id", 23, 1), ("a", 23, 2), ("c", 23, 0)]);
        let words = unsure.wanting("it differs", &unsure.statements(&Plain));
        assert!(words.contains("look the same"), "{words}");
        // A table that looks right and is not.
        assert!(change(&[("id", 23, 1), ("a", 23, 2), ("c", 23, 4), ("b", 23, 5)]).is_shuffled());
        assert!(!change(&[("id", 23, 1), ("a", 23, 2), ("b", 23, 3), ("c", 23, 4)]).is_shuffled());
    }

    #[test]
    fn names_that_changed_places_are_told_from_columns_that_came_and_went() {
        let shuffled = |was: &[&str], is: &[&str]| {
            let columns = |names: &[&str]| {
                let columns: Vec<_> = names.iter().map(|name| (*name, 25)).collect();
                table(&columns, &[0])
            };
            Alteration {
                was: columns(was),
                is: columns(is),
                added: None,
            }
            .is_shuffled()
        };
        assert!(!shuffled(&["id", "a", "b"], &["id", "b", "c"]));
        assert!(!shuffled(&["id", "a", "b"], &["id", "c", "b", "d"]));
        assert!(shuffled(&["id", "a", "b"], &["id", "b", "a"]));
        assert!(shuffled(&["id", "a", "b", "c"], &["id", "c", "d", "a"]));
    }

    #[test]
    fn a_key_that_changed_wants_its_own_index_and_not_the_old_one() {
        let columns = [("id", 23), ("a", 25)];
        let change = |was: &[usize], is: &[usize]| Alteration {
            was: table(&columns, was),
            is: table(&columns, is),
            added: None,
        };
        let index = |names: &[&str]| names.iter().map(|it| (*it).to_owned()).collect::<Vec<_>>();
        let (old, new) = (index(&["ID"]), index(&["a", "id"]));
        assert!(change(&[0], &[0]).key_fits(&[]), "nothing changed");
        assert!(!change(&[0], &[0, 1]).key_fits(std::slice::from_ref(&old)));
        assert!(!change(&[0], &[0, 1]).key_fits(&[old.clone(), new.clone()]));
        assert!(change(&[0], &[0, 1]).key_fits(&[new]));
        assert!(!change(&[0], &[]).key_fits(&[old]));
        assert!(change(&[0], &[]).key_fits(&[]));
    }
}
