//! What the rows look like that are received.

use testdata::writer::{self, Value};

/// Rows of one kind.
#[derive(Clone, Copy, Debug)]
pub struct Shape {
    /// For the command line.
    pub name: &'static str,
    /// For the table.
    pub title: &'static str,
    /// How many columns.
    pub columns: usize,
    /// Whether columns come in binary form.
    pub binary: bool,
    /// Length of the one value that is not short.
    pub long: usize,
}

const ALL: [Shape; 5] = [
    Shape {
        name: "text-5",
        title: "5 columns, text",
        columns: 5,
        binary: false,
        long: 0,
    },
    Shape {
        name: "binary-5",
        title: "5 columns, binary",
        columns: 5,
        binary: true,
        long: 0,
    },
    Shape {
        name: "text-20",
        title: "20 columns, text",
        columns: 20,
        binary: false,
        long: 0,
    },
    Shape {
        name: "binary-20",
        title: "20 columns, binary",
        columns: 20,
        binary: true,
        long: 0,
    },
    Shape {
        name: "text-8kb",
        title: "2 columns, one of 8 kB",
        columns: 2,
        binary: false,
        long: 8000,
    },
];

/// Rows in one transaction.
pub const TRANSACTION: usize = 100;

const RELATION: u32 = 16_385;

impl Shape {
    /// Those of these names, or all of them.
    ///
    /// # Errors
    ///
    /// A name that is not known.
    pub fn chosen(names: &[&str]) -> Result<Vec<Self>, String> {
        if names.is_empty() {
            return Ok(ALL.into());
        }
        names.iter().map(|name| Self::named(name)).collect()
    }

    /// That of this name.
    ///
    /// # Errors
    ///
    /// A name that is not known.
    pub fn named(name: &str) -> Result<Self, String> {
        let known = ALL.into_iter().find(|shape| shape.name == name);
        known.ok_or_else(|| format!("no rows are called {name}"))
    }

    /// The columns' types: a key, then numbers, times and short texts in turn.
    pub fn types(&self) -> impl Iterator<Item = (&'static str, u32)> {
        const TURN: [(&str, u32); 4] = [
            ("text", 25),
            ("int4", 23),
            ("timestamptz", 1184),
            ("float8", 701),
        ];
        let others = TURN.into_iter().cycle().take(self.columns - 1);
        std::iter::once(("int8", 20)).chain(others)
    }

    /// What a server fills the table with: `count` rows, in transactions of [`TRANSACTION`].
    pub fn select(&self, first: usize, count: usize) -> String {
        let values: Vec<_> = self
            .types()
            .enumerate()
            .map(|(at, (name, _))| match (at, name) {
                (0, _) => "i::int8".to_owned(),
                (1, _) if self.long > 0 => {
                    format!("repeat(md5(i::text), {} / 32)", self.long)
                }
                (_, "text") => format!("'row ' || i || ' of {at}'"),
                (_, "int4") => format!("(i * {at} % 1000000)::int4"),
                (_, "timestamptz") => {
                    "timestamptz '2026-01-01 00:00Z' + i * interval '1s'".to_owned()
                }
                _ => format!("i / {}.0::float8", at + 1),
            })
            .collect();
        let last = first + count - 1;
        format!(
            "SELECT {} FROM generate_series({first}, {last}) i",
            values.join(", ")
        )
    }

    /// Transactions as messages CopyData, together at least so long; how many rows, and where the last one ends.
    pub fn flow(&self, length: usize) -> Flow {
        let mut flow = Flow {
            bytes: Vec::with_capacity(length + (1 << 20)),
            rows: 0,
            end: 0x100_0000,
        };
        while flow.bytes.len() < length {
            let commit = flow.end + 0x1000;
            flow.message(commit, &writer::begin(commit, 0, 700));
            if flow.rows == 0 {
                flow.message(0, &self.relation());
            }
            for _ in 0..TRANSACTION {
                flow.rows += 1;
                flow.message(commit - 8, &self.insert(flow.rows));
            }
            flow.end = commit + 8;
            flow.message(flow.end, &writer::commit(0, commit, flow.end, 0));
        }
        flow
    }

    fn relation(&self) -> Vec<u8> {
        let names: Vec<_> = (0..self.columns).map(|at| format!("column_{at}")).collect();
        let columns: Vec<_> = self
            .types()
            .zip(&names)
            .enumerate()
            .map(|(at, ((_, type_oid), name))| writer::Column {
                flags: u8::from(at == 0),
                name,
                type_oid,
                typmod: -1,
            })
            .collect();
        writer::relation(None, RELATION, "public", "t", b'd', &columns)
    }

    fn insert(&self, row: usize) -> Vec<u8> {
        let texts: Vec<Vec<u8>> = self
            .types()
            .enumerate()
            .map(|(at, (name, _))| match (at, name, self.binary) {
                (0, _, false) => row.to_string().into(),
                (0, _, true) => (row as u64).to_be_bytes().into(),
                (1, _, _) if self.long > 0 => vec![b'x'; self.long],
                (_, "text", _) => format!("row {row} of {at}").into(),
                (_, "int4", false) => (row * at % 1_000_000).to_string().into(),
                (_, "int4", true) => ((row * at % 1_000_000) as u32).to_be_bytes().into(),
                (_, "timestamptz", false) => {
                    let (minute, second) = (row / 60 % 60, row % 60);
                    format!("2026-01-01 00:{minute:02}:{second:02}+00").into()
                }
                (_, _, false) => format!("{:?}", row as f64 / (at + 1) as f64).into(),
                (_, _, true) => (row as f64 / (at + 1) as f64)
                    .to_bits()
                    .to_be_bytes()
                    .into(),
            })
            .collect();
        let values: Vec<_> = texts
            .iter()
            .map(|bytes| {
                if self.binary {
                    Value::Binary(bytes)
                } else {
                    Value::Text(bytes)
                }
            })
            .collect();
        writer::insert(None, RELATION, &values)
    }
}

/// What a server sends.
#[derive(Debug)]
pub struct Flow {
    /// Messages CopyData.
    pub bytes: Vec<u8>,
    /// How many rows are in them.
    pub rows: usize,
    /// Behind the last transaction.
    pub end: u64,
}

impl Flow {
    fn message(&mut self, lsn: u64, message: &[u8]) {
        copy_data(&writer::wal_data(lsn, lsn, 0, message), &mut self.bytes);
    }
}

/// In a message CopyData.
pub fn copy_data(frame: &[u8], out: &mut Vec<u8>) {
    out.push(b'd');
    out.extend((frame.len() as u32 + 4).to_be_bytes());
    out.extend(frame);
}
