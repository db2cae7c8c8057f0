//! What kind of value a type has, as far as replacing it goes.

use crate::show::oid;

/// What kind of value a type has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Family {
    /// One of two: replaced, it would tell as much.
    Boolean,
    Words,
    Json,
    Jsonb,
    Xml,
    /// One number.
    Number(Width),
    /// One number, its digits set apart as the locale has it.
    Money,
    /// Numbers and what stands between them.
    Numbers,
    Date,
    Time,
    TimeTz,
    Timestamp,
    Interval,
    Uuid,
    Mac,
    Network,
    Bytea,
    Bits,
    /// Words in single quotes, and what stands between them: tsvector, tsquery.
    Lexemes,
    /// Of elements of this type.
    Array(u32),
    Range(u32),
    Multirange(u32),
    /// Not built in, or so seldom that it is treated as if.
    Other,
}

/// How a number is written in binary form.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Width {
    Signed,
    Unsigned,
    Float,
    Numeric,
}

impl Family {
    pub(super) fn of(type_oid: u32) -> Self {
        match type_oid {
            oid::BOOL => Self::Boolean,
            oid::BYTEA => Self::Bytea,
            oid::CHAR | oid::NAME | oid::TEXT | oid::BPCHAR | oid::VARCHAR => Self::Words,
            oid::INT8 | oid::INT2 | oid::INT4 => Self::Number(Width::Signed),
            // And xid, cid, xid8.
            oid::OID | 28 | 29 | 5069 => Self::Number(Width::Unsigned),
            oid::FLOAT4 | oid::FLOAT8 => Self::Number(Width::Float),
            oid::NUMERIC => Self::Number(Width::Numeric),
            oid::JSON => Self::Json,
            oid::JSONB => Self::Jsonb,
            oid::XML => Self::Xml,
            oid::CIDR | oid::INET => Self::Network,
            // And pg_lsn.
            oid::MACADDR | oid::MACADDR8 | 3220 => Self::Mac,
            oid::UUID => Self::Uuid,
            oid::DATE => Self::Date,
            oid::TIME => Self::Time,
            oid::TIMETZ => Self::TimeTz,
            oid::TIMESTAMP | oid::TIMESTAMPTZ => Self::Timestamp,
            oid::INTERVAL => Self::Interval,
            oid::BIT | oid::VARBIT => Self::Bits,
            790 => Self::Money,
            3614 | 3615 => Self::Lexemes,
            // tid, point, lseg, path, box, polygon, line, circle.
            27 | 600..=604 | 628 | 718 => Self::Numbers,
            _ => match (element(type_oid), bound(type_oid)) {
                (Some(element), _) => Self::Array(element),
                (_, Some((bound, false))) => Self::Range(bound),
                (_, Some((bound, true))) => Self::Multirange(bound),
                _ => Self::Other,
            },
        }
    }
}

/// What an array has elements of.
fn element(array: u32) -> Option<u32> {
    const ARRAYS: [(u32, u32); 35] = [
        (1000, oid::BOOL),
        (1001, oid::BYTEA),
        (1002, oid::CHAR),
        (1003, oid::NAME),
        (1016, oid::INT8),
        (1005, oid::INT2),
        (1007, oid::INT4),
        (1009, oid::TEXT),
        (1028, oid::OID),
        (199, oid::JSON),
        (143, oid::XML),
        (651, oid::CIDR),
        (1021, oid::FLOAT4),
        (1022, oid::FLOAT8),
        (775, oid::MACADDR8),
        (1040, oid::MACADDR),
        (1041, oid::INET),
        (1014, oid::BPCHAR),
        (1015, oid::VARCHAR),
        (1182, oid::DATE),
        (1183, oid::TIME),
        (1115, oid::TIMESTAMP),
        (1185, oid::TIMESTAMPTZ),
        (1187, oid::INTERVAL),
        (1270, oid::TIMETZ),
        (1561, oid::BIT),
        (1563, oid::VARBIT),
        (1231, oid::NUMERIC),
        (2951, oid::UUID),
        (3807, oid::JSONB),
        (3905, 3904),
        (3907, 3906),
        (3909, 3908),
        (3911, 3910),
        (3913, 3912),
    ];
    let found = ARRAYS.iter().find(|(oid, _)| *oid == array);
    found.map(|(_, element)| *element)
}

/// What a range or, with `true`, a multirange has bounds of.
fn bound(range: u32) -> Option<(u32, bool)> {
    Some(match range {
        3904 => (oid::INT4, false),
        3906 => (oid::NUMERIC, false),
        3908 => (oid::TIMESTAMP, false),
        3910 => (oid::TIMESTAMPTZ, false),
        3912 => (oid::DATE, false),
        3926 => (oid::INT8, false),
        4451 => (oid::INT4, true),
        4532 => (oid::NUMERIC, true),
        4533 => (oid::TIMESTAMP, true),
        4534 => (oid::TIMESTAMPTZ, true),
        4535 => (oid::DATE, true),
        4536 => (oid::INT8, true),
        _ => return None,
    })
}
