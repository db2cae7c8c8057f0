//! Text whose letters and digits are replaced by others: the same length, the same punctuation.

#[cfg(test)]
mod tests;

use std::str;

use super::cipher::{Cipher, Symbol};

const WORD: u64 = 1;
const NUMBER: u64 = 2;
const HEX: u64 = 3;

/// How often a permutation is applied until what comes out is of the kind that went in; never met.
const TRIES: usize = 100_000;

/// What may stand at one place of a text.
enum Place {
    /// This only.
    Fixed(char),
    /// One of these.
    Set(Set),
}

#[derive(Clone, Copy)]
enum Set {
    Digit,
    Lower,
    Upper,
    /// Of these 64 characters, which have all but the last byte in common, those that are of one kind.
    Block(u32, Kind),
    /// Bytes that are not UTF-8.
    High,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    Lower,
    Upper,
    Letter,
    Number,
}

impl Kind {
    fn of(character: char) -> Option<Self> {
        if character.is_lowercase() {
            Some(Self::Lower)
        } else if character.is_uppercase() {
            Some(Self::Upper)
        } else if character.is_alphabetic() {
            Some(Self::Letter)
        } else if character.is_numeric() {
            Some(Self::Number)
        } else {
            None
        }
    }
}

impl Set {
    fn of(character: char) -> Option<Self> {
        Some(match character {
            '0'..='9' => Self::Digit,
            'a'..='z' => Self::Lower,
            'A'..='Z' => Self::Upper,
            _ if character.is_ascii() => return None,
            _ => Self::Block(u32::from(character) & !63, Kind::of(character)?),
        })
    }

    fn members(block: u32, kind: Kind) -> impl Iterator<Item = char> {
        (block..block + 64)
            .filter_map(char::from_u32)
            .filter(move |character| Kind::of(*character) == Some(kind))
    }

    fn symbol(self, code: u32) -> Symbol {
        let (value, radix) = match self {
            Self::Digit => (code - u32::from('0'), 10),
            Self::Lower => (code - u32::from('a'), 26),
            Self::Upper => (code - u32::from('A'), 26),
            Self::High => (code - 128, 128),
            Self::Block(block, kind) => {
                let of = || Self::members(block, kind);
                let value = of().position(|member| u32::from(member) == code);
                (index(value.unwrap_or_default()), index(of().count()))
            }
        };
        Symbol { value, radix }
    }

    fn code(self, value: u32) -> u32 {
        match self {
            Self::Digit => u32::from('0') + value,
            Self::Lower => u32::from('a') + value,
            Self::Upper => u32::from('A') + value,
            Self::High => 128 + value,
            Self::Block(block, kind) => {
                let at = usize::try_from(value).unwrap_or_default();
                Self::members(block, kind).nth(at).map_or(block, u32::from)
            }
        }
    }
}

fn index(value: usize) -> u32 {
    u32::try_from(value).unwrap_or_default()
}

/// Any text: digits become digits, letters become letters of the same case and script, the rest stays.
pub(super) fn words(cipher: &Cipher, text: &[u8]) -> Vec<u8> {
    let Ok(text) = str::from_utf8(text) else {
        return bytes(cipher, text);
    };
    let places: Vec<Place> = text
        .chars()
        .map(|character| Set::of(character).map_or(Place::Fixed(character), Place::Set))
        .collect();
    let mut symbols: Vec<Symbol> = text
        .chars()
        .filter_map(|character| Some(Set::of(character)?.symbol(character.into())))
        .collect();
    cipher.mix(WORD, &mut symbols);
    let mut symbols = symbols.into_iter();
    let mut out = String::with_capacity(text.len());
    for place in places {
        out.push(match place {
            Place::Fixed(character) => character,
            Place::Set(set) => symbols
                .next()
                .and_then(|symbol| char::from_u32(set.code(symbol.value)))
                .unwrap_or('?'),
        });
    }
    out.into_bytes()
}

/// Text in an encoding that is not known: what is not ASCII stays so.
fn bytes(cipher: &Cipher, text: &[u8]) -> Vec<u8> {
    let set = |byte: u8| match byte {
        128.. => Some(Set::High),
        byte => Set::of(char::from(byte)),
    };
    let mut out = text.to_vec();
    for _ in 0..TRIES {
        let mut symbols: Vec<Symbol> = out
            .iter()
            .filter_map(|byte| Some(set(*byte)?.symbol(u32::from(*byte))))
            .collect();
        cipher.mix(WORD, &mut symbols);
        let mut symbols = symbols.into_iter();
        for byte in &mut out {
            if let Some(set) = set(*byte) {
                let value = symbols.next().map_or(0, |symbol| symbol.value);
                *byte = u8::try_from(set.code(value)).unwrap_or_default();
            }
        }
        if str::from_utf8(&out).is_err() {
            break;
        }
    }
    out
}

/// One number in decimal, with sign, point and exponent as they were, and as many digits.
///
/// What was zero stays zero, and what fitted into 16, 32 or 64 bits (or was finite as a float) does so still.
pub(super) fn number(cipher: &Cipher, text: &str) -> String {
    let class = class(text);
    let mut out = text.to_owned();
    for _ in 0..TRIES {
        out = digits(cipher, &out);
        if self::class(&out) == class {
            return out;
        }
    }
    text.to_owned()
}

/// What must not change about a number.
#[derive(PartialEq)]
struct Class {
    zero: bool,
    /// How many of the bounds an integer is above.
    size: usize,
    single: bool,
    double: bool,
}

fn class(text: &str) -> Class {
    let mantissa = text.split(['e', 'E']).next().unwrap_or_default();
    let zero = !mantissa.bytes().any(|byte| matches!(byte, b'1'..=b'9'));
    let (negative, magnitude) = match text.strip_prefix('-') {
        Some(magnitude) => (1, magnitude),
        None => (0, text),
    };
    let bounds = [
        i16::MAX as u128 + negative,
        u16::MAX as u128,
        i32::MAX as u128 + negative,
        u32::MAX as u128,
        i64::MAX as u128 + negative,
        u64::MAX as u128,
    ];
    let size = match magnitude.parse::<u128>() {
        Ok(magnitude) => bounds.iter().filter(|bound| magnitude > **bound).count(),
        Err(_) => 0,
    };
    let float = text.len() > mantissa.len();
    Class {
        zero,
        size,
        single: float
            && text
                .parse()
                .is_ok_and(|it: f32| it.is_finite() && it != 0.0),
        double: float
            && text
                .parse()
                .is_ok_and(|it: f64| it.is_finite() && it != 0.0),
    }
}

fn digits(cipher: &Cipher, text: &str) -> String {
    let end = text.find(['e', 'E']).unwrap_or(text.len());
    let (mantissa, exponent) = text.split_at(end);
    let whole = mantissa.split('.').next().unwrap_or_default().len();
    // The first digit that is not zero before the point, if there is one.
    let first = mantissa
        .bytes()
        .take(whole)
        .position(|byte| matches!(byte, b'1'..=b'9'));
    let place = |(at, byte): (usize, u8)| {
        let digit = char::from(byte).to_digit(10)?;
        match first {
            Some(first) if at < first => None,
            Some(first) if at == first => Some((digit.saturating_sub(1), 9, 1)),
            None if at < whole => None,
            _ => Some((digit, 10, 0)),
        }
    };
    let mut symbols: Vec<Symbol> = mantissa
        .bytes()
        .enumerate()
        .filter_map(place)
        .map(|(value, radix, _)| Symbol { value, radix })
        .collect();
    cipher.mix(NUMBER, &mut symbols);
    let mut symbols = symbols.into_iter();
    let mut out = String::with_capacity(text.len());
    for (at, byte) in mantissa.bytes().enumerate() {
        out.push(match place((at, byte)) {
            Some((_, _, lowest)) => symbols
                .next()
                .and_then(|symbol| char::from_digit(symbol.value + lowest, 10))
                .unwrap_or('0'),
            None => char::from(byte),
        });
    }
    out + exponent
}

/// Every number in a text; everything else stays.
pub(super) fn numbers(cipher: &Cipher, text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(start) = rest.find(|it: char| it.is_ascii_digit()) {
        let (before, from) = rest.split_at(start);
        out += before;
        let len = numeral(from);
        let (token, after) = from.split_at(len);
        out += &number(cipher, token);
        rest = after;
    }
    out + rest
}

/// An amount: all digits are those of one number, whatever stands between them.
pub(super) fn money(cipher: &Cipher, text: &str) -> String {
    let digit = |character: &char| character.is_ascii_digit();
    let sign = if text.contains(['-', '(']) { "-" } else { "" };
    let digits: String = text.chars().filter(digit).collect();
    let replaced = number(cipher, &format!("{sign}{digits}"));
    let mut replaced = replaced.chars().filter(digit);
    let digit = |character| {
        if digit(&character) {
            replaced.next().unwrap_or('0')
        } else {
            character
        }
    };
    text.chars().map(digit).collect()
}

/// The length of the number at the beginning: digits, a point with digits behind it, an exponent.
fn numeral(text: &str) -> usize {
    let bytes = text.as_bytes();
    let run = |from: usize| {
        let digits = bytes.get(from..).unwrap_or_default();
        digits
            .iter()
            .take_while(|byte| byte.is_ascii_digit())
            .count()
    };
    let mut len = run(0);
    if bytes.get(len) == Some(&b'.') && run(len + 1) > 0 {
        len += 1 + run(len + 1);
    }
    if matches!(bytes.get(len), Some(b'e' | b'E')) {
        let sign = usize::from(matches!(bytes.get(len + 1), Some(b'+' | b'-')));
        let digits = run(len + 1 + sign);
        if digits > 0 {
            len += 1 + sign + digits;
        }
    }
    len
}

/// Hexadecimal digits, each of which may become any other; the rest stays.
pub(super) fn hexadecimal(cipher: &Cipher, text: &str, radix: u32) -> String {
    let mut symbols: Vec<Symbol> = text
        .chars()
        .filter_map(|digit| digit.to_digit(radix))
        .map(|value| Symbol { value, radix })
        .collect();
    cipher.mix(HEX + u64::from(radix) * 256, &mut symbols);
    let mut symbols = symbols.into_iter();
    text.chars()
        .map(|character| {
            if !character.is_digit(radix) {
                return character;
            }
            let value = symbols.next().map_or(0, |symbol| symbol.value);
            let digit = char::from_digit(value, radix).unwrap_or('0');
            if character.is_ascii_uppercase() && text.chars().all(|it| !it.is_ascii_lowercase()) {
                digit.to_ascii_uppercase()
            } else {
                digit
            }
        })
        .collect()
}

/// JSON: strings, names of members included, and numbers are replaced.
pub(super) fn json(cipher: &Cipher, text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(first) = rest.chars().next() {
        let len = match first {
            '"' => {
                let len = quoted(rest);
                let (string, _) = rest.split_at(len);
                out += &json_string(cipher, string);
                len
            }
            '0'..='9' => {
                let len = numeral(rest);
                out += &number(cipher, &rest[..len]);
                len
            }
            // Signs, and the words true, false and null.
            other => {
                out.push(other);
                other.len_utf8()
            }
        };
        rest = &rest[len..];
    }
    out
}

/// The length of the quoted string at the beginning, in which a backslash takes what follows it along.
fn quoted(text: &str) -> usize {
    let mut characters = text.char_indices().skip(1);
    while let Some((at, character)) = characters.next() {
        match character {
            '\\' => drop(characters.next()),
            '"' => return at + 1,
            _ => {}
        }
    }
    text.len()
}

/// Escapes stay as they are; what is between them is one text.
fn json_string(cipher: &Cipher, string: &str) -> String {
    let mut plain = String::with_capacity(string.len());
    let mut escapes = Vec::new();
    let mut rest = string;
    while let Some(at) = rest.find('\\') {
        let (before, from) = rest.split_at(at);
        plain += before;
        let len = if from.as_bytes().get(1) == Some(&b'u') {
            6
        } else {
            2
        };
        let (escape, after) = from.split_at_checked(len).unwrap_or((from, ""));
        escapes.push(escape);
        // A character that is never replaced, and never stands in JSON.
        plain.push('\0');
        rest = after;
    }
    plain += rest;
    let replaced = String::from_utf8(words(cipher, plain.as_bytes())).unwrap_or_default();
    let mut escapes = escapes.into_iter();
    let mut out = String::with_capacity(string.len());
    for character in replaced.chars() {
        match character {
            '\0' => out += escapes.next().unwrap_or_default(),
            character => out.push(character),
        }
    }
    out
}

/// Markup: each word by itself, so that what opens is closed by the same name; declarations and entities stay.
pub(super) fn xml(cipher: &Cipher, text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(first) = rest.chars().next() {
        let until = |end: &str| rest.find(end).map_or(rest.len(), |at| at + end.len());
        let len = if rest.starts_with("<?") {
            until("?>")
        } else if rest.starts_with("<!") {
            // Comments and character data are as good as text.
            2
        } else if first == '&' {
            until(";")
        } else if first.is_alphanumeric() {
            let len = rest
                .find(|it: char| !it.is_alphanumeric())
                .unwrap_or(rest.len());
            let word = words(cipher, &rest.as_bytes()[..len]);
            out += &String::from_utf8_lossy(&word);
            rest = &rest[len..];
            continue;
        } else {
            first.len_utf8()
        };
        out += &rest[..len];
        rest = &rest[len..];
    }
    out
}

/// Each word in single quotes by itself; a quote within stands there twice.
pub(super) fn lexemes(cipher: &Cipher, text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for (at, part) in text.split('\'').enumerate() {
        if at > 0 {
            out.push('\'');
        }
        if at % 2 == 1 {
            out += &String::from_utf8_lossy(&words(cipher, part.as_bytes()));
        } else {
            out += part;
        }
    }
    out
}

/// What is between the punctuation of arrays, composites and ranges, each by itself; NULL stays.
pub(super) fn elements(text: &str, mut element: impl FnMut(&str) -> String) -> String {
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    // The bounds of an array: [0:2]={…}
    if let Some((bounds, values)) = rest.split_once('=')
        && bounds.starts_with('[')
        && bounds
            .bytes()
            .all(|byte| matches!(byte, b'[' | b']' | b':' | b'-' | b'0'..=b'9'))
    {
        out += bounds;
        out.push('=');
        rest = values;
    }
    const PUNCTUATION: [char; 7] = ['{', '}', '(', ')', '[', ']', ','];
    while let Some(first) = rest.chars().next() {
        let len = if first == '"' {
            let len = quoted(rest);
            let inner = rest[..len]
                .strip_prefix('"')
                .and_then(|it| it.strip_suffix('"'));
            match inner {
                Some(inner) => {
                    out.push('"');
                    out += &element(inner);
                    out.push('"');
                }
                None => out += &element(&rest[..len]),
            }
            len
        } else if PUNCTUATION.contains(&first) {
            out.push(first);
            first.len_utf8()
        } else {
            let mut end = 0;
            let mut escaped = false;
            for (at, character) in rest.char_indices() {
                if !escaped && (character == '"' || PUNCTUATION.contains(&character)) {
                    break;
                }
                escaped = !escaped && character == '\\';
                end = at + character.len_utf8();
            }
            match &rest[..end] {
                null if null.eq_ignore_ascii_case("null") => out += null,
                value => out += &element(value),
            }
            end
        };
        rest = &rest[len..];
    }
    out
}
