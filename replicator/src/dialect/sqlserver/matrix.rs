//! What SQL Server keeps of each type.

use super::types::Held;
use crate::config::OnMisfit;
use crate::dialect::matrix::{
    Line, NAN, check_columns, check_docs, check_others, check_values, kept, narrow, near,
};
use crate::table::Column;

const LINES: &[Line] = &[
    Line {
        types: &[kept("boolean", 16, -1, "bit")],
        kept: None,
        note: "0 or 1",
        misfits: &[],
    },
    Line {
        types: &[
            kept("smallint", 21, -1, "smallint"),
            kept("integer", 23, -1, "int"),
            kept("bigint", 20, -1, "bigint"),
            kept("oid", 26, -1, "bigint"),
        ],
        kept: None,
        note: "",
        misfits: &[],
    },
    Line {
        types: &[narrow("real", 700, -1, "float", "nvarchar(15)")],
        kept: None,
        note: "`-0` too",
        misfits: &[
            near("Infinity", "1.7976931348623157e+308"),
            near("-Infinity", "-1.7976931348623157e+308"),
            NAN,
        ],
    },
    Line {
        types: &[narrow("double precision", 701, -1, "float", "nvarchar(24)")],
        kept: None,
        note: "to the bit, `-0` too",
        misfits: &[
            near("Infinity", "1.7976931348623157e+308"),
            near("-Infinity", "-1.7976931348623157e+308"),
            near("5e-324", "0"),
            NAN,
        ],
    },
    Line {
        types: &[narrow(
            "numeric(p, s)",
            1700,
            655_366,
            "decimal(10, 2)",
            "nvarchar(15)",
        )],
        kept: Some("`decimal(p, s)` up to 38 digits"),
        note: "",
        misfits: &[NAN],
    },
    Line {
        types: &[kept("numeric", 1700, -1, "nvarchar(max)")],
        kept: None,
        note: "every digit; a `numeric(p, s)` that no `decimal` can be is an `nvarchar`",
        misfits: &[],
    },
    Line {
        types: &[kept("bytea", 17, -1, "varbinary(max)")],
        kept: None,
        note: "in a key `varbinary(n)`",
        misfits: &[],
    },
    Line {
        types: &[narrow("date", 1082, -1, "date", "nvarchar(13)")],
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
        types: &[narrow("time", 1083, -1, "time(6)", "nvarchar(15)")],
        kept: Some("`time(6)`, `time(n)`"),
        note: "",
        misfits: &[near("24:00:00", "23:59:59.999999")],
    },
    Line {
        types: &[
            narrow("timestamp", 1114, -1, "datetime2(6)", "nvarchar(29)"),
            narrow("timestamp(n)", 1114, 6, "datetime2(6)", "nvarchar(29)"),
        ],
        kept: Some("`datetime2(6)`, `datetime2(n)`"),
        note: "",
        misfits: &[
            near("infinity", "9999-12-31 23:59:59.999999"),
            near("-infinity", "0001-01-01 00:00:00"),
            near("0001-12-31 23:59:59 BC", "0001-01-01 00:00:00"),
        ],
    },
    Line {
        types: &[
            narrow("timestamptz", 1184, -1, "datetimeoffset(6)", "nvarchar(32)"),
            narrow(
                "timestamptz(n)",
                1184,
                6,
                "datetimeoffset(6)",
                "nvarchar(32)",
            ),
        ],
        kept: Some("`datetimeoffset(6)`, `datetimeoffset(n)`"),
        note: "in UTC",
        misfits: &[
            near("infinity", "9999-12-31 23:59:59.999999 +00:00"),
            near("-infinity", "0001-01-01 00:00:00 +00:00"),
            near(
                "294276-12-31 23:59:59+00",
                "9999-12-31 23:59:59.999999 +00:00",
            ),
        ],
    },
    Line {
        types: &[kept("uuid", 2950, -1, "uniqueidentifier")],
        kept: None,
        note: "sorts in another order there",
        misfits: &[],
    },
    Line {
        types: &[
            kept("varchar(n)", 1043, 14, "nvarchar(20)"),
            kept("char(n)", 1042, 14, "nvarchar(20)"),
        ],
        kept: Some("`nvarchar(2n)`"),
        note: "lengths there count UTF-16 units, of which an emoji has two; the blanks that end a text stay; `nvarchar(max)` past 2000 characters",
        misfits: &[],
    },
    Line {
        types: &[
            kept("bit(n)", 1560, 10, "nvarchar(10)"),
            kept("bit varying(n)", 1562, 10, "nvarchar(10)"),
        ],
        kept: Some("`nvarchar(n)`"),
        note: "`nvarchar(max)` past 4000",
        misfits: &[],
    },
    Line {
        types: &[
            kept("timetz", 1266, -1, "nvarchar(24)"),
            kept("inet", 869, -1, "nvarchar(49)"),
            kept("cidr", 650, -1, "nvarchar(49)"),
            kept("macaddr", 829, -1, "nvarchar(17)"),
            kept("macaddr8", 774, -1, "nvarchar(23)"),
            kept("pg_lsn", 3220, -1, "nvarchar(17)"),
            kept("name", 19, -1, "nvarchar(63)"),
            kept("\"char\"", 18, -1, "nvarchar(4)"),
        ],
        kept: Some("`nvarchar` of the longest"),
        note: "as PostgreSQL prints it",
        misfits: &[],
    },
    Line {
        types: &[
            kept("text", 25, -1, "nvarchar(max)"),
            kept("json", 114, -1, "nvarchar(max)"),
            kept("jsonb", 3802, -1, "nvarchar(max)"),
            kept("xml", 142, -1, "nvarchar(max)"),
            kept("interval", 1186, -1, "nvarchar(max)"),
            kept("money", 790, -1, "nvarchar(max)"),
            kept("an enum", 70_000, -1, "nvarchar(max)"),
            kept("an array", 1007, -1, "nvarchar(max)"),
            kept("everything else", 2249, -1, "nvarchar(max)"),
        ],
        kept: None,
        note: "as PostgreSQL prints it; a domain as what it is made of; in a key `nvarchar(n)`",
        misfits: &[],
    },
];

fn declared(column: &Column, policy: OnMisfit) -> String {
    Held::of(column, policy).sql()
}

#[test]
fn columns_are_declared_as_the_table_says() {
    check_columns(LINES, declared);
}

#[test]
fn values_fit_or_not_as_the_table_says() {
    check_values(LINES, |column, policy, value| {
        let held = Held::of(column, policy);
        let Err(refused) = held.value(value) else {
            return Ok(());
        };
        // What is stored instead can be.
        if let Some(nearest) = refused.nearest() {
            assert!(!held.typed(nearest).unwrap().is_null(), "{value}");
        }
        Err(refused)
    });
}

#[test]
fn a_type_that_is_not_in_the_table_is_text() {
    check_others(LINES, "nvarchar(max)", declared);
}

#[test]
fn the_docs_say_the_same() {
    check_docs("SQL Server", LINES);
}
