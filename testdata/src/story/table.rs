//! Tables of a made-up source, and rows that fit them.

use crate::random::{chance_for, number_for};
use crate::writer::{self, Value};

/// What a table looks like at one place of the WAL.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Table {
    /// Stays when it is renamed.
    pub oid: u32,
    /// Its schema.
    pub namespace: &'static str,
    /// Its name.
    pub name: String,
    /// `d`, `n`, `f` or `i`.
    pub identity: u8,
    /// Its columns.
    pub columns: Vec<Column>,
}

/// A column of a [`Table`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Column {
    /// Its name.
    pub name: String,
    /// Its type; from 10000 on it is a user's.
    pub type_oid: u32,
    /// Its type modifier.
    pub typmod: i32,
    /// Whether it is part of the primary key, whatever the replica identity says.
    pub key: bool,
}

/// A value in a row.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Cell {
    /// NULL, or left out of a row of keys.
    Null,
    /// A large value that did not change and is not sent.
    Unchanged,
    /// A value.
    Text(String),
}

const TYPES: [u32; 4] = [25, 23, 20_001, 1700];

impl Table {
    /// The tables that there are when a story begins.
    pub fn all() -> Vec<Self> {
        let column = |name: &str, type_oid, key| Column {
            name: name.to_owned(),
            type_oid,
            typmod: -1,
            key,
        };
        let table = |oid, namespace, name: &str, identity, columns| Self {
            oid,
            namespace,
            name: name.to_owned(),
            identity,
            columns,
        };
        vec![
            table(
                16_384,
                "public",
                "account",
                b'd',
                vec![column("id", 23, true), column("mood", 20_001, false)],
            ),
            table(
                16_390,
                "shop",
                "item",
                b'f',
                vec![column("id", 23, true), column("name", 25, false)],
            ),
            table(
                16_400,
                "public",
                "log",
                b'n',
                vec![column("line", 25, false)],
            ),
            // What a server calls the namespace of its own is empty on the wire.
            table(16_410, "", "copy", b'i', vec![column("id", 23, true)]),
        ]
    }

    /// As it looks after a change of its definition.
    pub(super) fn altered(&self, about: u64) -> Self {
        let mut table = self.clone();
        match number_for(1, about, 6) {
            0 | 1 => table.columns.push(Column {
                name: format!("c{about}"),
                type_oid: TYPES[usize::try_from(about % 4).expect("below 4")],
                typmod: -1,
                key: false,
            }),
            2 if self.columns.len() > 1 => drop(table.columns.pop()),
            3 => {
                if let Some(last) = table.columns.last_mut() {
                    last.type_oid = 1043;
                    last.typmod += 5;
                }
            }
            4 => {
                let kinds = if self.columns.iter().any(|column| column.key) {
                    b"dfin"
                } else {
                    b"fnfn"
                };
                let now = kinds.iter().position(|kind| *kind == self.identity);
                table.identity = kinds[now.map_or(0, |now| (now + 1) % 4)];
            }
            _ => table.name = format!("{}{about}", self.name.trim_end_matches(char::is_numeric)),
        }
        table
    }

    /// Whether the replica identity sends this column.
    pub fn is_sent_as_key(&self, column: &Column) -> bool {
        match self.identity {
            b'f' => true,
            b'n' => false,
            _ => column.key,
        }
    }

    /// `R`.
    pub fn message(&self, xid: Option<u32>) -> Vec<u8> {
        let columns: Vec<_> = self
            .columns
            .iter()
            .map(|column| writer::Column {
                flags: u8::from(self.is_sent_as_key(column)),
                name: &column.name,
                type_oid: column.type_oid,
                typmod: column.typmod,
            })
            .collect();
        writer::relation(
            xid,
            self.oid,
            self.namespace,
            &self.name,
            self.identity,
            &columns,
        )
    }

    /// A row; with large values that did not change if it may have them.
    pub(super) fn row(&self, about: u64, unchanged: bool, heavy: bool) -> Vec<Cell> {
        let cell = |(number, _): (usize, &Column)| {
            let about = about * 31 + number as u64;
            match number_for(2, about, 10) {
                0 => Cell::Null,
                1 if unchanged => Cell::Unchanged,
                2 => Cell::Text(String::new()),
                3 if heavy => Cell::Text("x".repeat(70_000)),
                _ => Cell::Text(about.to_string()),
            }
        };
        self.columns.iter().enumerate().map(cell).collect()
    }

    /// A row of which only the key counts, or an old row, and its tag.
    pub(super) fn old(&self, about: u64) -> (u8, Vec<Cell>) {
        let row = self.row(about, false, false);
        if self.identity == b'f' {
            return (b'O', row);
        }
        let keys = self.columns.iter().zip(row).map(|(column, cell)| {
            if column.key && !chance_for(3, about, 5) {
                cell
            } else {
                Cell::Null
            }
        });
        (b'K', keys.collect())
    }
}

impl Cell {
    pub(super) fn value(&self) -> Value<'_> {
        match self {
            Self::Null => Value::Null,
            Self::Unchanged => Value::Unchanged,
            Self::Text(text) => Value::text(text),
        }
    }
}
