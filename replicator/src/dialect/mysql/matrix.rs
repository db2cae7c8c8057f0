//! What MySQL and MariaDB keep of each type.

use super::types::{Flavour, Held};
use crate::config::OnMisfit;
use crate::dialect::matrix::{
    Line, NAN, check_columns, check_docs, check_others, check_values, kept, narrow, near,
};
use crate::table::Column;

const LINES: &[Line] = &[
    Line {
        types: &[kept("boolean", 16, -1, "BOOLEAN")],
        kept: None,
        note: "0 or 1",
        misfits: &[],
    },
    Line {
        types: &[
            kept("smallint", 21, -1, "SMALLINT"),
            kept("integer", 23, -1, "INT"),
            kept("bigint", 20, -1, "BIGINT"),
            kept("oid", 26, -1, "BIGINT"),
        ],
        kept: None,
        note: "",
        misfits: &[],
    },
    Line {
        types: &[
            narrow("real", 700, -1, "DOUBLE", "VARCHAR(15)"),
            narrow("double precision", 701, -1, "DOUBLE", "VARCHAR(24)"),
        ],
        kept: None,
        note: "to the bit; `-0` too, where the server tells it from `0`",
        misfits: &[
            near("Infinity", "1.7976931348623157e+308"),
            near("-Infinity", "-1.7976931348623157e+308"),
            NAN,
        ],
    },
    Line {
        types: &[narrow(
            "numeric(p, s)",
            1700,
            655_366,
            "DECIMAL(10, 2)",
            "VARCHAR(15)",
        )],
        kept: Some("`DECIMAL(p, s)` up to `DECIMAL(65, 30)`"),
        note: "",
        misfits: &[NAN],
    },
    Line {
        types: &[kept("numeric", 1700, -1, "LONGTEXT")],
        kept: None,
        note: "every digit; a `numeric(p, s)` that no `DECIMAL` can be is a `VARCHAR`",
        misfits: &[],
    },
    Line {
        types: &[kept("bytea", 17, -1, "LONGBLOB")],
        kept: None,
        note: "in a key `VARBINARY`",
        misfits: &[],
    },
    Line {
        types: &[narrow("date", 1082, -1, "DATE", "VARCHAR(13)")],
        kept: None,
        note: "",
        misfits: &[
            near("infinity", "9999-12-31"),
            near("10000-01-01", "9999-12-31"),
            near("-infinity", "0001-01-01"),
            near("0044-03-15 BC", "0001-01-01"),
        ],
    },
    Line {
        types: &[
            kept("time(n)", 1083, 3, "TIME(3)"),
            kept("time", 1083, -1, "TIME(6)"),
        ],
        kept: None,
        note: "with `24:00:00`",
        misfits: &[],
    },
    Line {
        types: &[
            narrow("timestamp", 1114, -1, "DATETIME(6)", "VARCHAR(29)"),
            narrow("timestamp(n)", 1114, 6, "DATETIME(6)", "VARCHAR(29)"),
        ],
        kept: Some("`DATETIME(6)`, `DATETIME(n)`"),
        note: "",
        misfits: &[
            near("infinity", "9999-12-31 23:59:59.999999"),
            near("-infinity", "0001-01-01 00:00:00"),
            near("0001-12-31 23:59:59 BC", "0001-01-01 00:00:00"),
        ],
    },
    Line {
        types: &[narrow(
            "timestamptz",
            1184,
            -1,
            "DATETIME(6)",
            "VARCHAR(32)",
        )],
        kept: None,
        note: "in UTC",
        misfits: &[
            near("infinity", "9999-12-31 23:59:59.999999"),
            near("-infinity", "0001-01-01 00:00:00"),
            near("294276-12-31 23:59:59+00", "9999-12-31 23:59:59.999999"),
        ],
    },
    Line {
        types: &[
            kept("varchar(n)", 1043, 14, "VARCHAR(10)"),
            kept("char(n)", 1042, 14, "VARCHAR(10)"),
            kept("bit(n)", 1560, 10, "VARCHAR(10)"),
            kept("bit varying(n)", 1562, 10, "VARCHAR(10)"),
        ],
        kept: Some("`VARCHAR(n)`"),
        note: "the blanks that end a text stay; `LONGTEXT` where a row has no room",
        misfits: &[],
    },
    Line {
        types: &[
            kept("uuid", 2950, -1, "VARCHAR(36)"),
            kept("timetz", 1266, -1, "VARCHAR(24)"),
            kept("inet", 869, -1, "VARCHAR(49)"),
            kept("cidr", 650, -1, "VARCHAR(49)"),
            kept("macaddr", 829, -1, "VARCHAR(17)"),
            kept("macaddr8", 774, -1, "VARCHAR(23)"),
            kept("pg_lsn", 3220, -1, "VARCHAR(17)"),
            kept("name", 19, -1, "VARCHAR(63)"),
            kept("\"char\"", 18, -1, "VARCHAR(4)"),
        ],
        kept: Some("`VARCHAR` of the longest"),
        note: "as PostgreSQL prints it",
        misfits: &[],
    },
    Line {
        types: &[
            kept("text", 25, -1, "LONGTEXT"),
            kept("json", 114, -1, "LONGTEXT"),
            kept("jsonb", 3802, -1, "LONGTEXT"),
            kept("xml", 142, -1, "LONGTEXT"),
            kept("interval", 1186, -1, "LONGTEXT"),
            kept("money", 790, -1, "LONGTEXT"),
            kept("an enum", 70_000, -1, "LONGTEXT"),
            kept("an array", 1007, -1, "LONGTEXT"),
            kept("everything else", 2249, -1, "LONGTEXT"),
        ],
        kept: None,
        note: "as PostgreSQL prints it; a domain as what it is made of; in a key `VARCHAR`",
        misfits: &[],
    },
];

/// Without the part that is the same for all texts.
fn declared(held: &Held) -> String {
    let sql = held.sql(Flavour::MySql);
    let end = sql.find(" CHARACTER SET").unwrap_or(sql.len());
    sql[..end].to_owned()
}

fn declared_for(column: &Column, policy: OnMisfit) -> String {
    declared(&Held::of(column, policy))
}

#[test]
fn columns_are_declared_as_the_table_says() {
    check_columns(LINES, declared_for);
}

#[test]
fn values_fit_or_not_as_the_table_says() {
    check_values(LINES, |column, policy, value| {
        Held::of(column, policy).value(value).map(drop)
    });
}

#[test]
fn a_type_that_is_not_in_the_table_is_text() {
    check_others(LINES, "LONGTEXT", declared_for);
}

#[test]
fn the_docs_say_the_same() {
    check_docs("MySQL, MariaDB", LINES);
}
