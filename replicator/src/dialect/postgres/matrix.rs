//! What another PostgreSQL keeps of each type.

use super::types::BuiltIn;
use crate::dialect::matrix::{Line, check_docs, kept};
use crate::dialect::text::own_typmod;

const LINES: &[Line] = &[
    Line {
        types: &[
            kept("boolean", 16, -1, r#"pg_catalog."bool""#),
            kept("bytea", 17, -1, r#"pg_catalog."bytea""#),
            kept("name", 19, -1, r#"pg_catalog."name""#),
            kept("bigint", 20, -1, r#"pg_catalog."int8""#),
            kept("smallint", 21, -1, r#"pg_catalog."int2""#),
            kept("int2vector", 22, -1, r#"pg_catalog."int2vector""#),
            kept("integer", 23, -1, r#"pg_catalog."int4""#),
            kept("text", 25, -1, r#"pg_catalog."text""#),
            kept("oid", 26, -1, r#"pg_catalog."oid""#),
            kept("tid", 27, -1, r#"pg_catalog."tid""#),
            kept("xid", 28, -1, r#"pg_catalog."xid""#),
            kept("cid", 29, -1, r#"pg_catalog."cid""#),
            kept("oidvector", 30, -1, r#"pg_catalog."oidvector""#),
            kept("json", 114, -1, r#"pg_catalog."json""#),
            kept("xml", 142, -1, r#"pg_catalog."xml""#),
            kept("point", 600, -1, r#"pg_catalog."point""#),
            kept("lseg", 601, -1, r#"pg_catalog."lseg""#),
            kept("path", 602, -1, r#"pg_catalog."path""#),
            kept("box", 603, -1, r#"pg_catalog."box""#),
            kept("polygon", 604, -1, r#"pg_catalog."polygon""#),
            kept("line", 628, -1, r#"pg_catalog."line""#),
            kept("cidr", 650, -1, r#"pg_catalog."cidr""#),
            kept("real", 700, -1, r#"pg_catalog."float4""#),
            kept("double precision", 701, -1, r#"pg_catalog."float8""#),
            kept("circle", 718, -1, r#"pg_catalog."circle""#),
            kept("macaddr8", 774, -1, r#"pg_catalog."macaddr8""#),
            kept("macaddr", 829, -1, r#"pg_catalog."macaddr""#),
            kept("inet", 869, -1, r#"pg_catalog."inet""#),
            kept("char(n)", 1042, 14, r#"pg_catalog."bpchar"(10)"#),
            kept("varchar(n)", 1043, 14, r#"pg_catalog."varchar"(10)"#),
            kept("date", 1082, -1, r#"pg_catalog."date""#),
            kept("time", 1083, 3, r#"pg_catalog."time"(3)"#),
            kept("timestamp", 1114, 3, r#"pg_catalog."timestamp"(3)"#),
            kept("timestamptz", 1184, 3, r#"pg_catalog."timestamptz"(3)"#),
            kept("interval", 1186, -1, r#"pg_catalog."interval""#),
            kept("timetz", 1266, 3, r#"pg_catalog."timetz"(3)"#),
            kept("bit(n)", 1560, 10, r#"pg_catalog."bit"(10)"#),
            kept("bit varying(n)", 1562, 10, r#"pg_catalog."varbit"(10)"#),
            kept(
                "numeric(p, s)",
                1700,
                655366,
                r#"pg_catalog."numeric"(10, 2)"#,
            ),
            kept("uuid", 2950, -1, r#"pg_catalog."uuid""#),
            kept("pg_lsn", 3220, -1, r#"pg_catalog."pg_lsn""#),
            kept("tsvector", 3614, -1, r#"pg_catalog."tsvector""#),
            kept("tsquery", 3615, -1, r#"pg_catalog."tsquery""#),
            kept("jsonb", 3802, -1, r#"pg_catalog."jsonb""#),
            kept("int4range", 3904, -1, r#"pg_catalog."int4range""#),
            kept("numrange", 3906, -1, r#"pg_catalog."numrange""#),
            kept("tsrange", 3908, -1, r#"pg_catalog."tsrange""#),
            kept("tstzrange", 3910, -1, r#"pg_catalog."tstzrange""#),
            kept("daterange", 3912, -1, r#"pg_catalog."daterange""#),
            kept("int8range", 3926, -1, r#"pg_catalog."int8range""#),
            kept("jsonpath", 4072, -1, r#"pg_catalog."jsonpath""#),
            kept("xid8", 5069, -1, r#"pg_catalog."xid8""#),
            kept("int4multirange", 4451, -1, r#"pg_catalog."int4multirange""#),
            kept("nummultirange", 4532, -1, r#"pg_catalog."nummultirange""#),
            kept("tsmultirange", 4533, -1, r#"pg_catalog."tsmultirange""#),
            kept("tstzmultirange", 4534, -1, r#"pg_catalog."tstzmultirange""#),
            kept("datemultirange", 4535, -1, r#"pg_catalog."datemultirange""#),
            kept("int8multirange", 4536, -1, r#"pg_catalog."int8multirange""#),
            kept(
                "an array of them",
                1231,
                655_366,
                r#"pg_catalog."numeric"(10, 2)[]"#,
            ),
        ],
        kept: Some("the same, with its modifier"),
        note: "exact; text in a key compares bytes; before 17 there is no infinite `interval`",
        misfits: &[],
    },
    Line {
        types: &[
            kept("money", 790, -1, r#"pg_catalog."text""#),
            kept("\"char\"", 18, -1, r#"pg_catalog."text""#),
            kept("regclass", 2205, -1, r#"pg_catalog."text""#),
            kept("an enum", 70_000, -1, r#"pg_catalog."text""#),
            kept("a composite type", 70_001, -1, r#"pg_catalog."text""#),
            kept("a type of an extension", 70_002, -1, r#"pg_catalog."text""#),
            kept("everything else", 2249, -1, r#"pg_catalog."text""#),
        ],
        kept: Some("`text`"),
        note: "as the source prints it; a domain as what it is made of",
        misfits: &[],
    },
];

#[test]
fn columns_are_declared_as_the_table_says() {
    for of in LINES.iter().flat_map(|line| line.types) {
        let column = of.column();
        let held = BuiltIn::held(&column).declared(own_typmod(&column));
        assert_eq!(held, of.held, "{}", of.name);
    }
}

#[test]
fn no_type_that_is_kept_is_left_out() {
    let listed = |oid: u32| LINES[0].types.iter().any(|of| of.oid == oid);
    for oid in
        (1..16_384).filter(|oid| BuiltIn::of(walproto::Oid(*oid)).is_some_and(|of| !of.array))
    {
        assert!(listed(oid), "type {oid}");
    }
}

#[test]
fn the_docs_say_the_same() {
    check_docs("another PostgreSQL", LINES);
}
