//! Connection URLs: `postgres://user:password@host:port,host:port/database?name=value&…`.

use std::fmt;

use super::Pairs;
use crate::error::{Error, Result};

/// For when a part of a URL is not where it should be.
pub(crate) const ENCODE: &str =
    "Characters such as / : @ ? % in user or password are written as %2F %3A %40 %3F %25 in a URL.";

/// What stands behind `postgres://`, each part percent-encoded and optional.
// fe-connect.c: conninfo_uri_parse_options
pub(super) fn read(text: &str) -> Result<Pairs> {
    let mut found = Pairs::default();
    // A ? before the first @ belongs to the password; a / does not.
    let text = match text.split_once('@') {
        Some((login, rest)) if !login.contains('/') => {
            let (user, password) = login.split_once(':').unwrap_or((login, ""));
            found.add_part("user", user)?;
            found.add_part("password", password)?;
            rest
        }
        _ => text,
    };
    let Places {
        hosts,
        ports,
        mut rest,
    } = Places::read(text)?;
    let database = match rest.strip_prefix('/') {
        Some(tail) => {
            let (database, query) = tail.split_at(tail.find('?').unwrap_or(tail.len()));
            rest = query;
            database
        }
        None => "",
    };
    // libpq would take it, and a connection would fail with a part of a password in its error.
    if hosts.contains('@') || ports.contains('@') || database.contains('@') {
        return Err(Error::config("the connection URL has an @ too many").with_hint(ENCODE));
    }
    found.add_part("host", &hosts)?;
    found.add_part("port", &ports)?;
    found.add_part("dbname", database)?;
    query(rest.strip_prefix('?').unwrap_or_default(), &mut found)?;
    Ok(found)
}

/// The middle of a URL, and what follows it from its `/` or `?`.
struct Places<'a> {
    hosts: String,
    ports: String,
    rest: &'a str,
}

impl<'a> Places<'a> {
    fn read(text: &'a str) -> Result<Self> {
        let mut places = Self {
            hosts: String::new(),
            ports: String::new(),
            rest: text,
        };
        loop {
            let host = match places.rest.strip_prefix('[') {
                Some(inner) => {
                    let (address, tail) = inner
                        .split_once(']')
                        .ok_or_else(|| Error::config("the connection URL has a [ without a ]"))?;
                    if address.is_empty() {
                        return Err(Error::config("the connection URL has nothing inside []"));
                    }
                    if !(tail.is_empty() || tail.starts_with([':', '/', '?', ','])) {
                        return Err(Error::config(
                            "the connection URL has something other than a port after ]",
                        ));
                    }
                    places.rest = tail;
                    address
                }
                None => places.until(&[':', '/', '?', ',']),
            };
            places.hosts.push_str(host);
            if let Some(tail) = places.rest.strip_prefix(':') {
                places.rest = tail;
                let port = places.until(&['/', '?', ',']);
                places.ports.push_str(port);
            }
            let Some(tail) = places.rest.strip_prefix(',') else {
                return Ok(places);
            };
            places.rest = tail;
            places.hosts.push(',');
            places.ports.push(',');
        }
    }

    fn until(&mut self, ends: &[char]) -> &'a str {
        let (part, rest) = self
            .rest
            .split_at(self.rest.find(ends).unwrap_or(self.rest.len()));
        self.rest = rest;
        part
    }
}

/// `name=value&name=value`, perhaps with an `&` at the end.
fn query(text: &str, found: &mut Pairs) -> Result<()> {
    if text.is_empty() {
        return Ok(());
    }
    let without_end = text.strip_suffix('&').filter(|text| !text.is_empty());
    let text = without_end.unwrap_or(text);
    for pair in text.split('&') {
        // Untold which: an unencoded ? in a password makes its rest look like a parameter.
        let (name, value) = pair
            .split_once('=')
            .filter(|(_, value)| !value.contains('='))
            .ok_or_else(|| {
                Error::config("something behind the ? of the connection URL is not name=value")
                    .with_hint(ENCODE)
            })?;
        let name = decoded("a parameter's name", name)?;
        let value = decoded(&name, value)?;
        // As JDBC writes it.
        if (&*name, &*value) == ("ssl", "true") {
            found.add("sslmode", "require".into())?;
        } else if text.contains('@') {
            found.add_untold(&name, value)?;
        } else {
            found.add(&name, value)?;
        }
    }
    Ok(())
}

impl Pairs {
    fn add_part(&mut self, name: &'static str, part: &str) -> Result<()> {
        if part.is_empty() {
            return Ok(());
        }
        self.add(name, decoded(name, part)?)
    }
}

// fe-connect.c: conninfo_uri_decode, as libpq 18 has it: blanks around a part do not count.
fn decoded(name: &str, text: &str) -> Result<String> {
    let wrong = |what: &str| {
        Error::config(format!(
            "{what} in {} of the connection URL",
            name.escape_debug()
        ))
        .with_hint(ENCODE)
    };
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.trim_start_matches(' ').as_bytes();
    while let Some((&byte, tail)) = rest.split_first() {
        if byte == b' ' {
            break;
        }
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
    if rest.iter().any(|byte| *byte != b' ') {
        return Err(wrong("a blank that is not written as %20 is"));
    }
    // A zero byte would end the value in the startup packet and begin a parameter of the writer's choice.
    if bytes.contains(&0) {
        return Err(wrong("a zero byte is"));
    }
    String::from_utf8(bytes).map_err(|_| wrong("something that is not UTF-8 is"))
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
