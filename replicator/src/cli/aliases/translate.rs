//! Values of `pg2any`'s variables in our words.

use std::fmt::Write;

use super::Environment;
use crate::destination::url::encoded;
use crate::names::Part;

/// `true` and `false` as words of ours.
pub(super) fn yes(value: &str, yes: &str, no: &str) -> Result<Option<String>, &'static str> {
    match value {
        "true" => Ok(Some(yes.to_owned())),
        "false" => Ok(Some(no.to_owned())),
        _ => Err("true or false"),
    }
}

/// It asks for streaming with protocols that have none; ours is as far as the protocol can.
pub(super) fn streaming(value: &str) -> Result<Option<String>, &'static str> {
    match value {
        "true" => Ok(None),
        "false" => Ok(Some("off".to_owned())),
        _ => Err("true or false"),
    }
}

/// The source, from one variable or from its parts.
pub(super) fn source(environment: &Environment) -> Option<String> {
    if let Some(text) = environment.get("CDC_SOURCE_CONNECTION_STRING") {
        return Some(without_replication(text));
    }
    let parts = [
        ("host", "CDC_SOURCE_HOST"),
        ("port", "CDC_SOURCE_PORT"),
        ("dbname", "CDC_SOURCE_DB"),
        ("user", "CDC_SOURCE_USER"),
        ("password", "CDC_SOURCE_PASSWORD"),
    ];
    let mut text = String::new();
    for (keyword, variable) in parts {
        if let Some(value) = environment.get(variable) {
            let value = value.replace('\\', "\\\\").replace('\'', "\\'");
            let space = if text.is_empty() { "" } else { " " };
            let _ = write!(text, "{space}{keyword}='{value}'");
        }
    }
    Some(text).filter(|text| !text.is_empty())
}

/// It has to be asked for there; here it goes without saying.
fn without_replication(text: &str) -> String {
    let is = |pair: &&str| {
        pair.split('=')
            .next()
            .is_some_and(|name| name.trim() == "replication")
    };
    if !text.contains("://") {
        let pairs = text.split_ascii_whitespace();
        return if text.contains("replication") && !text.contains('\'') {
            pairs.filter(|pair| !is(pair)).collect::<Vec<_>>().join(" ")
        } else {
            text.to_owned()
        };
    }
    let Some((place, query)) = text.split_once('?') else {
        return text.to_owned();
    };
    let rest: Vec<&str> = query.split('&').filter(|pair| !is(pair)).collect();
    if rest.is_empty() {
        place.to_owned()
    } else {
        format!("{place}?{}", rest.join("&"))
    }
}

/// The destination, from a URL, a path, or its parts.
pub(super) fn destination(environment: &Environment) -> Option<String> {
    let get = |name: &str| environment.get(name).map(String::as_str);
    let kind = get("CDC_DEST_TYPE").unwrap_or("MySQL").to_ascii_lowercase();
    let uri = get("CDC_DEST_URI");
    if let Some(url) = uri.filter(|uri| uri.contains("://") || uri.starts_with("sqlite:")) {
        return Some(url.to_owned());
    }
    if kind == "sqlite" {
        return Some(format!("sqlite:{}", uri.or_else(|| get("CDC_DEST_DB"))?));
    }
    let host = uri.or_else(|| get("CDC_DEST_HOST"))?;
    if kind == "kafka" {
        return Some(format!("kafka://{host}"));
    }
    let mut url = format!("{kind}://");
    if let Some(user) = get("CDC_DEST_USER") {
        url += &encoded(user);
        if let Some(password) = get("CDC_DEST_PASSWORD") {
            url.push(':');
            url += &encoded(password);
        }
        url.push('@');
    }
    url += host;
    if let Some(port) = get("CDC_DEST_PORT") {
        let _ = write!(url, ":{port}");
    }
    if let Some(database) = get("CDC_DEST_DB") {
        url.push('/');
        url += &encoded(database);
    }
    Some(url)
}

/// `a:b,c:d` as `a=b,c=d`. There a schema becomes a database, here a prefix, unless it is the one that we write into.
pub(super) fn mappings(value: &str, destination: Option<&str>) -> Result<String, &'static str> {
    const FORM: &str = "source:destination,…";
    let database = destination.and_then(database);
    let mut pairs = Vec::new();
    for pair in value
        .split(',')
        .map(str::trim)
        .filter(|pair| !pair.is_empty())
    {
        let (from, to) = pair.split_once(':').ok_or(FORM)?;
        let (from, to) = (from.trim(), to.trim());
        if from.is_empty() || to.is_empty() {
            return Err(FORM);
        }
        let to = if database == Some(to) { "public" } else { to };
        pairs.push(format!("{}={}", Part(from), Part(to)));
    }
    Ok(pairs.join(","))
}

/// The database that a URL names.
fn database(url: &str) -> Option<&str> {
    let (_, rest) = url.split_once("://")?;
    let (_, path) = rest.split('?').next()?.split_once('/')?;
    Some(path)
}
