//! What SQLite keeps of each type.

use super::declared_type;
use crate::dialect::matrix::{Line, check_docs, kept};

const LINES: &[Line] = &[
    Line {
        types: &[kept("boolean", 16, -1, "INTEGER")],
        kept: None,
        note: "0 or 1",
        misfits: &[],
    },
    Line {
        types: &[
            kept("smallint", 21, -1, "INTEGER"),
            kept("integer", 23, -1, "INTEGER"),
            kept("bigint", 20, -1, "INTEGER"),
            kept("oid", 26, -1, "INTEGER"),
        ],
        kept: None,
        note: "all 64 bits",
        misfits: &[],
    },
    Line {
        types: &[
            kept("real", 700, -1, ""),
            kept("double precision", 701, -1, ""),
        ],
        kept: Some("no type"),
        note: "a number; `NaN`, `Infinity`, `-Infinity` and `-0` as text, which a `REAL` column would change",
        misfits: &[],
    },
    Line {
        types: &[
            kept("numeric", 1700, -1, "TEXT"),
            kept("numeric(p, s)", 1700, 655_366, "TEXT"),
        ],
        kept: None,
        note: "every digit and trailing zero",
        misfits: &[],
    },
    Line {
        types: &[kept("bytea", 17, -1, "BLOB")],
        kept: None,
        note: "",
        misfits: &[],
    },
    Line {
        types: &[
            kept("date", 1082, -1, "TEXT"),
            kept("time", 1083, -1, "TEXT"),
            kept("timetz", 1266, -1, "TEXT"),
            kept("timestamp", 1114, -1, "TEXT"),
            kept("timestamptz", 1184, -1, "TEXT"),
            kept("interval", 1186, -1, "TEXT"),
        ],
        kept: None,
        note: "ISO, with `infinity`, `BC` and `24:00:00`; `timestamptz` in UTC",
        misfits: &[],
    },
    Line {
        types: &[
            kept("text", 25, -1, "TEXT"),
            kept("varchar(n)", 1043, 14, "TEXT"),
            kept("char(n)", 1042, 14, "TEXT"),
            kept("json", 114, -1, "TEXT"),
            kept("jsonb", 3802, -1, "TEXT"),
            kept("xml", 142, -1, "TEXT"),
            kept("uuid", 2950, -1, "TEXT"),
            kept("money", 790, -1, "TEXT"),
            kept("an enum", 70_000, -1, "TEXT"),
            kept("an array", 1007, -1, "TEXT"),
            kept("everything else", 2249, -1, "TEXT"),
        ],
        kept: None,
        note: "as PostgreSQL prints it; a domain as what it is made of",
        misfits: &[],
    },
];

#[test]
fn columns_are_declared_as_the_table_says() {
    for of in LINES.iter().flat_map(|line| line.types) {
        assert_eq!(
            declared_type(of.column().kind).trim(),
            of.held,
            "{}",
            of.name
        );
    }
}

#[test]
fn the_docs_say_the_same() {
    check_docs("SQLite", LINES);
}
