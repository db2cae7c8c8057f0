//! From the text of parameters to what they mean.

use std::net::IpAddr;
use std::path::PathBuf;
use std::time::Duration;

use super::environment::Environment;
use super::parameter::Value;
use super::settings::Settings;
use super::{
    AuthMethod, ChannelBinding, Config, Endpoint, LoadBalanceHosts, RootCertificates, SslCertMode,
    SslMode, SslNegotiation, TargetSessionAttrs, TlsVersion,
};
use crate::conninfo::{self, is_blank};
use crate::error::{Error, Result};

impl Config {
    pub(super) fn of(settings: &Settings, environment: &Environment) -> Result<Self> {
        let mut config = Self {
            endpoints: endpoints(settings)?,
            passfile: environment.home().map(|home| home.join(".pgpass")),
            ..Self::unnamed()
        };
        config.tls.home = environment.home().map(|home| home.join(".postgresql"));
        for value in settings.iter() {
            config.set(value)?;
        }
        if settings.find("application_name").is_none()
            && let Some(fallback) = settings.find("fallback_application_name")
        {
            config.application_name.clone_from(&fallback.text);
        }
        if config.user.is_empty() {
            config.user = environment.user().map(str::to_owned).ok_or_else(|| {
                Error::config("the connection string names no user")
                    .with_hint("Put user= or postgres://USER@… into it.")
            })?;
        }
        config.check()?;
        Ok(config)
    }

    fn set(&mut self, value: &Value) -> Result<()> {
        let text = &value.text;
        let given = || Some(text.clone()).filter(|text| !text.is_empty());
        let file = || given().map(PathBuf::from);
        let tls = &mut self.tls;
        match value.name {
            "user" => self.user.clone_from(text),
            "password" => self.password = given(),
            "passfile" => self.passfile = file().or_else(|| self.passfile.take()),
            "dbname" => self.database = given(),
            "application_name" => self.application_name.clone_from(text),
            "options" => self.options = given(),
            "connect_timeout" if text.is_empty() => {}
            "connect_timeout" => self.connect_timeout = duration(value, 1000)?.unwrap_or_default(),
            "keepalives" => self.tcp.keepalives = integer(value)? != 0,
            "keepalives_idle" => self.tcp.idle = duration(value, 1000)?,
            "keepalives_interval" => self.tcp.interval = duration(value, 1000)?,
            "keepalives_count" => {
                self.tcp.count = u32::try_from(integer(value)?)
                    .ok()
                    .filter(|count| *count > 0);
            }
            "tcp_user_timeout" => self.tcp.user_timeout = duration(value, 1)?,
            "sslmode" => tls.mode = one_of(value, &SslMode::NAMES)?,
            "sslnegotiation" => tls.negotiation = one_of(value, &SslNegotiation::NAMES)?,
            "sslcert" => tls.certificate = file(),
            "sslkey" => tls.key = file(),
            "sslpassword" => tls.key_password = given(),
            "sslcertmode" => tls.certificate_mode = one_of(value, &SslCertMode::NAMES)?,
            "sslrootcert" => {
                tls.roots = match &**text {
                    "" => RootCertificates::Default,
                    "system" => RootCertificates::System,
                    file => RootCertificates::File(file.into()),
                }
            }
            "sslcrl" => tls.revoked = file(),
            "sslcrldir" => tls.revoked_folder = file(),
            "sslsni" => tls.server_name = one_of(value, &SWITCH)?,
            "ssl_min_protocol_version" => {
                tls.least = match &*text.to_ascii_lowercase() {
                    // A minimum below what is spoken here is met.
                    "" | "tlsv1" | "tlsv1.1" | "tlsv1.2" => TlsVersion::V1_2,
                    "tlsv1.3" => TlsVersion::V1_3,
                    _ => return Err(value.malformed(TLS_VERSIONS)),
                }
            }
            "ssl_max_protocol_version" => {
                tls.most = match &*text.to_ascii_lowercase() {
                    "" | "tlsv1.3" => TlsVersion::V1_3,
                    "tlsv1.2" => TlsVersion::V1_2,
                    "tlsv1" | "tlsv1.1" => {
                        return Err(value.unsupported(
                            "allows nothing newer than TLS 1.1, which is not spoken here",
                        ));
                    }
                    _ => return Err(value.malformed(TLS_VERSIONS)),
                }
            }
            "channel_binding" => {
                self.authentication.channel_binding = one_of(value, &ChannelBinding::NAMES)?;
            }
            "require_auth" => self.authentication.allowed = methods(value)?,
            "requirepeer" => self.require_peer = given(),
            "target_session_attrs" => self.target = one_of(value, &TargetSessionAttrs::NAMES)?,
            "load_balance_hosts" => self.load_balance = one_of(value, &LoadBalanceHosts::NAMES)?,
            "wal_sender_timeout" => {
                let units = [("ms", 1), ("s", 1000), ("min", 60_000), ("h", 3_600_000)];
                let milliseconds = number(text, &units)
                    .ok_or_else(|| value.malformed("a time such as 15s or 15000"))?;
                self.wal_sender_timeout = Duration::from_millis(milliseconds);
            }
            "max_message_size" => {
                let units = [("B", 1), ("kB", 1 << 10), ("MB", 1 << 20), ("GB", 1 << 30)];
                self.max_message_size = number(text, &units)
                    .and_then(|bytes| usize::try_from(bytes).ok())
                    .ok_or_else(|| value.malformed("a size such as 256MB"))?;
            }
            _ => return without_effect(value),
        }
        Ok(())
    }
}

/// Those that were read elsewhere or ask for what is so anyway, and those that ask for what there is not.
fn without_effect(value: &Value) -> Result<()> {
    let text = &*value.text;
    let unsupported =
        |reason: &str, hint: &'static str| Err(value.unsupported(reason).with_hint(hint));
    match value.name {
        "host" | "hostaddr" | "port" | "service" | "fallback_application_name" => Ok(()),
        // Of a login by Kerberos, which a server that asks for one is told that there is not.
        "krbsrvname" | "gsslib" | "gssdelegation" => Ok(()),
        "gssencmode" => match text {
            "disable" | "prefer" => Ok(()),
            "require" => unsupported(
                "asks for encryption by Kerberos, which there is not",
                "Use TLS: sslmode=verify-full.",
            ),
            _ => Err(value.malformed("disable or prefer")),
        },
        "client_encoding" => match &*text.to_ascii_lowercase().replace(['-', '_'], "") {
            "" | "auto" | "utf8" | "unicode" => Ok(()),
            _ => unsupported(
                "is not UTF8, in which all text is read here",
                "Leave it out: the server converts from the database's encoding.",
            ),
        },
        "sslcompression" => match text {
            "" | "0" => Ok(()),
            _ => unsupported(
                "asks for compression, which TLS no longer has",
                "Set it to 0.",
            ),
        },
        "min_protocol_version" => match text {
            "3.0" => Ok(()),
            "3.2" | "latest" => unsupported(
                "asks for version 3.2 of the protocol, and 3.0 is what is spoken here",
                "Set it to 3.0.",
            ),
            _ => Err(value.malformed("3.0")),
        },
        "max_protocol_version" => match text {
            "3.0" | "3.2" | "latest" => Ok(()),
            _ => Err(value.malformed("3.0, 3.2 or latest")),
        },
        _ if text.is_empty() => Ok(()),
        "replication" => unsupported(
            "does not belong into a connection string here",
            "Leave it out: who connects for replication asks for it.",
        ),
        "scram_client_key" | "scram_server_key" => unsupported(
            "is not supported",
            "Give the password, in the password file perhaps.",
        ),
        "sslkeylogfile" => unsupported(
            "would give away what is encrypted, and is not supported",
            "Leave it out.",
        ),
        _ => unsupported(
            "is about OAuth, which is not supported",
            "Log in with a password or a certificate.",
        ),
    }
}

// fe-connect.c: pqConnectOptions2
fn endpoints(settings: &Settings) -> Result<Vec<Endpoint>> {
    let list = |name| {
        let value = settings.find(name).filter(|value| !value.text.is_empty())?;
        Some((value, value.text.split(',').collect::<Vec<_>>()))
    };
    let (hosts, addresses, ports) = (list("host"), list("hostaddr"), list("port"));
    let count = match (&addresses, &hosts) {
        (Some((_, addresses)), Some((_, hosts))) if addresses.len() != hosts.len() => {
            let (hosts, addresses) = (hosts.len(), addresses.len());
            return Err(Error::config(format!(
                "host and hostaddr do not match: {hosts} and {addresses} in number"
            ))
            .with_hint("Give each host its address, or an empty one: hostaddr=192.0.2.1,"));
        }
        (Some((_, list)), _) | (None, Some((_, list))) => list.len(),
        (None, None) => 1,
    };
    if let Some((_, ports)) = &ports
        && ports.len() != 1
        && ports.len() != count
    {
        return Err(Error::config(format!(
            "host and port do not match: {count} and {} in number",
            ports.len()
        ))
        .with_hint("Give one port for all hosts, or each its own."));
    }
    (0..count)
        .map(|at| {
            // One port is for all.
            let port = match &ports {
                None => 5432,
                Some((value, ports)) => port(value, ports.get(at).or_else(|| ports.first()))?,
            };
            let host = part(&hosts, at);
            let address = part(&addresses, at);
            let endpoint = Endpoint::new(if host.is_empty() { address } else { host }, port);
            if address.is_empty() {
                return Ok(endpoint);
            }
            let address: IpAddr = address.parse().map_err(|_| {
                let (value, _) = addresses.as_ref().expect("an address is part of the list");
                value.untold("an IP address, or several with commas between them")
            })?;
            Ok(endpoint.with_address(address))
        })
        .collect()
}

fn part<'a>(list: &Option<(&Value, Vec<&'a str>)>, at: usize) -> &'a str {
    let part = list.as_ref().and_then(|(_, parts)| parts.get(at));
    part.copied().unwrap_or_default()
}

fn port(value: &Value, text: Option<&&str>) -> Result<u16> {
    let text = text.copied().unwrap_or_default();
    if text.is_empty() {
        return Ok(5432);
    }
    match text.trim_matches(is_blank).parse() {
        Ok(port) if port > 0 => Ok(port),
        _ => Err(value
            .untold("a number from 1 to 65535, or several with commas between them")
            .with_hint(conninfo::ENCODE)),
    }
}

/// Which methods are allowed, `None` for all: a list of those that are, or of those that are not, each with a `!`.
fn methods(value: &Value) -> Result<Option<[bool; AuthMethod::ALL.len()]>> {
    if value.text.is_empty() {
        return Ok(None);
    }
    let negated = value.text.starts_with('!');
    let mut listed = [false; AuthMethod::ALL.len()];
    for part in value.text.split(',') {
        let (name, not) = match part.strip_prefix('!') {
            Some(name) => (name, true),
            None => (part, false),
        };
        if not != negated {
            return Err(value.unsupported("mixes methods with and without a !"));
        }
        let Some((_, listed)) = AuthMethod::ALL
            .iter()
            .zip(&mut listed)
            .find(|(method, _)| method.name() == name)
        else {
            let names = AuthMethod::ALL.map(AuthMethod::name);
            return Err(value.malformed(&format!("a list out of {}", choices(&names))));
        };
        if std::mem::replace(listed, true) {
            return Err(value.unsupported(&format!("lists {name} twice")));
        }
    }
    Ok(Some(listed.map(|listed| listed != negated)))
}

const TLS_VERSIONS: &str = "TLSv1, TLSv1.1, TLSv1.2 or TLSv1.3";

const SWITCH: [(&str, bool); 2] = [("0", false), ("1", true)];

fn one_of<T: Copy>(value: &Value, names: &[(&str, T)]) -> Result<T> {
    match names.iter().find(|(name, _)| *name == value.text) {
        Some((_, meaning)) => Ok(*meaning),
        None => {
            let names: Vec<_> = names.iter().map(|(name, _)| *name).collect();
            Err(value.malformed(&choices(&names)))
        }
    }
}

/// `a, b or c`.
fn choices(names: &[&str]) -> String {
    match names {
        [first @ .., last] if !first.is_empty() => format!("{} or {last}", first.join(", ")),
        _ => names.concat(),
    }
}

// fe-connect.c: pqParseIntParam
fn integer(value: &Value) -> Result<i32> {
    let number = value.text.trim_matches(is_blank).parse();
    number.map_err(|_| value.malformed("a whole number"))
}

/// A number of so many milliseconds; `None` for zero and below.
fn duration(value: &Value, unit: u64) -> Result<Option<Duration>> {
    let number = u64::try_from(integer(value)?).unwrap_or_default();
    Ok((number > 0).then(|| Duration::from_millis(number * unit)))
}

/// A number with one of these units, or without one.
fn number(text: &str, units: &[(&str, u64)]) -> Option<u64> {
    let end = text
        .find(|c: char| !c.is_ascii_digit())
        .unwrap_or(text.len());
    let (digits, unit) = text.split_at_checked(end)?;
    let factor = match unit.trim_start() {
        "" => 1,
        unit => units.iter().find(|(name, _)| *name == unit)?.1,
    };
    digits.parse::<u64>().ok()?.checked_mul(factor)
}
