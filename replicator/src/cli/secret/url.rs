//! The password in a connection URL or string: whether there is one, and another in its place.

use std::fmt::Write;

use crate::destination::url::{decoded, encoded};

/// The parts of a URL that matter here.
struct Parts<'a> {
    scheme: &'a str,
    user: Option<&'a str>,
    password: Option<&'a str>,
    /// Hosts and path.
    place: &'a str,
    query: Vec<&'a str>,
}

fn parts(url: &str) -> Option<Parts<'_>> {
    let (scheme, rest) = url.split_once("://")?;
    let word = |it: char| it.is_ascii_alphanumeric() || "+-.".contains(it);
    if scheme.is_empty() || !scheme.chars().all(word) {
        return None;
    }
    let end = rest.find(['/', '?', '#']).unwrap_or(rest.len());
    let (authority, path) = rest.split_at(end);
    let (user, hosts) = match authority.rsplit_once('@') {
        Some((user, hosts)) => (Some(user), hosts.len()),
        None => (None, authority.len()),
    };
    let (user, password) = match user.map(|user| user.split_once(':').ok_or(user)) {
        Some(Ok((user, password))) => (Some(user), Some(password)),
        Some(Err(user)) => (Some(user), None),
        None => (None, None),
    };
    let place = &rest[end - hosts..];
    let (place, query) = match path.split_once('?') {
        Some((_, query)) => (&place[..place.len() - query.len() - 1], query),
        None => (place, ""),
    };
    Some(Parts {
        scheme,
        user,
        password,
        place,
        query: query.split('&').filter(|pair| !pair.is_empty()).collect(),
    })
}

fn is_password(pair: &str) -> bool {
    let name = pair.split('=').next().unwrap_or_default();
    decoded(name).eq_ignore_ascii_case("password")
}

/// Whether a password stands in it.
pub(in crate::cli) fn has_password(url: &str) -> bool {
    password(url).is_some()
}

/// The password that stands in it, as it is meant.
pub(crate) fn password(url: &str) -> Option<String> {
    match parts(url) {
        Some(parts) => {
            let of_query = parts.query.iter().find(|pair| is_password(pair));
            let of_query = of_query.and_then(|pair| Some(pair.split_once('=')?.1));
            let text = parts.password.or(of_query)?;
            Some(decoded(text)).filter(|text| !text.is_empty())
        }
        // `password = 'it\'s'`
        None => pairs(url).into_iter().rev().find_map(|(name, value)| {
            (name.eq_ignore_ascii_case("password") && !value.is_empty()).then_some(value)
        }),
    }
}

/// The words of `host=a password='b c'`, as far as they can be read.
fn pairs(text: &str) -> Vec<(String, String)> {
    let mut pairs = Vec::new();
    let mut rest = text.trim_start();
    while let Some((name, behind)) = rest.split_once('=') {
        let behind = behind.trim_start();
        let quoted = behind.starts_with('\'');
        let mut value = String::new();
        let mut letters = behind.char_indices().skip(usize::from(quoted));
        let mut end = behind.len();
        while let Some((at, letter)) = letters.next() {
            match letter {
                '\\' => value.extend(letters.next().map(|(_, letter)| letter)),
                '\'' if quoted => {
                    end = at + 1;
                    break;
                }
                letter if !quoted && letter.is_ascii_whitespace() => {
                    end = at;
                    break;
                }
                letter => value.push(letter),
            }
        }
        pairs.push((name.trim().to_owned(), value));
        rest = behind[end..].trim_start();
    }
    pairs
}

/// The same with this password, in place of one that is there.
pub(in crate::cli) fn with_password(url: &str, password: &str) -> Result<String, &'static str> {
    let Some(parts) = parts(url) else {
        let scheme = url.split(':').next().unwrap_or_default();
        if url.contains(':') && ["sqlite", "duckdb", "stdout", "file"].contains(&scheme) {
            return Err("names a file, which takes none");
        }
        // The last one counts.
        let quoted = password.replace('\\', "\\\\").replace('\'', "\\'");
        return Ok(format!("{url} password='{quoted}'"));
    };
    let postgres = ["postgres", "postgresql"].contains(&parts.scheme);
    let mut query: Vec<String> = parts
        .query
        .iter()
        .filter(|pair| !is_password(pair))
        .map(|pair| (*pair).to_owned())
        .collect();
    let mut out = format!("{}://", parts.scheme);
    match parts.user {
        Some(user) if !user.is_empty() => {
            let _ = write!(out, "{user}:{}@", encoded(password));
        }
        // The user is among the parameters, in the environment or whoever we are.
        _ if postgres => query.push(format!("password={}", encoded(password))),
        _ if parts.scheme == "sqlite" => return Err("names a file, which takes none"),
        _ => return Err("names no user"),
    }
    out += parts.place;
    if !query.is_empty() {
        out.push('?');
        out += &query.join("&");
    }
    Ok(out)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_password_is_put_where_it_belongs() {
        for (url, with) in [
            ("postgres://u@h/d", "postgres://u:p%40%20s@h/d"),
            (
                "postgres://u@h1:1,h2/d?a=b",
                "postgres://u:p%40%20s@h1:1,h2/d?a=b",
            ),
            ("postgres://u:old@h", "postgres://u:p%40%20s@h"),
            (
                "postgresql:///d?user=u",
                "postgresql:///d?user=u&password=p%40%20s",
            ),
            (
                "postgres://u@h?password=old&a=b",
                "postgres://u:p%40%20s@h?a=b",
            ),
            ("mysql://u@h/d", "mysql://u:p%40%20s@h/d"),
            ("host=h user=u", "host=h user=u password='p@ s'"),
        ] {
            assert_eq!(with_password(url, "p@ s").as_deref(), Ok(with), "{url}");
            assert_eq!(password(with).as_deref(), Some("p@ s"), "{with}");
        }
        assert_eq!(
            password(&with_password("host=h", "it's \\").unwrap()).unwrap(),
            "it's \\"
        );
        for url in ["sqlite:a.db", "sqlite:///a.db", "mysql://h/d"] {
            assert!(with_password(url, "p").is_err(), "{url}");
        }
    }

    #[test]
    fn a_password_is_seen_where_one_is() {
        for (url, found) in [
            ("postgres://u:p@h/d", Some("p")),
            ("postgres://u:p@q@h/d", Some("p@q")),
            ("postgres://u:@h/d", None),
            ("postgres://u@h/d?x=1&passw%6frd=a%20b", Some("a b")),
            ("postgres://u@h/d", None),
            ("host=h password = 'it\\'s' port=1", Some("it's")),
            ("host=h password=a password=b", Some("b")),
            ("host='password=x' user=u", None),
            ("sqlite:a.db", None),
        ] {
            assert_eq!(password(url).as_deref(), found, "{url}");
        }
    }
}
