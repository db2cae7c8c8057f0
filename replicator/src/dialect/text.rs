//! What is known of the text of a type, whatever the value.

use crate::table::Column;

/// The modifier of a column's own type; that of a domain's base type is not in the column.
pub(crate) const fn own_typmod(column: &Column) -> i32 {
    if column.type_oid.0 == column.base_oid.0 {
        column.typmod
    } else {
        -1
    }
}

/// The characters of the longest text that a column can hold, where there is a bound.
pub(crate) fn longest(column: &Column) -> Option<usize> {
    let typmod = own_typmod(column);
    let modifier = usize::try_from(typmod).ok();
    // pg_type.dat: these numbers are fixed for good.
    match column.base_oid.0 {
        16 => Some(1),                                                  // boolean
        18 => Some(4),                                                  // "char": \377
        19 => Some(63),                                                 // name
        20 => Some(20),        // bigint: -9223372036854775808
        21 => Some(6),         // smallint: -32768
        23 => Some(11),        // integer: -2147483648
        26 => Some(10),        // oid: 4294967295
        650 | 869 => Some(49), // cidr, inet: 45 and /128
        700 => Some(15),       // real: -1.17549435e-38
        701 => Some(24),       // double precision: -2.2250738585072014e-308
        774 => Some(23),       // macaddr8
        829 => Some(17),       // macaddr
        1082 => Some(13),      // date: 5874897-12-31, 4713-01-01 BC
        1083 => Some(15),      // time: 23:59:59.999999
        1114 => Some(29),      // timestamp: 294276-12-31 23:59:59.999999
        1184 => Some(32),      // timestamptz: the same with +00
        1266 => Some(24),      // timetz: 23:59:59.999999+15:59:59
        1042 | 1043 => modifier.map(|length| length.saturating_sub(4)), // char(n), varchar(n)
        1560 | 1562 => modifier, // bit(n), bit varying(n)
        1700 => numeric_modifier(typmod).map(|(precision, scale)| {
            let (precision, scale) = (usize::from(precision), isize::from(scale));
            // Zeroes behind the digits or in front of them, sign, point, and the zero before it; or NaN.
            (precision.max(scale.unsigned_abs()) + scale.unsigned_abs()) + 3
        }),
        2950 => Some(36), // uuid
        3220 => Some(17), // pg_lsn
        _ => None,
    }
}

/// Whether texts of this base type are ASCII, end in no blank, and differ by more than upper and lower case: whatever
/// the character set and the collation, they come back and are told apart.
#[cfg(any(feature = "mysql", feature = "sqlserver"))]
pub(crate) const fn is_plain(base: walproto::Oid) -> bool {
    matches!(
        base.0,
        16 | 17
            | 20
            | 21
            | 23
            | 26
            | 650
            | 700
            | 701
            | 774
            | 829
            | 869
            | 1082
            | 1083
            | 1114
            | 1184
            | 1186
            | 1266
            | 1560
            | 1562
            | 1700
            | 2950
            | 3220
    )
}

/// Precision and scale of a `numeric` with a modifier.
pub(crate) fn numeric_modifier(typmod: i32) -> Option<(u16, i16)> {
    // numeric.c: make_numeric_typmod; VARHDRSZ is added, and a scale has 11 bits with sign.
    let packed = u32::try_from(typmod).ok()?.checked_sub(4)?;
    let precision = u16::try_from(packed >> 16).ok()?;
    let scale = i16::try_from(packed & 0x7FF).ok()?;
    Some((precision, (scale ^ 1024) - 1024))
}
