//! What is copied.

use benches::shape::Shape;

/// Tables of one kind, and their rows.
#[derive(Debug)]
pub(crate) struct Rows {
    /// For the command line.
    pub(crate) name: &'static str,
    /// For people.
    pub(crate) title: &'static str,
    /// The tables, which share the rows.
    pub(crate) tables: &'static [&'static str],
    kind: Kind,
    full: usize,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Narrow,
    Wide,
    Large,
}

/// A row's value in [`Kind::Large`], in pieces of 32 bytes.
const PIECES: usize = 312;

pub(crate) const ROWS: &[Rows] = &[
    Rows {
        name: "narrow",
        title: "five columns",
        tables: &["t"],
        kind: Kind::Narrow,
        full: 1_000_000,
    },
    Rows {
        name: "pair",
        title: "five columns in two tables",
        tables: &["t", "u"],
        kind: Kind::Narrow,
        full: 1_000_000,
    },
    Rows {
        name: "wide",
        title: "20 columns",
        tables: &["t"],
        kind: Kind::Wide,
        full: 200_000,
    },
    Rows {
        name: "large",
        title: "10 kB",
        tables: &["t"],
        kind: Kind::Large,
        full: 20_000,
    },
];

impl Rows {
    /// How many there are at a scale, in all tables together.
    pub(crate) fn count(&self, scale: f64) -> usize {
        ((self.full as f64 * scale) as usize)
            .next_multiple_of(200)
            .max(1000)
    }

    /// Names and types.
    fn columns(&self) -> Vec<(String, &'static str)> {
        let named = |columns: &[(&str, &'static str)]| {
            let columns = columns.iter();
            columns
                .map(|(name, of)| ((*name).to_owned(), *of))
                .collect()
        };
        match self.kind {
            Kind::Narrow => named(&[
                ("id", "bigint"),
                ("n", "integer"),
                ("name", "text"),
                ("amount", "numeric(12, 2)"),
                ("at", "timestamptz"),
            ]),
            Kind::Wide => shape()
                .types()
                .enumerate()
                .map(|(at, (of, _))| {
                    (
                        if at == 0 {
                            "id".to_owned()
                        } else {
                            format!("c{at}")
                        },
                        of,
                    )
                })
                .collect(),
            Kind::Large => named(&[("id", "bigint"), ("body", "text")]),
        }
    }

    /// A table without rows, each type as `spell` spells it.
    pub(crate) fn table(&self, name: &str, spell: impl Fn(&'static str) -> &'static str) -> String {
        let columns: Vec<String> = self
            .columns()
            .into_iter()
            .map(|(column, of)| format!("{column} {}", spell(of)))
            .collect();
        format!(
            "CREATE TABLE {name} ({}, PRIMARY KEY (id))",
            columns.join(", ")
        )
    }

    /// Fills a table of the source.
    pub(crate) fn fill(&self, table: &str, count: usize) -> String {
        match self.kind {
            Kind::Narrow => format!(
                "INSERT INTO {table} SELECT i, i % 1000, 'customer ' || i || repeat(' of ours', 5), i % 100000 / 100.0,
                   timestamptz '2026-01-01 00:00Z' + i * interval '1s' FROM generate_series(1, {count}) i"
            ),
            Kind::Wide => format!("INSERT INTO {table} {}", shape().select(1, count)),
            // Not compressed: what the server would spend on that is not what is measured.
            Kind::Large => format!(
                "ALTER TABLE {table} ALTER body SET STORAGE EXTERNAL;
                 INSERT INTO {table} SELECT i, repeat(md5(i::text), {PIECES}) FROM generate_series(1, {count}) i"
            ),
        }
    }

    /// What a loader of a destination reads that knows no zones, or does.
    pub(crate) fn select(&self, table: &str, zones: bool) -> String {
        let columns: Vec<String> = self
            .columns()
            .into_iter()
            .map(|(column, of)| match of {
                "timestamptz" if !zones => format!("{column} AT TIME ZONE 'UTC'"),
                _ => column,
            })
            .collect();
        format!("SELECT {} FROM {table}", columns.join(", "))
    }

    /// Queries of one value whose answer tells whether everything arrived.
    pub(crate) fn checks(&self, table: &str) -> Vec<String> {
        let sum = match self.kind {
            Kind::Narrow => "sum(id * n + length(name))",
            Kind::Wide => "sum(id * c2 + length(c1))",
            Kind::Large => "sum(id + length(body))",
        };
        [sum, "count(*)"]
            .iter()
            .map(|what| format!("SELECT {what} FROM {table}"))
            .collect()
    }
}

fn shape() -> Shape {
    Shape::named("text-20").expect("one of the shapes")
}
