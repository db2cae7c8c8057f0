//! Values replaced by others of their type.

use std::fmt::Display;
use std::str;

use walproto::Timestamp;
use walproto::value::{Cidr, Date, FromColumn, Inet, Interval, LocalTimestamp, Time, TimeTz};

use super::binary;
use super::cipher::Cipher;
use super::family::Family;
use super::moment::{date, interval, time, timestamp};
use super::text::{elements, hexadecimal, json, lexemes, money, number, numbers, words, xml};

/// A value in text form.
pub(super) fn text(cipher: &Cipher, type_oid: u32, value: &[u8]) -> Vec<u8> {
    match str::from_utf8(value) {
        Ok(value) => of_text(cipher, type_oid, value),
        Err(_) => words(cipher, value),
    }
}

fn of_text(cipher: &Cipher, type_oid: u32, value: &str) -> Vec<u8> {
    let any = |value: &str| words(cipher, value.as_bytes());
    let inner =
        |oid: u32, value: &str| String::from_utf8_lossy(&of_text(cipher, oid, value)).into_owned();
    match Family::of(type_oid) {
        Family::Boolean => value.to_owned(),
        Family::Words => return any(value),
        Family::Json | Family::Jsonb => json(cipher, value),
        Family::Xml => xml(cipher, value),
        Family::Number(_) if value.bytes().any(|byte| byte.is_ascii_digit()) => {
            number(cipher, value)
        }
        // NaN and infinities.
        Family::Number(_) => value.to_owned(),
        Family::Money => money(cipher, value),
        Family::Lexemes => lexemes(cipher, value),
        Family::Numbers => numbers(cipher, value),
        Family::Date => return moment(value, |it: Date| date(cipher, it), any),
        Family::Time => return moment(value, |it: Time| time(cipher, it), any),
        Family::TimeTz => return moment(value, |it| timetz(cipher, it), any),
        Family::Timestamp if type_oid == crate::show::oid::TIMESTAMPTZ => {
            return moment(value, |it| timestamptz(cipher, it), any);
        }
        Family::Timestamp => return moment(value, |it| timestamp(cipher, it), any),
        Family::Interval => return moment(value, |it: Interval| interval(cipher, it), any),
        Family::Uuid | Family::Mac => hexadecimal(cipher, value, 16),
        Family::Network if type_oid == crate::show::oid::CIDR => {
            return moment(value, |it: Cidr| binary::cidr(cipher, it), any);
        }
        Family::Network => return moment(value, |it: Inet| binary::inet(cipher, it), any),
        Family::Bytea => match value.strip_prefix("\\x") {
            Some(digits) => format!("\\x{}", hexadecimal(cipher, digits, 16)),
            None => return any(value),
        },
        Family::Bits => hexadecimal(cipher, value, 2),
        Family::Array(element) => elements(value, |it| inner(element, it)),
        Family::Range(bound) | Family::Multirange(bound) if value != "empty" => {
            elements(value, |it| inner(bound, it))
        }
        Family::Range(_) | Family::Multirange(_) => value.to_owned(),
        // An enum, a domain, a composite, an array or a range of those.
        Family::Other if value.starts_with(['{', '(', '[']) => {
            elements(value, |it| String::from_utf8_lossy(&any(it)).into_owned())
        }
        Family::Other => return any(value),
    }
    .into_bytes()
}

/// Reads, replaces and prints; what cannot be read is treated as any text.
fn moment<'a, T: FromColumn<'a> + Display>(
    text: &'a str,
    replace: impl FnOnce(T) -> T,
    any: impl FnOnce(&str) -> Vec<u8>,
) -> Vec<u8> {
    match T::from_text(text.as_bytes()) {
        Ok(value) => replace(value).to_string().into_bytes(),
        Err(_) => any(text),
    }
}

pub(super) fn timetz(cipher: &Cipher, of_day: TimeTz) -> TimeTz {
    let mut other = of_day;
    other.time = time(cipher, of_day.time);
    other
}

fn timestamptz(cipher: &Cipher, moment: Timestamp) -> Timestamp {
    Timestamp(timestamp(cipher, LocalTimestamp(moment.0)).0)
}
