//! Values in binary form, in the words that the server would have sent as text.

use std::fmt::{Display, LowerExp};

use walproto::value::{
    BitString, Bytea, Cidr, Date, FromColumn, Inet, Interval, LocalTimestamp, MacAddr, MacAddr8,
    Numeric, Time, TimeTz, Uuid,
};
use walproto::{Oid, Timestamp};

use super::value::put;

/// Types by their numbers in `pg_type.dat`.
pub(crate) mod oid {
    #![allow(missing_docs, reason = "named as there")]
    pub(crate) const BOOL: u32 = 16;
    pub(crate) const BYTEA: u32 = 17;
    pub(crate) const CHAR: u32 = 18;
    pub(crate) const NAME: u32 = 19;
    pub(crate) const INT8: u32 = 20;
    pub(crate) const INT2: u32 = 21;
    pub(crate) const INT4: u32 = 23;
    pub(crate) const TEXT: u32 = 25;
    pub(crate) const OID: u32 = 26;
    pub(crate) const JSON: u32 = 114;
    pub(crate) const XML: u32 = 142;
    pub(crate) const CIDR: u32 = 650;
    pub(crate) const FLOAT4: u32 = 700;
    pub(crate) const FLOAT8: u32 = 701;
    pub(crate) const MACADDR8: u32 = 774;
    pub(crate) const MACADDR: u32 = 829;
    pub(crate) const INET: u32 = 869;
    pub(crate) const BPCHAR: u32 = 1042;
    pub(crate) const VARCHAR: u32 = 1043;
    pub(crate) const DATE: u32 = 1082;
    pub(crate) const TIME: u32 = 1083;
    pub(crate) const TIMESTAMP: u32 = 1114;
    pub(crate) const TIMESTAMPTZ: u32 = 1184;
    pub(crate) const INTERVAL: u32 = 1186;
    pub(crate) const TIMETZ: u32 = 1266;
    pub(crate) const BIT: u32 = 1560;
    pub(crate) const VARBIT: u32 = 1562;
    pub(crate) const NUMERIC: u32 = 1700;
    pub(crate) const UUID: u32 = 2950;
    pub(crate) const JSONB: u32 = 3802;
}

/// Puts the text form of a value in binary form, as the type's output function has it; `false`, and nothing is put,
/// where that is not known here or the bytes are not of the type.
pub(super) fn text_of(out: &mut Vec<u8>, type_oid: Oid, bytes: &[u8]) -> bool {
    match type_oid.0 {
        oid::BOOL => match bytes {
            [0] => out.push(b'f'),
            [1] => out.push(b't'),
            _ => return false,
        },
        oid::NAME | oid::TEXT | oid::BPCHAR | oid::VARCHAR | oid::JSON | oid::XML => {
            out.extend_from_slice(bytes);
        }
        oid::CHAR => match bytes {
            [byte @ 1..128] => out.push(*byte),
            _ => return false,
        },
        oid::JSONB => match bytes {
            // The version of the form.
            [1, text @ ..] => out.extend_from_slice(text),
            _ => return false,
        },
        oid::FLOAT4 => match f32::from_binary(bytes) {
            Ok(value) => float(out, value, f64::from(value), 6),
            Err(_) => return false,
        },
        oid::FLOAT8 => match f64::from_binary(bytes) {
            Ok(value) => float(out, value, value, 15),
            Err(_) => return false,
        },
        oid::INT2 => return show::<i16>(out, bytes),
        oid::INT4 => return show::<i32>(out, bytes),
        oid::INT8 => return show::<i64>(out, bytes),
        oid::OID => return show::<Oid>(out, bytes),
        oid::BYTEA => return show::<Bytea<'_>>(out, bytes),
        oid::CIDR => return show::<Cidr>(out, bytes),
        oid::INET => return show::<Inet>(out, bytes),
        oid::MACADDR => return show::<MacAddr>(out, bytes),
        oid::MACADDR8 => return show::<MacAddr8>(out, bytes),
        oid::DATE => return show::<Date>(out, bytes),
        oid::TIME => return show::<Time>(out, bytes),
        oid::TIMETZ => return show::<TimeTz>(out, bytes),
        oid::TIMESTAMP => return show::<LocalTimestamp>(out, bytes),
        oid::TIMESTAMPTZ => return show::<Timestamp>(out, bytes),
        oid::INTERVAL => return show::<Interval>(out, bytes),
        oid::BIT | oid::VARBIT => return show::<BitString<'_>>(out, bytes),
        oid::NUMERIC => return show::<Numeric<'_>>(out, bytes),
        oid::UUID => return show::<Uuid>(out, bytes),
        _ => return false,
    }
    true
}

/// A value that prints as the server does.
fn show<'a, T: FromColumn<'a> + Display>(out: &mut Vec<u8>, bytes: &'a [u8]) -> bool {
    match T::from_binary(bytes) {
        Ok(value) => {
            put(out, format_args!("{value}"));
            true
        }
        Err(_) => false,
    }
}

/// The fewest digits that mean this value, with an exponent below 0.0001 and from `digits` digits before the point on.
// float.c: float4out, float8out; d2s.c: to_chars
fn float(out: &mut Vec<u8>, value: impl LowerExp, wide: f64, digits: i32) {
    if wide.is_nan() {
        return out.extend_from_slice(b"NaN");
    }
    if wide.is_infinite() {
        let text: &[u8] = if wide > 0.0 {
            b"Infinity"
        } else {
            b"-Infinity"
        };
        return out.extend_from_slice(text);
    }
    let text = format!("{value:e}");
    let (mantissa, exponent) = text.split_once('e').unwrap_or((&text, "0"));
    let exponent: i32 = exponent.parse().unwrap_or_default();
    if (-4..digits).contains(&exponent) {
        // Rust never prints an exponent by itself.
        let plain = mantissa.replace('.', "");
        let (sign, plain) = match plain.strip_prefix('-') {
            Some(plain) => ("-", plain),
            None => ("", plain.as_str()),
        };
        out.extend_from_slice(sign.as_bytes());
        match usize::try_from(exponent) {
            Ok(before) => {
                let before = before + 1;
                match plain.split_at_checked(before) {
                    Some((whole, "")) => put(out, format_args!("{whole}")),
                    Some((whole, part)) => put(out, format_args!("{whole}.{part}")),
                    None => put(out, format_args!("{plain:0<before$}")),
                }
            }
            Err(_) => {
                let zeros = usize::try_from(-1 - exponent).unwrap_or_default();
                put(out, format_args!("0.{:0<zeros$}{plain}", ""));
            }
        }
    } else {
        put(out, format_args!("{mantissa}e{exponent:+03}"));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn floats_are_printed_as_the_server_does() {
        // SELECT of each, extra_float_digits above 0.
        for (value, text) in [
            (0.0, "0"),
            (-0.0, "-0"),
            (0.1, "0.1"),
            (-1.5, "-1.5"),
            (100.0, "100"),
            (123.456, "123.456"),
            (0.0001, "0.0001"),
            (0.00001, "1e-05"),
            (123456789012345.0, "123456789012345"),
            (1e14, "100000000000000"),
            (1e15, "1e+15"),
            (-1.25e-7, "-1.25e-07"),
            (f64::MAX, "1.7976931348623157e+308"),
            (5e-324, "5e-324"),
            (f64::NAN, "NaN"),
            (f64::NEG_INFINITY, "-Infinity"),
        ] {
            let mut out = Vec::new();
            assert!(text_of(
                &mut out,
                Oid(oid::FLOAT8),
                &f64::to_be_bytes(value)
            ));
            assert_eq!(String::from_utf8(out).unwrap(), text);
        }
        for (value, text) in [
            (123456.0_f32, "123456"),
            (1e6, "1e+06"),
            (f32::MAX, "3.4028235e+38"),
        ] {
            let mut out = Vec::new();
            assert!(text_of(&mut out, Oid(oid::FLOAT4), &value.to_be_bytes()));
            assert_eq!(String::from_utf8(out).unwrap(), text);
        }
    }

    #[test]
    fn what_is_not_of_the_type_is_left_to_the_caller() {
        for (type_oid, bytes) in [
            (oid::BOOL, &[2][..]),
            (oid::INT4, &[0, 0, 0]),
            (oid::JSONB, &[2, b'1']),
            (oid::FLOAT8, &[0; 4]),
            (oid::UUID, &[0; 15]),
            (600, &[0; 16]),
        ] {
            let mut out = Vec::new();
            assert!(!text_of(&mut out, Oid(type_oid), bytes), "{type_oid}");
            assert!(out.is_empty());
        }
    }
}
