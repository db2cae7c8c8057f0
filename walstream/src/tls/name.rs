//! Whether a certificate names the host that was asked for, by libpq's rules.

use std::net::IpAddr;

use super::certificate::{Certificate, SUBJECT_ALT_NAME};
use super::der::{Der, tag};

const DNS_NAME: u8 = 0x82;
const IP_ADDRESS: u8 = 0x87;

/// Whether one of the certificate's names is this host; if not, the names that it has.
///
/// The common name counts only where no alternative name is of the host's kind, name or address.
pub(crate) fn check(certificate: &Certificate<'_>, host: &str) -> Result<(), Vec<String>> {
    let address = host.parse::<IpAddr>().ok();
    let mut names = Vec::new();
    let mut common_name_counts = true;
    for (kind, name) in alternatives(certificate) {
        let (ours, is_it) = match kind {
            // libpq lets an address match a name that is written like it.
            DNS_NAME => (address.is_none(), matches(name, host)),
            IP_ADDRESS => (
                address.is_some(),
                match address {
                    Some(IpAddr::V4(address)) => name == address.octets(),
                    Some(IpAddr::V6(address)) => name == address.octets(),
                    None => false,
                },
            ),
            _ => continue,
        };
        if is_it {
            return Ok(());
        }
        common_name_counts &= !ours;
        names.push(shown(kind, name));
    }
    if common_name_counts && let Some(name) = certificate.common_name() {
        if matches(name, host) {
            return Ok(());
        }
        names.push(shown(DNS_NAME, name));
    }
    Err(names)
}

fn alternatives<'a>(certificate: &Certificate<'a>) -> impl Iterator<Item = (u8, &'a [u8])> {
    let mut names = certificate
        .extension(SUBJECT_ALT_NAME)
        .and_then(|extension| Der::new(extension.value).inside(tag::SEQUENCE));
    std::iter::from_fn(move || names.as_mut()?.value())
}

/// Whether a name, or a pattern whose left-most label is `*`, means this host.
fn matches(name: &[u8], host: &str) -> bool {
    let host = host.as_bytes();
    if name.eq_ignore_ascii_case(host) {
        return !name.contains(&0);
    }
    // The star stands for one label, never for a part of one or for two.
    let Some(suffix) = name.strip_prefix(b"*") else {
        return false;
    };
    if suffix.len() < 2 || !suffix.starts_with(b".") {
        return false;
    }
    let dot = host.iter().position(|byte| *byte == b'.');
    dot.and_then(|dot| host.split_at_checked(dot))
        .is_some_and(|(label, rest)| !label.is_empty() && rest.eq_ignore_ascii_case(suffix))
}

fn shown(kind: u8, name: &[u8]) -> String {
    if kind == IP_ADDRESS {
        if let Ok(octets) = <[u8; 4]>::try_from(name) {
            return IpAddr::from(octets).to_string();
        }
        if let Ok(octets) = <[u8; 16]>::try_from(name) {
            return IpAddr::from(octets).to_string();
        }
    }
    name.escape_ascii().to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_star_stands_for_one_label() {
        for (name, host, expected) in [
            ("db.example", "DB.Example", true),
            ("*.example", "db.example", true),
            ("*.EXAMPLE", "db.example", true),
            ("*.example", "a.db.example", false),
            ("*.example", "example", false),
            ("*.example", ".example", false),
            ("*", "localhost", false),
            ("*.", "localhost.", false),
            ("d*.example", "db.example", false),
            ("db.*", "db.example", false),
            ("*.*.example", "a.b.example", false),
            ("db.example", "db.example.evil", false),
        ] {
            assert_eq!(matches(name.as_bytes(), host), expected, "{name} {host}");
        }
        assert!(!matches(b"db.example\0.evil", "db.example"));
    }
}
