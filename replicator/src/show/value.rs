//! Values and names in a line: quoted, on one line, and harmless to a terminal.

use std::io::Write;

use walproto::Oid;

use super::binary::oid;

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

/// Whether the type's text form needs no quotes to be told from `null`.
pub(super) fn is_bare(type_oid: Oid) -> bool {
    matches!(
        type_oid.0,
        oid::BOOL
            | oid::INT8
            | oid::INT2
            | oid::INT4
            | oid::OID
            | oid::FLOAT4
            | oid::FLOAT8
            | oid::NUMERIC
    )
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
