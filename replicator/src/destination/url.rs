//! The parameters of a destination's URL.

use std::fmt::Write;

/// A URL without its parameters, and these, decoded.
#[cfg(any(feature = "postgres", feature = "mysql", feature = "sqlserver", test))]
pub(crate) fn split(url: &str) -> (&str, Vec<(String, String)>) {
    let (place, query) = url.split_once('?').unwrap_or((url, ""));
    let pairs = query.split('&').filter(|pair| !pair.is_empty());
    let pair = |pair: &str| {
        let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
        (decoded(name), decoded(value))
    };
    (place, pairs.map(pair).collect())
}

/// As libpq reads it: `%` and two digits are a byte, a plus is a plus. What is no text then cannot be meant.
pub(crate) fn decoded(text: &str) -> String {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let [byte, behind @ ..] = rest {
        rest = behind;
        let digits = (*byte == b'%')
            .then(|| behind.split_at_checked(2))
            .flatten();
        let code = digits.and_then(|(digits, rest)| {
            let digits = std::str::from_utf8(digits).ok()?;
            Some((u8::from_str_radix(digits, 16).ok()?, rest))
        });
        match code {
            Some((code, behind)) => {
                bytes.push(code);
                rest = behind;
            }
            None => bytes.push(*byte),
        }
    }
    String::from_utf8_lossy(&bytes).into_owned()
}

/// A text that means itself anywhere in a URL.
pub(crate) fn encoded(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) {
            out.push(char::from(byte));
        } else {
            let _ = write!(out, "%{byte:02X}");
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parameters_are_decoded() {
        let own = |(name, value): (&str, &str)| (name.to_owned(), value.to_owned());
        for (url, place, pairs) in [
            ("postgres://u:p%40@h/d", "postgres://u:p%40@h/d", vec![]),
            ("x://h?", "x://h", vec![]),
            (
                "x://h?a=1&&b=%2Ftmp%2f+&c&d=%zz%4&e=a=b",
                "x://h",
                vec![
                    ("a", "1"),
                    ("b", "/tmp/+"),
                    ("c", ""),
                    ("d", "%zz%4"),
                    ("e", "a=b"),
                ],
            ),
        ] {
            let pairs: Vec<_> = pairs.into_iter().map(own).collect();
            assert_eq!(split(url), (place, pairs), "{url}");
        }
    }
}
