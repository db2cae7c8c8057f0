//! Texts without passwords, whatever else they are: URLs, connection strings, words of a parser or a driver.
//!
//! Nothing here puts a password into a text to begin with. This is the last look, at all that leaves the process.

use std::fmt;
use std::ops::Deref;
use std::sync::{Mutex, PoisonError};

use crate::destination::url::encoded;

pub(crate) const HIDDEN: &str = "***";

/// A URL or connection string, which may hold a password and shows none.
#[derive(Clone, PartialEq, Eq)]
pub(crate) struct Url(pub(crate) String);

impl Deref for Url {
    type Target = str;

    fn deref(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Url {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}", value(&self.0, true))
    }
}

/// Passwords of this process.
static KNOWN: Mutex<Vec<String>> = Mutex::new(Vec::new());

/// Never lets this password out, whatever it stands in.
///
/// One that could be a word, or part of a number, is found only where its place shows what it is: to hide `postgres`
/// everywhere would hide more than the password.
pub(crate) fn learn(password: &str) {
    let letters = password.chars().all(char::is_alphabetic);
    let digits = password.chars().all(|it| it.is_ascii_digit());
    if password.len() < 6 || (letters && password.len() < 16) || (digits && password.len() < 10) {
        return;
    }
    let mut known = KNOWN.lock().unwrap_or_else(PoisonError::into_inner);
    // As it stands in a URL, in a text in quotes, and in itself; longest first.
    let quoted = format!("{password:?}");
    let forms = [
        encoded(password),
        quoted.trim_matches('"').to_owned(),
        password.replace('\\', "\\\\").replace('\'', "\\'"),
        password.to_owned(),
    ];
    for form in forms {
        if !known.contains(&form) {
            known.push(form);
        }
    }
    known.sort_by_key(|it| std::cmp::Reverse(it.len()));
}

/// The text without what is a password or looks like one.
pub(crate) fn redact(text: &str) -> String {
    let mut out = text.to_owned();
    for secret in KNOWN.lock().unwrap_or_else(PoisonError::into_inner).iter() {
        if out.contains(secret.as_str()) {
            out = out.replace(secret.as_str(), HIDDEN);
        }
    }
    if out.contains("://") {
        out = urls(&out);
    }
    if let Some(found) = keywords(&out) {
        out = found;
    }
    out
}

/// The value of an option; one that is `secret` may be a URL with a password in it.
pub(crate) fn value(text: &str, secret: bool) -> String {
    if secret && let Some(password) = crate::cli::password(text) {
        learn(&password);
        let out = redact(text);
        if out.contains(&password) && !out.contains(HIDDEN) {
            return HIDDEN.to_owned();
        }
        return out;
    }
    // A URL without its scheme.
    if secret
        && !text.contains("://")
        && text.split_once(':').is_some_and(|(_, it)| it.contains('@'))
    {
        return HIDDEN.to_owned();
    }
    redact(text)
}

/// `scheme://user:***@…`. A password that is not encoded may hold anything, so the last `@` ends it.
fn urls(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some((before, behind)) = rest.split_once("://") {
        out += before;
        out += "://";
        let end = behind
            .find(|letter: char| letter.is_whitespace())
            .unwrap_or(behind.len());
        let (token, after) = behind.split_at(end);
        rest = after;
        match token.rsplit_once('@') {
            Some((user, place)) if let Some((name, _)) = user.split_once(':') => {
                out += name;
                out.push(':');
                out += HIDDEN;
                out.push('@');
                out += place;
            }
            // Cut off, or its `@` forgotten: what looks like a port and is none.
            None if let Some((name, port)) = port(token) => {
                out += name;
                out.push(':');
                out += HIDDEN;
                rest = &behind[name.len() + 1 + port.len()..];
            }
            _ => {
                // What follows may be another one.
                let head = token.find("://").unwrap_or(token.len());
                out += &token[..head];
                rest = &behind[head..];
            }
        }
    }
    out + rest
}

/// The host, and behind its colon what no port can be.
fn port(token: &str) -> Option<(&str, &str)> {
    let end = token.find(['/', '?', '#']).unwrap_or(token.len());
    let (name, port) = token[..end].split_once(':')?;
    let ports =
        |it: char| it.is_ascii_digit() || [',', ':', ')', '.', ';', '"', '\'', '`'].contains(&it);
    let fits = name.starts_with('[')
        || name.is_empty()
        || port.contains([',', ']'])
        || port.chars().all(ports);
    (!fits && !token[end..].starts_with("//")).then_some((name, port))
}

/// `password=***`, `password='***'`, with and without blanks.
fn keywords(text: &str) -> Option<String> {
    // What begins so is one, also where it is misspelled; but for the name of a file.
    const WORDS: [&str; 2] = ["pass", "pwd"];
    let lower = text.to_ascii_lowercase();
    let mut out = String::new();
    let mut done = 0;
    let next = |from: usize| {
        let found = WORDS
            .iter()
            .filter_map(|word| Some((from + lower[from..].find(word)?, word.len())));
        found.min()
    };
    let mut from = 0;
    while let Some((at, length)) = next(from) {
        from = at + length;
        let more = lower[from..].find(|it: char| !it.is_ascii_lowercase());
        let end = more.map_or(lower.len(), |more| from + more);
        if lower[from..end].starts_with("file") {
            continue;
        }
        from = end;
        let behind = &text[from..];
        let value = behind.trim_start();
        let Some(value) = value.strip_prefix('=').map(str::trim_start) else {
            continue;
        };
        let begin = text.len() - value.len();
        let quote = value.chars().next().filter(|it| ['\'', '"'].contains(it));
        let end = match quote {
            Some(quote) => begin + 1 + closing(&value[1..], quote),
            None => {
                let ends =
                    |it: char| it.is_whitespace() || ['&', '"', '\'', '`', ')'].contains(&it);
                begin + value.find(ends).unwrap_or(value.len())
            }
        };
        let begin = begin + usize::from(quote.is_some());
        out += &text[done..begin];
        if end > begin {
            out += HIDDEN;
        }
        done = end;
        from = end;
    }
    (done > 0).then(|| out + &text[done..])
}

/// Where the quote is that ends a text.
fn closing(text: &str, quote: char) -> usize {
    let mut escaped = false;
    for (at, letter) in text.char_indices() {
        match letter {
            _ if escaped => escaped = false,
            '\\' => escaped = true,
            letter if letter == quote => return at,
            _ => {}
        }
    }
    text.len()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn passwords_are_hidden_by_their_place() {
        for (text, shown) in [
            ("postgres://u:secret@h/d", "postgres://u:***@h/d"),
            (
                "at postgres://u:se@c/r?t@h/d: no",
                "at postgres://u:***@h/d: no",
            ),
            (
                "'mysql://u:a@h' and \"mysql://v:b@i\"",
                "'mysql://u:***@h' and \"mysql://v:***@i\"",
            ),
            ("postgres://u@h:5432/d", "postgres://u@h:5432/d"),
            ("see https://h:80/x a:b@c", "see https://h:80/x a:b@c"),
            (
                "postgres://h/d?password=secret&a=b",
                "postgres://h/d?password=***&a=b",
            ),
            (
                "host=h password = 'it\\'s' port=1",
                "host=h password = '***' port=1",
            ),
            ("host=h PASSWORD=secret", "host=h PASSWORD=***"),
            ("sslpassword=secret", "sslpassword=***"),
            ("passwort=secret passfile=/a", "passwort=*** passfile=/a"),
            ("password=", "password="),
            ("password='", "password='"),
            (
                "password authentication failed",
                "password authentication failed",
            ),
            (
                "--source-password-file=/run/x",
                "--source-password-file=/run/x",
            ),
            ("a://b://u:secret@h", "a://b:***@h"),
            ("'postgres://u:secret'", "'postgres://u:***"),
            ("postgres://u:secret/d", "postgres://u:***/d"),
            ("postgres://h:1,i:2/d", "postgres://h:1,i:2/d"),
            (
                "http://[::1]:80/, http://h:80.",
                "http://[::1]:80/, http://h:80.",
            ),
        ] {
            assert_eq!(redact(text), shown);
        }
    }

    #[test]
    fn a_known_password_is_hidden_anywhere() {
        learn("h4nter tw\"o");
        assert_eq!(
            redact("h4nter tw\"o, h4nter%20tw%22o, \"h4nter tw\\\"o\""),
            "***, ***, \"***\""
        );
        learn("postgres");
        assert_eq!(redact("the role postgres"), "the role postgres");
    }

    #[test]
    fn a_configuration_can_be_shown() {
        let config = crate::Config::new("postgres://u:secret@h/d", "mysql://u:secret@h/d");
        let shown = format!("{config:?}");
        assert!(
            !shown.contains("secret") && shown.contains("mysql://u:***@h/d"),
            "{shown}"
        );
    }

    #[test]
    fn nothing_is_cut_within_a_letter() {
        for text in [
            "://é@é:é",
            "password=é",
            "é://é:é@é",
            "pwd = \"é",
            "PASSWORDÉ=é",
        ] {
            let _ = redact(text);
        }
        assert_eq!(redact("://é:é@é"), "://é:***@é");
    }
}
