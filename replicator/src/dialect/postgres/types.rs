//! Which of PostgreSQL's types a destination column gets: the source's own where every server has it, else `text`.
//!
//! Built in alone does not suffice: the text of a `regclass` names something of the source, that of `money` follows
//! a setting of the source, that of `"char"` is read otherwise before 16, and some statistics types cannot be written
//! at all. They are kept as `text`, as enums, composites, and the types of extensions are.

use walproto::Oid;

use crate::dialect::text::{numeric_modifier, own_typmod};
use crate::table::Column;
use crate::value::Kind;

/// A type that means the same at every server.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct BuiltIn {
    /// `pg_type.typname` of the type, or of what its array holds.
    pub(crate) name: &'static str,
    /// Whether it is the array of that.
    pub(crate) array: bool,
}

/// `pg_type.dat`, whose numbers are fixed for good: the type, its array, its name. All are in 14 already.
const TYPES: [(u32, u32, &str); 52] = [
    (16, 1000, "bool"),
    (17, 1001, "bytea"),
    (19, 1003, "name"),
    (20, 1016, "int8"),
    (21, 1005, "int2"),
    (22, 1006, "int2vector"),
    (23, 1007, "int4"),
    (25, 1009, "text"),
    (26, 1028, "oid"),
    (27, 1010, "tid"),
    (28, 1011, "xid"),
    (29, 1012, "cid"),
    (30, 1013, "oidvector"),
    (114, 199, "json"),
    (142, 143, "xml"),
    (600, 1017, "point"),
    (601, 1018, "lseg"),
    (602, 1019, "path"),
    (603, 1020, "box"),
    (604, 1027, "polygon"),
    (628, 629, "line"),
    (650, 651, "cidr"),
    (700, 1021, "float4"),
    (701, 1022, "float8"),
    (718, 719, "circle"),
    (774, 775, "macaddr8"),
    (829, 1040, "macaddr"),
    (869, 1041, "inet"),
    (1042, 1014, "bpchar"),
    (1043, 1015, "varchar"),
    (1082, 1182, "date"),
    (1083, 1183, "time"),
    (1114, 1115, "timestamp"),
    (1184, 1185, "timestamptz"),
    (1186, 1187, "interval"),
    (1266, 1270, "timetz"),
    (1560, 1561, "bit"),
    (1562, 1563, "varbit"),
    (1700, 1231, "numeric"),
    (2950, 2951, "uuid"),
    (3220, 3221, "pg_lsn"),
    (3614, 3643, "tsvector"),
    (3615, 3645, "tsquery"),
    (3802, 3807, "jsonb"),
    (3904, 3905, "int4range"),
    (3906, 3907, "numrange"),
    (3908, 3909, "tsrange"),
    (3910, 3911, "tstzrange"),
    (3912, 3913, "daterange"),
    (3926, 3927, "int8range"),
    (4072, 4073, "jsonpath"),
    (5069, 271, "xid8"),
];

/// Multiranges, apart because they came last: in 14.
const MULTIRANGES: [(u32, u32, &str); 6] = [
    (4451, 6150, "int4multirange"),
    (4532, 6151, "nummultirange"),
    (4533, 6152, "tsmultirange"),
    (4534, 6153, "tstzmultirange"),
    (4535, 6155, "datemultirange"),
    (4536, 6157, "int8multirange"),
];

impl BuiltIn {
    /// The type of this number, if we take it over.
    pub(crate) fn of(oid: Oid) -> Option<Self> {
        TYPES
            .iter()
            .chain(&MULTIRANGES)
            .find(|(own, array, _)| oid.0 == *own || oid.0 == *array)
            .map(|&(own, _, name)| Self {
                name,
                array: oid.0 != own,
            })
    }

    /// What a column holds at the destination; `text` where the type stays behind.
    ///
    /// A domain is kept as what it is made of: its text is the same, and comparing means the same.
    pub(crate) fn held(column: &Column) -> Self {
        Self::of(column.base_oid).unwrap_or(Self::TEXT)
    }

    /// The same on a server of this major version, where every value must find its place: `text` for a type whose newer
    /// values the server does not read.
    pub(crate) fn held_whole(column: &Column, major: i32) -> Self {
        let held = Self::held(column);
        // Both grew in 17: intervals are infinite, and paths have more methods.
        if major < 17 && matches!(held.name, "interval" | "jsonpath") {
            return Self::TEXT;
        }
        // Scales below zero and beyond the precision came in 15.
        let (precision, scale) = numeric_modifier(own_typmod(column)).unwrap_or_default();
        if major < 15 && held.name == "numeric" && !(0..=precision.cast_signed()).contains(&scale) {
            return Self::TEXT;
        }
        held
    }

    const TEXT: Self = Self {
        name: "text",
        array: false,
    };

    /// Whether a column of the type `base` (domains resolved) reads what the source prints of `ours` as that very value.
    ///
    /// The type's own input function is then as strict about it as we are.
    pub(crate) fn reads(ours: &Column, base: Oid) -> bool {
        Self::of(base) == Some(Self::held(ours))
    }

    /// Whether the text of a value depends on a collation when it is compared.
    pub(crate) fn is_collatable(self) -> bool {
        matches!(self.name, "text" | "varchar" | "bpchar" | "name")
    }

    /// Whether values that are equal have the same text: not so for `1.0` and `1.00`, `-0` and `0`.
    ///
    /// Some types have no equality at all (`json`, `point`, `xml`), and that of geometric types is about sizes.
    pub(crate) fn is_exact(self) -> bool {
        !self.array
            && matches!(
                self.name,
                "bool"
                    | "bytea"
                    | "name"
                    | "int2"
                    | "int4"
                    | "int8"
                    | "oid"
                    | "text"
                    | "varchar"
                    | "date"
                    | "time"
                    | "timestamp"
                    | "timestamptz"
                    | "uuid"
                    | "pg_lsn"
            )
    }

    /// The kind that this type is the own one of: its values travel in binary form.
    pub(crate) fn kind(self) -> Kind {
        if self.array {
            return Kind::Text;
        }
        match self.name {
            "bool" => Kind::Bool,
            "int2" => Kind::Int2,
            "int4" => Kind::Int4,
            "int8" => Kind::Int8,
            "oid" => Kind::Oid,
            "float4" => Kind::Float4,
            "float8" => Kind::Float8,
            "bytea" => Kind::Bytea,
            _ => Kind::Text,
        }
    }

    /// The type in SQL, without a modifier.
    ///
    /// In quotes, because some names mean something else without: `char` is `char(1)`, and `bit` is `bit(1)`, which
    /// would cut values in silence.
    pub(crate) fn sql(self) -> String {
        let brackets = if self.array { "[]" } else { "" };
        format!("pg_catalog.\"{}\"{brackets}", self.name)
    }

    /// The type with its modifier, as a new column is declared.
    pub(crate) fn declared(self, typmod: i32) -> String {
        let brackets = if self.array { "[]" } else { "" };
        let modifier = modifier(self.name, typmod);
        format!("pg_catalog.\"{}\"{modifier}{brackets}", self.name)
    }
}

/// `(10, 2)`; the numbers that the type's own `typmodin` takes.
fn modifier(name: &str, typmod: i32) -> String {
    /// `VARHDRSZ`, which some types add to tell 0 from none.
    const HEADER: i32 = 4;
    if typmod < 0 {
        return String::new();
    }
    match name {
        "varchar" | "bpchar" => format!("({})", typmod - HEADER),
        "bit" | "varbit" | "time" | "timetz" | "timestamp" | "timestamptz" => {
            format!("({typmod})")
        }
        "numeric" => {
            // numeric.c: make_numeric_typmod; a scale has 11 bits with sign.
            let packed = typmod - HEADER;
            let (precision, scale) = (packed >> 16 & 0xFFFF, ((packed & 0x7FF) ^ 1024) - 1024);
            format!("({precision}, {scale})")
        }
        "interval" => {
            // timestamp.h: INTERVAL_RANGE, INTERVAL_PRECISION.
            let (range, precision) = (typmod >> 16 & 0x7FFF, typmod & 0xFFFF);
            if precision == 0xFFFF {
                format!("({range})")
            } else {
                format!("({range}, {precision})")
            }
        }
        _ => String::new(),
    }
}

/// Whether a column with the modifier `there` gives back unchanged every value of one with the modifier `here`.
pub(crate) fn modifier_keeps(name: &str, here: i32, there: i32) -> bool {
    if there < 0 || here == there {
        return true;
    }
    if here < 0 {
        return false;
    }
    match name {
        "varchar" | "varbit" | "time" | "timetz" | "timestamp" | "timestamptz" => there >= here,
        "numeric" => {
            let scale = |typmod: i32| (typmod - 4) & 0x7FF;
            let precision = |typmod: i32| (typmod - 4) >> 16 & 0xFFFF;
            // Another scale would print other zeroes.
            scale(here) == scale(there) && precision(there) >= precision(here)
        }
        _ => false,
    }
}
