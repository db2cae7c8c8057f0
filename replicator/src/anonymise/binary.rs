//! Values in binary form.

use std::net::IpAddr;
use std::str;

use walproto::value::{
    BitString, Cidr, Date, FromColumn, Inet, Interval, LocalTimestamp, Numeric, Time, TimeTz,
};

use super::cipher::Cipher;
use super::family::{Family, Width};
use super::moment::{date, interval, time, timestamp};
use super::text::{hexadecimal, json, number, words, xml};
use super::value::timetz;

const BYTES: u64 = 21;
const MANTISSA: u64 = 22;
const ADDRESS: u64 = 23;

/// How deep arrays, ranges and composites may lie in each other.
const DEPTH: u8 = 8;

/// A value in binary form; another one of the type, as far as the type is known.
pub(super) fn binary(cipher: &Cipher, type_oid: u32, value: &[u8]) -> Vec<u8> {
    nested(cipher, type_oid, value, DEPTH)
}

fn nested(cipher: &Cipher, type_oid: u32, value: &[u8], depth: u8) -> Vec<u8> {
    known(cipher, type_oid, value, depth).unwrap_or_else(|| guessed(cipher, value, depth))
}

/// `None` where the type is not known, or the bytes are not of it.
fn known(cipher: &Cipher, type_oid: u32, value: &[u8], depth: u8) -> Option<Vec<u8>> {
    let utf8 = || str::from_utf8(value).ok();
    Some(match Family::of(type_oid) {
        Family::Boolean => value.to_vec(),
        Family::Words => words(cipher, value),
        Family::Json => json(cipher, utf8()?).into_bytes(),
        Family::Jsonb => {
            let (version, text) = value.split_first()?;
            let text = json(cipher, str::from_utf8(text).ok()?);
            [&[*version], text.as_bytes()].concat()
        }
        Family::Xml => xml(cipher, utf8()?).into_bytes(),
        Family::Number(Width::Signed) => signed(cipher, value)?,
        Family::Number(Width::Unsigned) => match *value {
            [a, b, c, d] => {
                let text = u32::from_be_bytes([a, b, c, d]).to_string();
                let other: u32 = number(cipher, &text).parse().ok()?;
                other.to_be_bytes().into()
            }
            [a, b, c, d, e, f, g, h] => {
                let text = u64::from_be_bytes([a, b, c, d, e, f, g, h]).to_string();
                let other: u64 = number(cipher, &text).parse().ok()?;
                other.to_be_bytes().into()
            }
            _ => return None,
        },
        Family::Number(Width::Float) => floats(cipher, value, value.len())?,
        Family::Number(Width::Numeric) => numeric(cipher, value)?,
        Family::Money => signed(cipher, value)?,
        Family::Lexemes => lexemes(cipher, value)?,
        Family::Numbers => match (type_oid, value.len()) {
            (27, _) => cipher.bytes(BYTES, value),
            // A path has a byte for closed, and both that and a polygon a count.
            (602, 5..) => [&value[..5], &floats(cipher, &value[5..], 8)?].concat(),
            (604, 4..) => [&value[..4], &floats(cipher, &value[4..], 8)?].concat(),
            _ => floats(cipher, value, 8)?,
        },
        Family::Date => date(cipher, Date::from_binary(value).ok()?)
            .0
            .to_be_bytes()
            .into(),
        Family::Time => time(cipher, Time::from_binary(value).ok()?)
            .0
            .to_be_bytes()
            .into(),
        Family::TimeTz => {
            let other = timetz(cipher, TimeTz::from_binary(value).ok()?);
            // The zone stays.
            [&other.time.0.to_be_bytes()[..], value.get(8..)?].concat()
        }
        Family::Timestamp => {
            let moment = LocalTimestamp::from_binary(value).ok()?;
            timestamp(cipher, moment).0.to_be_bytes().into()
        }
        Family::Interval => {
            let other = interval(cipher, Interval::from_binary(value).ok()?);
            let (micros, days) = (other.micros.to_be_bytes(), other.days.to_be_bytes());
            [&micros[..], &days, &other.months.to_be_bytes()].concat()
        }
        Family::Uuid | Family::Mac => cipher.bytes(BYTES, value),
        Family::Network => network(cipher, type_oid, value)?,
        Family::Bytea => cipher.bytes(BYTES, value),
        Family::Bits => bits(cipher, value)?,
        Family::Array(_) => array(cipher, value, depth)?,
        Family::Range(bound) => {
            let (range, rest) = range(cipher, bound, value, depth)?;
            rest.is_empty().then_some(range)?
        }
        Family::Multirange(bound) => multirange(cipher, bound, value, depth)?,
        Family::Other => return None,
    })
}

/// What an unknown type may be: a composite, an array, an enum or text, an integer; at worst other bytes.
fn guessed(cipher: &Cipher, value: &[u8], depth: u8) -> Vec<u8> {
    if let Some(composite) = composite(cipher, value, depth) {
        return composite;
    }
    if let Some(array) = array(cipher, value, depth) {
        return array;
    }
    if is_text(value) {
        return words(cipher, value);
    }
    signed(cipher, value).unwrap_or_else(|| cipher.bytes(BYTES, value))
}

/// The content of a logical message: text, or bytes that only its reader understands.
pub(super) fn content(cipher: &Cipher, content: &[u8]) -> Vec<u8> {
    if is_text(content) {
        words(cipher, content)
    } else {
        cipher.bytes(BYTES, content)
    }
}

fn is_text(value: &[u8]) -> bool {
    let seen = |it: char| !it.is_control() || it.is_ascii_whitespace();
    str::from_utf8(value).is_ok_and(|text| text.chars().all(seen))
}

fn signed(cipher: &Cipher, value: &[u8]) -> Option<Vec<u8>> {
    let other = |text: String| number(cipher, &text);
    Some(match *value {
        [a, b] => {
            let other: i16 = other(i16::from_be_bytes([a, b]).to_string()).parse().ok()?;
            other.to_be_bytes().into()
        }
        [a, b, c, d] => {
            let other: i32 = other(i32::from_be_bytes([a, b, c, d]).to_string())
                .parse()
                .ok()?;
            other.to_be_bytes().into()
        }
        [a, b, c, d, e, f, g, h] => {
            let number = i64::from_be_bytes([a, b, c, d, e, f, g, h]);
            let other: i64 = other(number.to_string()).parse().ok()?;
            other.to_be_bytes().into()
        }
        _ => return None,
    })
}

/// Other mantissas; sign and exponent stay, and with them zero, NaN and the infinities.
fn floats(cipher: &Cipher, value: &[u8], width: usize) -> Option<Vec<u8>> {
    let mantissa = match width {
        4 => 23,
        8 => 52,
        _ => return None,
    };
    if !value.len().is_multiple_of(width) {
        return None;
    }
    let mut out = Vec::with_capacity(value.len());
    for float in value.chunks(width) {
        let mut wide = [0; 8];
        wide[8 - width..].copy_from_slice(float);
        let bits = u64::from_be_bytes(wide);
        let low = bits & ((1 << mantissa) - 1);
        let exponent = bits >> mantissa & ((1 << (width * 8 - 1 - mantissa)) - 1);
        let special =
            low == 0 && exponent == 0 || exponent == (1 << (width * 8 - 1 - mantissa)) - 1;
        let other = match (special, exponent) {
            (true, _) => low,
            // Below the smallest normal number zero must not be met.
            (false, 0) => 1 + cipher.permute(MANTISSA, low - 1, (1 << mantissa) - 1),
            (false, _) => cipher.permute(MANTISSA, low, 1 << mantissa),
        };
        let bits = (bits - low) | other;
        out.extend_from_slice(&bits.to_be_bytes()[8 - width..]);
    }
    Some(out)
}

/// By way of its text, packed again four digits at a time.
// numeric.c: numeric_recv
fn numeric(cipher: &Cipher, value: &[u8]) -> Option<Vec<u8>> {
    let text = Numeric::from_binary(value).ok()?.to_string();
    let (head, digits) = value.split_at_checked(8)?;
    if digits.is_empty() {
        // Zero, NaN, infinity.
        return Some(value.to_vec());
    }
    let text = number(cipher, &text);
    let (whole, part) = text.split_once('.').unwrap_or((&text, ""));
    let whole = whole.trim_start_matches('-');
    let mut padded = "0".repeat((4 - whole.len() % 4) % 4) + whole;
    let mut weight = i16::try_from(padded.len() / 4).ok()? - 1;
    padded += part;
    padded += &"0".repeat((4 - part.len() % 4) % 4);
    let groups = padded.as_bytes().chunks(4).map(|group| {
        let digits = str::from_utf8(group).ok()?;
        digits.parse::<u16>().ok()
    });
    let mut groups: Vec<u16> = groups.collect::<Option<_>>()?;
    while groups.first() == Some(&0) {
        groups.remove(0);
        weight -= 1;
    }
    while groups.last() == Some(&0) {
        groups.pop();
    }
    let mut out = u16::try_from(groups.len()).ok()?.to_be_bytes().to_vec();
    out.extend(weight.to_be_bytes());
    // Sign and scale.
    out.extend_from_slice(head.get(4..)?);
    out.extend(groups.iter().flat_map(|group| group.to_be_bytes()));
    Some(out)
}

/// Another address of the network's kind; the length of the prefix stays.
pub(super) fn inet(cipher: &Cipher, network: Inet) -> Inet {
    let mut other = network;
    other.address = address(cipher, network.address, None);
    other
}

/// Another network with as long a prefix.
pub(super) fn cidr(cipher: &Cipher, network: Cidr) -> Cidr {
    let mut other = network;
    other.address = address(cipher, network.address, Some(network.prefix));
    other
}

/// With a prefix only the whole bytes within it are replaced: what follows has to be zero.
fn address(cipher: &Cipher, address: IpAddr, prefix: Option<u8>) -> IpAddr {
    let octets = match address {
        IpAddr::V4(address) => address.octets().to_vec(),
        IpAddr::V6(address) => address.octets().to_vec(),
    };
    let whole = prefix
        .map_or(octets.len(), |prefix| usize::from(prefix / 8))
        .min(octets.len());
    let (replaced, kept) = octets.split_at(whole);
    let octets = [&cipher.bytes(ADDRESS, replaced)[..], kept].concat();
    if let Ok(octets) = <[u8; 4]>::try_from(&octets[..]) {
        return octets.into();
    }
    <[u8; 16]>::try_from(&octets[..]).map_or(address, IpAddr::from)
}

// network.c: network_recv
fn network(cipher: &Cipher, type_oid: u32, value: &[u8]) -> Option<Vec<u8>> {
    let (head, _) = value.split_at_checked(4)?;
    let other = if type_oid == crate::show::oid::CIDR {
        cidr(cipher, Cidr::from_binary(value).ok()?).address
    } else {
        inet(cipher, Inet::from_binary(value).ok()?).address
    };
    Some(match other {
        IpAddr::V4(address) => [head, &address.octets()].concat(),
        IpAddr::V6(address) => [head, &address.octets()].concat(),
    })
}

// varbit.c: varbit_recv
fn bits(cipher: &Cipher, value: &[u8]) -> Option<Vec<u8>> {
    let text = BitString::from_binary(value).ok()?.to_string();
    let mut out = value.get(..4)?.to_vec();
    for byte in hexadecimal(cipher, &text, 2).as_bytes().chunks(8) {
        let bits = byte.iter().fold(0, |bits, bit| bits << 1 | (bit & 1));
        out.push(bits << (8 - byte.len()));
    }
    Some(out)
}

/// A cursor over what holds other values.
struct Parts<'a> {
    rest: &'a [u8],
    out: Vec<u8>,
}

impl<'a> Parts<'a> {
    fn new(value: &'a [u8]) -> Self {
        Self {
            rest: value,
            out: Vec::with_capacity(value.len()),
        }
    }

    /// Takes bytes over as they are.
    fn keep<const N: usize>(&mut self) -> Option<[u8; N]> {
        let (head, rest) = self.rest.split_first_chunk()?;
        self.rest = rest;
        self.out.extend_from_slice(head);
        Some(*head)
    }

    fn number(&mut self) -> Option<i32> {
        self.keep().map(i32::from_be_bytes)
    }

    /// A length and a value, replaced; NULL has the length -1.
    fn value(&mut self, cipher: &Cipher, type_oid: u32, depth: u8) -> Option<()> {
        let (len, rest) = self.rest.split_first_chunk()?;
        let len = i32::from_be_bytes(*len);
        if len == -1 {
            return self.number().map(drop);
        }
        let (value, rest) = rest.split_at_checked(usize::try_from(len).ok()?)?;
        self.rest = rest;
        let value = nested(cipher, type_oid, value, depth);
        self.out
            .extend(i32::try_from(value.len()).ok()?.to_be_bytes());
        self.out.extend(value);
        Some(())
    }

    fn finish(self) -> Option<Vec<u8>> {
        self.rest.is_empty().then_some(self.out)
    }
}

/// Words that are closed by a zero byte, and their positions, which stay.
// tsvector.c: tsvectorsend
fn lexemes(cipher: &Cipher, value: &[u8]) -> Option<Vec<u8>> {
    let mut parts = Parts::new(value);
    for _ in 0..parts.number()? {
        let len = parts.rest.iter().position(|byte| *byte == 0)?;
        let (word, rest) = parts.rest.split_at_checked(len)?;
        parts.out.extend(words(cipher, word));
        parts.rest = rest;
        parts.keep::<1>()?;
        for _ in 0..parts.keep().map(u16::from_be_bytes)? {
            parts.keep::<2>()?;
        }
    }
    parts.finish()
}

// arrayfuncs.c: array_send
fn array(cipher: &Cipher, value: &[u8], depth: u8) -> Option<Vec<u8>> {
    let depth = depth.checked_sub(1)?;
    let mut parts = Parts::new(value);
    let dimensions = parts.number()?;
    let has_nulls = parts.number()?;
    if !(0..=6).contains(&dimensions) || !(0..=1).contains(&has_nulls) {
        return None;
    }
    let element = parts.keep().map(u32::from_be_bytes)?;
    for _ in 0..dimensions {
        parts.keep::<8>()?;
    }
    while !parts.rest.is_empty() {
        parts.value(cipher, element, depth)?;
    }
    parts.finish()
}

// rowtypes.c: record_send
fn composite(cipher: &Cipher, value: &[u8], depth: u8) -> Option<Vec<u8>> {
    let depth = depth.checked_sub(1)?;
    let mut parts = Parts::new(value);
    let fields = parts.number()?;
    if !(1..=1664).contains(&fields) {
        return None;
    }
    for _ in 0..fields {
        let type_oid = parts.keep().map(u32::from_be_bytes)?;
        parts.value(cipher, type_oid, depth)?;
    }
    parts.finish()
}

/// The range at the beginning, and what follows it.
// rangetypes.c: range_send
fn range<'a>(
    cipher: &Cipher,
    bound: u32,
    value: &'a [u8],
    depth: u8,
) -> Option<(Vec<u8>, &'a [u8])> {
    const EMPTY: u8 = 1;
    const LOWER_INFINITE: u8 = 8;
    const UPPER_INFINITE: u8 = 16;
    let depth = depth.checked_sub(1)?;
    let mut parts = Parts::new(value);
    let [flags] = parts.keep()?;
    for infinite in [LOWER_INFINITE, UPPER_INFINITE] {
        if flags & (EMPTY | infinite) == 0 {
            parts.value(cipher, bound, depth)?;
        }
    }
    Some((parts.out, parts.rest))
}

// multirangetypes.c: multirange_send
fn multirange(cipher: &Cipher, bound: u32, value: &[u8], depth: u8) -> Option<Vec<u8>> {
    let mut parts = Parts::new(value);
    for _ in 0..parts.number()? {
        let (len, rest) = parts.rest.split_first_chunk()?;
        let len = usize::try_from(i32::from_be_bytes(*len)).ok()?;
        let (inner, rest) = rest.split_at_checked(len)?;
        parts.rest = rest;
        let (inner, left) = range(cipher, bound, inner, depth)?;
        if !left.is_empty() {
            return None;
        }
        parts
            .out
            .extend(i32::try_from(inner.len()).ok()?.to_be_bytes());
        parts.out.extend(inner);
    }
    parts.finish()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn any_bytes_of_any_type_become_some(value: Vec<u8>, builtin in 0_u32..5100, seed: [u8; 12]) {
            let cipher = Cipher::default();
            binary(&cipher, builtin, &value);
            // What looks like an array or a composite.
            for head in [[0, 0, 0, 1], [0, 0, 0, 2]] {
                let value = [&head[..], &seed, &value].concat();
                prop_assert_eq!(guessed(&cipher, &value, DEPTH).len(), value.len());
            }
        }
    }

    #[test]
    fn a_composite_of_an_unknown_type_is_replaced_by_its_fields() {
        let cipher = Cipher::default();
        let value = [
            &[0, 0, 0, 2][..],          // two fields
            &[0, 0, 0, 25, 0, 0, 0, 6], // text
            b"secret",
            &[0, 0, 0, 23, 0xFF, 0xFF, 0xFF, 0xFF], // a NULL
        ]
        .concat();
        let other = binary(&cipher, 99_999, &value);
        assert_eq!(other[..12], value[..12]);
        assert_eq!(other[18..], value[18..]);
        assert!(other[12..18].iter().all(u8::is_ascii_lowercase));
        assert_ne!(other[12..18], value[12..18]);
        assert_eq!(other[12..18], binary(&cipher, 25, b"secret"));
    }

    #[test]
    fn a_float_stays_a_number_of_its_size() {
        let cipher = Cipher::default();
        for value in [0.0, -0.0, f64::NAN, f64::INFINITY, f64::NEG_INFINITY] {
            assert_eq!(
                binary(&cipher, 701, &value.to_be_bytes()),
                value.to_be_bytes()
            );
        }
        for value in [1.5, -1e300, f64::MAX, f64::MIN_POSITIVE, 5e-324] {
            let other = binary(&cipher, 701, &value.to_be_bytes());
            let other = f64::from_be_bytes(other.try_into().unwrap());
            assert!(other.is_finite() && other != 0.0);
            assert_eq!(other.is_sign_negative(), value.is_sign_negative());
        }
    }
}
