//! Connection strings into names and values; what they mean is `config`'s business.

use std::fmt;

use crate::error::{Error, Result};

/// Settings of a session that are ours: they shape the text of values, or end sessions that are merely patient.
///
/// A role or database may set them (`ALTER ROLE … SET`), so each connection says them itself; as parameters of the
/// startup packet they win over both, and over `options`.
pub(crate) const PINNED: [(&str, &str); 14] = [
    ("client_encoding", "UTF8"),
    ("DateStyle", "ISO, MDY"),
    ("IntervalStyle", "postgres"),
    ("bytea_output", "hex"),
    ("extra_float_digits", "3"),
    ("TimeZone", "UTC"),
    ("xmlbinary", "base64"),
    // The text of money.
    ("lc_monetary", "C"),
    // regclass, regtype and the like print a schema unless it is in the path: as PostgreSQL's own subscriber.
    ("search_path", "pg_catalog"),
    // A copy that row security would cut short fails instead.
    ("row_security", "off"),
    ("statement_timeout", "0"),
    ("lock_timeout", "0"),
    ("idle_in_transaction_session_timeout", "0"),
    ("idle_session_timeout", "0"),
];

/// Names and values in the order of the text; the last of a name counts.
pub(crate) fn parse(text: &str) -> Result<Vec<(String, String)>> {
    for scheme in ["postgres://", "postgresql://"] {
        if let Some(rest) = text.strip_prefix(scheme) {
            return url(rest);
        }
    }
    // Anything else with a scheme is meant as a URL.
    if let Some((scheme, _)) = text.split_once("://")
        && scheme
            .bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || byte == b'+')
    {
        return Err(Error::config(format!(
            "a connection URL begins with postgres://, not {scheme}://"
        )));
    }
    pairs(text)
}

/// `user:password@host:port/database?name=value&…`, each part percent-encoded and optional.
fn url(text: &str) -> Result<Vec<(String, String)>> {
    let mut found = Vec::new();
    let mut add = |name: &str, part: &str| -> Result<()> {
        if !part.is_empty() {
            found.push((name.to_owned(), decoded(name, part)?));
        }
        Ok(())
    };
    let (text, query) = text.split_once('?').unwrap_or((text, ""));
    let (authority, database) = text.split_once('/').unwrap_or((text, ""));
    let host = match authority.rsplit_once('@') {
        Some((login, host)) => {
            let (user, password) = login.split_once(':').unwrap_or((login, ""));
            add("user", user)?;
            add("password", password)?;
            host
        }
        None => authority,
    };
    let (host, port) = match host.strip_prefix('[') {
        Some(rest) => {
            let (address, after) = rest
                .split_once(']')
                .ok_or_else(|| Error::config("the connection URL has a [ without a ]"))?;
            match after.strip_prefix(':') {
                Some(port) => (address, port),
                None if after.is_empty() => (address, ""),
                None => {
                    return Err(Error::config(
                        "the connection URL has something other than a port after ]",
                    ));
                }
            }
        }
        None => host.split_once(':').unwrap_or((host, "")),
    };
    if host.contains('[') || port.contains('[') {
        return Err(Error::config(
            "an IPv6 address in a connection URL stands in [] directly after // or @",
        ));
    }
    add("host", host)?;
    add("port", port)?;
    add("dbname", database)?;
    for pair in query.split('&').filter(|pair| !pair.is_empty()) {
        // Untold which: an unencoded ? in a password makes its rest look like a parameter.
        let (name, value) = pair.split_once('=').ok_or_else(|| {
            Error::config("something behind the ? of the connection URL is not name=value")
                .with_hint(ENCODE)
        })?;
        let name = decoded("a parameter's name", name)?;
        let value = decoded(&name, value)?;
        found.push((name, value));
    }
    Ok(found)
}

/// For when a part of a URL is not where it should be.
pub(crate) const ENCODE: &str =
    "Characters such as / : @ ? % in user or password are written as %2F %3A %40 %3F %25 in a URL.";

fn decoded(name: &str, text: &str) -> Result<String> {
    let wrong = |what: &str| {
        Error::config(format!(
            "{what} in {} of the connection URL",
            name.escape_debug()
        ))
    };
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let Some((&byte, tail)) = rest.split_first() {
        rest = tail;
        if byte != b'%' {
            bytes.push(byte);
            continue;
        }
        let digit = |at: usize| tail.get(at).and_then(|byte| char::from(*byte).to_digit(16));
        let (Some(high), Some(low)) = (digit(0), digit(1)) else {
            return Err(wrong("a % that two hexadecimal digits do not follow is"));
        };
        rest = tail.get(2..).unwrap_or_default();
        bytes.push(u8::try_from(high << 4 | low).unwrap_or_default());
    }
    // A zero byte would end the value in the startup packet and begin a parameter of the writer's choice.
    if bytes.contains(&0) {
        return Err(wrong("a zero byte is"));
    }
    String::from_utf8(bytes).map_err(|_| wrong("something that is not UTF-8 is"))
}

/// `name=value name = 'value with blanks, \' and \\'`.
fn pairs(text: &str) -> Result<Vec<(String, String)>> {
    if text.contains('\0') {
        return Err(Error::config("the connection string contains a zero byte"));
    }
    let mut found: Vec<(String, String)> = Vec::new();
    let mut rest = text.trim_start();
    while !rest.is_empty() {
        let (name, tail) = rest.split_once('=').ok_or_else(|| {
            Error::config("the connection string is neither postgres://… nor name=value").with_hint(
                "For example postgres://user@host:5432/database or host=localhost user=postgres dbname=shop.",
            )
        })?;
        let name = name.trim_end();
        if name.is_empty() || name.contains(char::is_whitespace) {
            // Untold what: it may be the rest of a password with a blank.
            let place = match found.last() {
                Some((before, _)) => format!("behind the value of {}", before.escape_debug()),
                None => "at its beginning".to_owned(),
            };
            return Err(Error::config(format!(
                "the connection string has something other than name=value {place}"
            ))
            .with_hint("Values with blanks stand in single quotes."));
        }
        let (value, tail) = value(name, tail.trim_start())?;
        found.push((name.to_owned(), value));
        rest = tail.trim_start();
    }
    Ok(found)
}

fn value<'a>(name: &str, text: &'a str) -> Result<(String, &'a str)> {
    let quoted = text.starts_with('\'');
    let mut value = String::new();
    let mut chars = text.char_indices().skip(usize::from(quoted));
    while let Some((at, c)) = chars.next() {
        match c {
            '\\' => value.extend(chars.next().map(|(_, c)| c)),
            '\'' if quoted => return Ok((value, text.get(at + 1..).unwrap_or_default())),
            c if !quoted && c.is_whitespace() => {
                return Ok((value, text.get(at..).unwrap_or_default()));
            }
            c => value.push(c),
        }
    }
    if quoted {
        return Err(Error::config(format!(
            "the quoted value of {} in the connection string has no end",
            name.escape_debug()
        )));
    }
    Ok((value, ""))
}

/// The first of our settings that these command line options would change.
///
/// As the server reads them: words apart by blanks, `\` before a blank that belongs to the word, `-c name=value` in one
/// word or two, `--name=value`.
pub(crate) fn pinned_option(options: &str) -> Option<&'static str> {
    let mut words = words(options).into_iter();
    while let Some(word) = words.next() {
        let setting = match word.strip_prefix("--") {
            Some(setting) => setting.to_owned(),
            None => match word.strip_prefix("-c") {
                Some("") => words.next()?,
                Some(setting) => setting.to_owned(),
                None => continue,
            },
        };
        let name = setting
            .split('=')
            .next()
            .unwrap_or_default()
            .trim()
            .replace('-', "_");
        let ours = PINNED
            .iter()
            .map(|(name, _)| *name)
            .chain(["wal_sender_timeout", "transaction_timeout"]);
        if let Some(pinned) = ours
            .into_iter()
            .find(|pinned| pinned.eq_ignore_ascii_case(&name))
        {
            return Some(pinned);
        }
    }
    None
}

fn words(text: &str) -> Vec<String> {
    let mut words = Vec::new();
    let mut word = String::new();
    let mut chars = text.chars();
    while let Some(c) = chars.next() {
        match c {
            '\\' => word.extend(chars.next()),
            c if c.is_ascii_whitespace() => {
                if !word.is_empty() {
                    words.push(std::mem::take(&mut word));
                }
            }
            c => word.push(c),
        }
    }
    if !word.is_empty() {
        words.push(word);
    }
    words
}

/// Text as a part of a URL.
pub(crate) struct Encoded<'a>(pub(crate) &'a str);

impl fmt::Display for Encoded<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for byte in self.0.bytes() {
            match byte {
                b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'_' | b'.' | b'~' => {
                    write!(f, "{}", char::from(byte))?
                }
                _ => write!(f, "%{byte:02X}")?,
            }
        }
        Ok(())
    }
}
