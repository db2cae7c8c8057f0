//! The tables of the workload, and the values that go into them.

use std::sync::Arc;

use super::random::Random;

/// A row as the model has it: each column's text.
pub(super) type Cells = Vec<Option<Arc<str>>>;

/// What a column is given.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Fill {
    /// The session that owns the row; no two sessions touch the same row.
    Session,
    /// A number that no other row has.
    Id,
    /// A small number or NULL.
    Number,
    /// A short text or NULL.
    Word,
    /// A short text that no other row has.
    Code,
    /// NULL, a short text, or one that is stored out of line.
    Big,
    /// A text that no other row has and that is stored out of line.
    BigCode,
}

/// A table of the workload.
#[derive(Debug)]
pub(super) struct Shape {
    pub(super) name: &'static str,
    pub(super) columns: &'static [(&'static str, Fill)],
    /// Places of the columns that identify a row; none where equal rows may exist.
    pub(super) key: &'static [usize],
    /// Rows of one session beyond which deletes prevail.
    pub(super) plenty: usize,
}

/// What the tables are made of.
pub(super) const SCHEMA: &str = "
    CREATE TABLE accounts (id bigint PRIMARY KEY, s int NOT NULL, n int, note text, big text);
    ALTER TABLE accounts ALTER big SET STORAGE EXTERNAL;
    CREATE TABLE pairs (v text, b int, s int NOT NULL, a text, big text, PRIMARY KEY (a, b));
    ALTER TABLE pairs ALTER big SET STORAGE EXTERNAL;
    CREATE TABLE coded (s int NOT NULL, v text, code text NOT NULL);
    CREATE UNIQUE INDEX coded_code ON coded (code);
    ALTER TABLE coded REPLICA IDENTITY USING INDEX coded_code;
    CREATE TABLE heap (s int, n int, v text, big text);
    ALTER TABLE heap ALTER big SET STORAGE EXTERNAL;
    ALTER TABLE heap REPLICA IDENTITY FULL;
    CREATE TABLE keyed_full (id bigint PRIMARY KEY, s int NOT NULL, n int, big text);
    ALTER TABLE keyed_full ALTER big SET STORAGE EXTERNAL;
    ALTER TABLE keyed_full REPLICA IDENTITY FULL;
    CREATE TABLE wide (k text PRIMARY KEY, s int NOT NULL, n int, v text);
    ALTER TABLE wide ALTER k SET STORAGE EXTERNAL;
    CREATE TABLE log (id bigint PRIMARY KEY, s int NOT NULL, v text);";

/// The tables; the places of some are known by name.
pub(super) const TABLES: &[Shape] = &[
    Shape {
        name: "accounts",
        columns: &[
            ("id", Fill::Id),
            ("s", Fill::Session),
            ("n", Fill::Number),
            ("note", Fill::Word),
            ("big", Fill::Big),
        ],
        key: &[0],
        plenty: 200,
    },
    Shape {
        name: "pairs",
        columns: &[
            ("v", Fill::Word),
            ("b", Fill::Id),
            ("s", Fill::Session),
            ("a", Fill::Code),
            ("big", Fill::Big),
        ],
        key: &[3, 1],
        plenty: 60,
    },
    Shape {
        name: "coded",
        columns: &[
            ("s", Fill::Session),
            ("v", Fill::Word),
            ("code", Fill::Code),
        ],
        key: &[2],
        plenty: 60,
    },
    Shape {
        name: "heap",
        columns: &[
            ("s", Fill::Session),
            ("n", Fill::Number),
            ("v", Fill::Word),
            ("big", Fill::Big),
        ],
        key: &[],
        plenty: 30,
    },
    Shape {
        name: "keyed_full",
        columns: &[
            ("id", Fill::Id),
            ("s", Fill::Session),
            ("n", Fill::Number),
            ("big", Fill::Big),
        ],
        key: &[0],
        plenty: 60,
    },
    Shape {
        name: "wide",
        columns: &[
            ("k", Fill::BigCode),
            ("s", Fill::Session),
            ("n", Fill::Number),
            ("v", Fill::Word),
        ],
        key: &[0],
        plenty: 20,
    },
    Shape {
        name: "log",
        columns: &[("id", Fill::Id), ("s", Fill::Session), ("v", Fill::Word)],
        key: &[0],
        plenty: 100,
    },
];

/// Longer than what stays in a row.
const OUT_OF_LINE: usize = 2100;

const WORDS: &[&str] = &[
    "",
    "t",
    "f",
    "\\N",
    "it's",
    "a\"b",
    "back\\slash",
    "line\r\nbreak",
    "tab\there",
    "\u{10FFFF}",
    "straße",
    "NULL",
    "{1,NULL}",
    "; --",
    "%s",
    " padded ",
    "0",
    "\u{1}\u{7f}",
    "plain",
];

impl Fill {
    /// A value for a column of this kind; `unique` has not been used for it before.
    pub(super) fn value(
        self,
        random: &mut Random,
        session: usize,
        unique: u64,
    ) -> Option<Arc<str>> {
        let text = match self {
            Self::Session => session.to_string(),
            Self::Id => unique.to_string(),
            Self::Number if random.once_in(5) => return None,
            Self::Number => (random.below(2001) as i64 - 1000).to_string(),
            Self::Word if random.once_in(6) => return None,
            Self::Word => (*random.one_of(WORDS)).into(),
            Self::Code => format!("{}{unique}", random.one_of(WORDS)),
            Self::Big => match random.below(6) {
                0 => return None,
                1 | 2 => (*random.one_of(WORDS)).into(),
                _ => {
                    // Some need several chunks.
                    let length = OUT_OF_LINE + random.below(3000);
                    long(random, length)
                }
            },
            Self::BigCode => format!("{}{unique}", long(random, OUT_OF_LINE)),
        };
        Some(text.into())
    }
}

/// Text that differs from any other, without characters that an error message would mangle.
fn long(random: &mut Random, length: usize) -> String {
    let mut text = String::with_capacity(length + 16);
    while text.len() < length {
        text.push_str(&format!("{:016x}", random.number()));
    }
    text.truncate(length);
    text
}

/// Whether the server keeps this value out of line.
pub(super) fn is_out_of_line(value: Option<&Arc<str>>) -> bool {
    value.is_some_and(|text| text.len() >= OUT_OF_LINE)
}

impl Shape {
    /// Places of the columns that are out of line in `row`, without the key's.
    pub(super) fn out_of_line<'a>(&'a self, row: &'a Cells) -> impl Iterator<Item = usize> + 'a {
        (0..row.len()).filter(|at| !self.key.contains(at) && is_out_of_line(row[*at].as_ref()))
    }

    /// `(…)` for a VALUES list.
    pub(super) fn values(row: &Cells) -> String {
        let cells: Vec<String> = row.iter().map(|cell| literal(cell.as_ref())).collect();
        format!("({})", cells.join(", "))
    }

    /// A condition that exactly one row meets, whatever equals it.
    pub(super) fn one(&self, row: &Cells) -> String {
        if !self.key.is_empty() {
            return self.equal(row, self.key.iter().copied());
        }
        format!(
            "ctid = (SELECT ctid FROM {} WHERE {} LIMIT 1)",
            self.name,
            self.equal(row, 0..row.len())
        )
    }

    fn equal(&self, row: &Cells, places: impl Iterator<Item = usize>) -> String {
        let parts: Vec<String> = places
            .map(|at| {
                let value = literal(row[at].as_ref());
                format!("{} IS NOT DISTINCT FROM {value}", self.columns[at].0)
            })
            .map(|part| part.replace(" IS NOT DISTINCT FROM '", " = '"))
            .collect();
        parts.join(" AND ")
    }

    /// `column = value, …` for the columns that differ.
    pub(super) fn assignments(&self, old: &Cells, new: &Cells) -> String {
        let parts: Vec<String> = (0..new.len())
            .filter(|&at| old[at] != new[at])
            .map(|at| format!("{} = {}", self.columns[at].0, literal(new[at].as_ref())))
            .collect();
        parts.join(", ")
    }
}

fn literal(value: Option<&Arc<str>>) -> String {
    value.map_or_else(
        || "NULL".into(),
        |text| format!("'{}'", text.replace('\'', "''")),
    )
}
