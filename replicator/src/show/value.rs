//! Values and names in a line: quoted, on one line, and harmless to a terminal.

use std::io::Write;

use walproto::Oid;

/// A name as SQL would have it: in double quotes unless it is plain.
pub(super) fn identifier(name: &str) -> String {
    let plain = |(at, byte): (usize, u8)| match byte {
        b'a'..=b'z' | b'_' => true,
        b'0'..=b'9' | b'$' => at > 0,
        _ => false,
    };
    if !name.is_empty() && name.bytes().enumerate().all(plain) {
        return name.to_owned();
    }
    let mut quoted = Vec::new();
    quote(&mut quoted, name.as_bytes(), '"');
    String::from_utf8_lossy(&quoted).into_owned()
}

/// Text in quotes. A quote or a backslash has a backslash before it, and so has what would end the line, move the
/// terminal's cursor or turn the direction of writing; bytes that are not UTF-8 are `\xFF`.
pub(super) fn quote(out: &mut Vec<u8>, text: &[u8], mark: char) {
    let mark = u8::try_from(mark).unwrap_or(b'\'');
    out.push(mark);
    let plain = |byte: &u8| matches!(byte, b' '..=b'~') && *byte != mark && *byte != b'\\';
    let clean = text
        .iter()
        .position(|byte| !plain(byte))
        .unwrap_or(text.len());
    let (clean, rest) = text.split_at(clean);
    out.extend_from_slice(clean);
    for chunk in rest.utf8_chunks() {
        for character in chunk.valid().chars() {
            match character {
                '\n' => out.extend_from_slice(b"\\n"),
                '\r' => out.extend_from_slice(b"\\r"),
                '\t' => out.extend_from_slice(b"\\t"),
                '\\' => out.extend_from_slice(b"\\\\"),
                _ if u32::from(character) == u32::from(mark) => out.extend([b'\\', mark]),
                _ if is_hidden(character) => {
                    put(out, format_args!("{}", character.escape_unicode()))
                }
                _ => out.extend_from_slice(character.encode_utf8(&mut [0; 4]).as_bytes()),
            }
        }
        for byte in chunk.invalid() {
            put(out, format_args!("\\x{byte:02X}"));
        }
    }
    out.push(mark);
}

/// Characters that are not seen but do something.
fn is_hidden(character: char) -> bool {
    character.is_control()
        || matches!(character, '\u{200B}'..='\u{200F}' | '\u{2028}'..='\u{202E}' | '\u{2060}'..='\u{2069}' | '\u{FEFF}')
}

/// `write!` into memory, which cannot fail.
pub(super) fn put(out: &mut Vec<u8>, text: std::fmt::Arguments<'_>) {
    let _ = out.write_fmt(text);
}

pub(super) fn hex(out: &mut Vec<u8>, bytes: &[u8]) {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    out.reserve(bytes.len() * 2);
    for byte in bytes {
        out.push(DIGITS[usize::from(byte >> 4)]);
        out.push(DIGITS[usize::from(byte & 15)]);
    }
}

const BOOL: u32 = 16;
const BYTEA: u32 = 17;
const CHAR: u32 = 18;
const NAME: u32 = 19;
const INT8: u32 = 20;
const INT2: u32 = 21;
const INT4: u32 = 23;
const TEXT: u32 = 25;
const OID: u32 = 26;
const JSON: u32 = 114;
const XML: u32 = 142;
const FLOAT4: u32 = 700;
const FLOAT8: u32 = 701;
const BPCHAR: u32 = 1042;
const VARCHAR: u32 = 1043;
const NUMERIC: u32 = 1700;
const UUID: u32 = 2950;
const JSONB: u32 = 3802;

/// Whether the type's text form needs no quotes to be told from `null`.
pub(super) fn is_bare(type_oid: Oid) -> bool {
    matches!(
        type_oid.0,
        BOOL | INT8 | INT2 | INT4 | OID | FLOAT4 | FLOAT8 | NUMERIC
    )
}

/// Puts the text form of a value in binary form, as the type's output function has it; `false`, and nothing is put,
/// where that is not known here or the bytes are not of the type.
pub(super) fn text_of(out: &mut Vec<u8>, type_oid: Oid, bytes: &[u8]) -> bool {
    match (type_oid.0, bytes) {
        (BOOL, [0]) => out.push(b'f'),
        (BOOL, [1]) => out.push(b't'),
        (INT2, &[a, b]) => put(out, format_args!("{}", i16::from_be_bytes([a, b]))),
        (INT4, &[a, b, c, d]) => put(out, format_args!("{}", i32::from_be_bytes([a, b, c, d]))),
        (OID, &[a, b, c, d]) => put(out, format_args!("{}", u32::from_be_bytes([a, b, c, d]))),
        (INT8, &[a, b, c, d, e, f, g, h]) => put(
            out,
            format_args!("{}", i64::from_be_bytes([a, b, c, d, e, f, g, h])),
        ),
        (NAME | TEXT | BPCHAR | VARCHAR | JSON | XML, text) => out.extend_from_slice(text),
        (CHAR, &[byte @ 1..128]) => out.push(byte),
        (JSONB, [1, text @ ..]) => out.extend_from_slice(text),
        (BYTEA, bytes) => {
            out.extend_from_slice(b"\\x");
            hex(out, bytes);
        }
        (UUID, bytes) if bytes.len() == 16 => {
            for (at, byte) in bytes.iter().enumerate() {
                if matches!(at, 4 | 6 | 8 | 10) {
                    out.push(b'-');
                }
                hex(out, &[*byte]);
            }
        }
        _ => return false,
    }
    true
}

#[cfg(test)]
mod tests {
    use super::*;

    fn quoted(text: &[u8]) -> String {
        let mut out = Vec::new();
        quote(&mut out, text, '\'');
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn names_are_quoted_as_sql_asks() {
        for (name, shown) in [
            ("orders", "orders"),
            ("_a$1", "_a$1"),
            ("Orders", "\"Orders\""),
            ("1a", "\"1a\""),
            ("", "\"\""),
            ("a\"b", "\"a\\\"b\""),
            ("größe", "\"größe\""),
            ("a\nb", "\"a\\nb\""),
        ] {
            assert_eq!(identifier(name), shown);
        }
    }

    #[test]
    fn a_value_stays_on_its_line_and_leaves_the_terminal_alone() {
        for (text, shown) in [
            (&b"plain"[..], "'plain'"),
            (b"", "''"),
            (b"it's \\", r"'it\'s \\'"),
            (b"a\r\n\tb", r"'a\r\n\tb'"),
            (b"\x1b[31m\x7f", r"'\u{1b}[31m\u{7f}'"),
            ("ü\u{202E}\u{85}".as_bytes(), r"'ü\u{202e}\u{85}'"),
            (b"\xff\xc3\xbc\xc3", r"'\xFFü\xC3'"),
        ] {
            assert_eq!(quoted(text), shown);
        }
    }
}
