//! The built-in types: how their binary form is to be read, their names, their arrays.

use crate::Oid;

/// What the bytes of a type mean, as far as reading them into serde's data model needs to know.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    Bool,
    Int2,
    Int4,
    Int8,
    /// Four bytes without a sign.
    Oid,
    /// Eight bytes without a sign.
    Unsigned8,
    Float4,
    Float8,
    Numeric,
    /// One byte.
    Char,
    /// The same bytes in both forms.
    Text,
    /// Text behind a version byte in the binary form.
    Jsonb,
    Bytea,
    Uuid,
    Inet,
    Cidr,
    MacAddr,
    MacAddr8,
    Bit,
    Lsn,
    Date,
    Time,
    TimeTz,
    Timestamp,
    TimestampTz,
    Interval,
    Range4,
    Range8,
    RangeNumeric,
    RangeDate,
    RangeTimestamp,
    RangeTimestampTz,
    Array(Oid),
    /// Built in, but without a meaning here.
    Other,
    /// Not built in: an enum, a domain, a composite, a range, an array of those, an extension's type.
    User,
}

macro_rules! built_in {
    ($($oid:literal $array:literal $name:literal $kind:ident,)*) => {
        impl Kind {
            #[inline]
            pub(super) const fn of(oid: Oid) -> Self {
                match oid.0 {
                    $($oid => Self::$kind, $array => Self::Array(Oid($oid)),)*
                    1..FIRST_NORMAL => Self::Other,
                    _ => Self::User,
                }
            }
        }

        /// Name of a built-in type in `pg_type`.
        pub(super) const fn name(oid: Oid) -> Option<&'static str> {
            Some(match oid.0 {
                $($oid => $name, $array => concat!($name, "[]"),)*
                _ => return None,
            })
        }
    };
}

pub(super) const BYTEA: Oid = Oid(17);

/// The only built-in type whose arrays have another delimiter than a comma in their text form.
pub(super) const BOX: Oid = Oid(603);

// transam.h: FirstNormalObjectId
const FIRST_NORMAL: u32 = 16384;

// pg_type.dat of 18: those that a column can have; oid, oid of the array, name.
built_in! {
    16 1000 "bool" Bool,
    17 1001 "bytea" Bytea,
    18 1002 "\"char\"" Char,
    19 1003 "name" Text,
    20 1016 "int8" Int8,
    21 1005 "int2" Int2,
    22 1006 "int2vector" Other,
    23 1007 "int4" Int4,
    24 1008 "regproc" Other,
    25 1009 "text" Text,
    26 1028 "oid" Oid,
    27 1010 "tid" Other,
    28 1011 "xid" Oid,
    29 1012 "cid" Oid,
    30 1013 "oidvector" Other,
    114 199 "json" Text,
    142 143 "xml" Text,
    600 1017 "point" Other,
    601 1018 "lseg" Other,
    602 1019 "path" Other,
    603 1020 "box" Other,
    604 1027 "polygon" Other,
    628 629 "line" Other,
    650 651 "cidr" Cidr,
    700 1021 "float4" Float4,
    701 1022 "float8" Float8,
    718 719 "circle" Other,
    774 775 "macaddr8" MacAddr8,
    790 791 "money" Other,
    829 1040 "macaddr" MacAddr,
    869 1041 "inet" Inet,
    1033 1034 "aclitem" Other,
    1042 1014 "bpchar" Text,
    1043 1015 "varchar" Text,
    1082 1182 "date" Date,
    1083 1183 "time" Time,
    1114 1115 "timestamp" Timestamp,
    1184 1185 "timestamptz" TimestampTz,
    1186 1187 "interval" Interval,
    1266 1270 "timetz" TimeTz,
    1560 1561 "bit" Bit,
    1562 1563 "varbit" Bit,
    1700 1231 "numeric" Numeric,
    1790 2201 "refcursor" Text,
    2202 2207 "regprocedure" Other,
    2203 2208 "regoper" Other,
    2204 2209 "regoperator" Other,
    2205 2210 "regclass" Other,
    2206 2211 "regtype" Other,
    2249 2287 "record" User,
    2950 2951 "uuid" Uuid,
    2970 2949 "txid_snapshot" Other,
    3220 3221 "pg_lsn" Lsn,
    3614 3643 "tsvector" Other,
    3615 3645 "tsquery" Other,
    3734 3735 "regconfig" Other,
    3769 3770 "regdictionary" Other,
    3802 3807 "jsonb" Jsonb,
    3904 3905 "int4range" Range4,
    3906 3907 "numrange" RangeNumeric,
    3908 3909 "tsrange" RangeTimestamp,
    3910 3911 "tstzrange" RangeTimestampTz,
    3912 3913 "daterange" RangeDate,
    3926 3927 "int8range" Range8,
    4072 4073 "jsonpath" Jsonb,
    4089 4090 "regnamespace" Other,
    4096 4097 "regrole" Other,
    4191 4192 "regcollation" Other,
    4451 6150 "int4multirange" Other,
    4532 6151 "nummultirange" Other,
    4533 6152 "tsmultirange" Other,
    4534 6153 "tstzmultirange" Other,
    4535 6155 "datemultirange" Other,
    4536 6157 "int8multirange" Other,
    5038 5039 "pg_snapshot" Other,
    5069 271 "xid8" Unsigned8,
}
