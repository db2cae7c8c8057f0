//! From a configuration to a session that is ready: one place after another, as libpq tries them.

mod failures;
mod place;
mod session;
mod socket;

use std::time::Duration;

use crate::channel::Channel;
use crate::config::{
    Config, Endpoint, LoadBalanceHosts, SslMode, SslNegotiation, TargetSessionAttrs,
};
use crate::error::{Error, ErrorKind, Result};
use crate::tls;
use crate::version::ServerVersion;
use failures::{Failed, Failures, Step};
use place::{Place, shuffle};
use socket::Socket;

/// What kind of session is wanted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Purpose {
    Sql,
    Replication,
}

/// A session that is ready for its first query.
#[derive(Debug)]
pub(crate) struct Ready {
    pub(crate) channel: Channel,
    pub(crate) version: ServerVersion,
    pub(crate) process_id: i32,
    /// The one of the configuration's that let us in.
    pub(crate) endpoint: Endpoint,
}

/// What is asked of a place.
#[derive(Clone, Copy, Debug)]
struct Asked<'a> {
    config: &'a Config,
    endpoint: &'a Endpoint,
    purpose: Purpose,
    wanted: TargetSessionAttrs,
}

/// Tries the servers of the configuration in order until one lets us in and is what is wanted.
///
/// As in libpq the next address is tried when one cannot be reached, and the next server when one is starting up or
/// is not of the kind that is wanted. Any other refusal ends it: where one server does not take a password, another
/// one is not shown it.
pub(crate) async fn connect(config: &Config, purpose: Purpose) -> Result<Ready> {
    config.check()?;
    let mut endpoints: Vec<&Endpoint> = config.endpoints.iter().collect();
    let random = config.load_balance == LoadBalanceHosts::Random;
    if random {
        shuffle(&mut endpoints);
    }
    let mut failures = Failures::default();
    for wanted in passes(config.target) {
        for endpoint in &endpoints {
            let resolving = place::resolve(endpoint);
            let mut places =
                match within(config.connect_timeout, &place::name(endpoint), resolving).await {
                    Ok(places) => places,
                    Err(failed) => {
                        failures.add(place::name(endpoint), failed.error);
                        continue;
                    }
                };
            if random {
                shuffle(&mut places);
            }
            for place in places {
                let name = place.to_string();
                let asked = Asked {
                    config,
                    endpoint,
                    purpose,
                    wanted: *wanted,
                };
                let opening = open(asked, &place, &mut failures);
                let failed = match within(config.connect_timeout, &name, opening).await {
                    Ok(ready) => return Ok(ready),
                    Err(failed) => failed,
                };
                failures.add(name, failed.error);
                match failed.step {
                    Step::Unreachable => {}
                    Step::Elsewhere => break,
                    Step::Tls | Step::Refused | Step::Last => return Err(failures.into_error()),
                }
            }
        }
    }
    Err(failures.into_error())
}

/// What is wanted of a server, and what is good enough if none is so.
const fn passes(target: TargetSessionAttrs) -> &'static [TargetSessionAttrs] {
    use TargetSessionAttrs::{Any, PreferStandby, Primary, ReadOnly, ReadWrite, Standby};
    match target {
        Any => &[Any],
        ReadWrite => &[ReadWrite],
        ReadOnly => &[ReadOnly],
        Primary => &[Primary],
        Standby => &[Standby],
        PreferStandby => &[Standby, Any],
    }
}

/// The limit is for each address, as in libpq: a dead one must not use up the time of the others.
async fn within<T>(
    limit: Duration,
    place: &str,
    work: impl Future<Output = Result<T, Failed>>,
) -> Result<T, Failed> {
    if limit == Duration::ZERO {
        return work.await;
    }
    tokio::time::timeout(limit, work).await.unwrap_or_else(|_| {
        let seconds = limit.as_secs_f64();
        let what = format!("no connection to {place} within {seconds} s");
        Err(Step::Unreachable.failed(Error::new(ErrorKind::Connect, what)))
    })
}

/// How a connection is to be encrypted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Cover {
    Plain,
    IfOffered,
    Tls,
}

/// One place, in one or two ways.
async fn open(asked: Asked<'_>, place: &Place, failures: &mut Failures) -> Result<Ready, Failed> {
    // Nobody listens in on a Unix socket, and no server offers TLS there.
    let mode = match place {
        Place::Unix(_) => SslMode::Disable,
        Place::Tcp { .. } => asked.config.tls.mode,
    };
    let (first, second) = match mode {
        SslMode::Disable => (Cover::Plain, None),
        SslMode::Allow => (Cover::Plain, Some(Cover::IfOffered)),
        SslMode::Prefer => (Cover::IfOffered, Some(Cover::Plain)),
        SslMode::Require | SslMode::VerifyCa | SslMode::VerifyFull => (Cover::Tls, None),
    };
    let mut covered = false;
    let failed = match session(asked, place, first, &mut covered).await {
        Ok(ready) => return Ok(ready),
        Err(failed) => failed,
    };
    let again = match second {
        // Over TLS nothing else would come of it if the server does not offer that.
        Some(Cover::Plain) => covered && matches!(failed.step, Step::Tls | Step::Refused),
        Some(_) => failed.step == Step::Refused,
        None => false,
    };
    let Some(second) = second.filter(|_| again) else {
        return Err(failed);
    };
    if covered {
        tracing::warn!(
            "{place}: {}; going on without TLS, as sslmode=prefer says",
            failed.error
        );
    }
    let how = if covered { "over TLS" } else { "without TLS" };
    failures.add(format!("{place} {how}"), failed.error);
    session(asked, place, second, &mut covered).await
}

/// One place in one way; `covered` says whether it came to TLS.
async fn session(
    asked: Asked<'_>,
    place: &Place,
    cover: Cover,
    covered: &mut bool,
) -> Result<Ready, Failed> {
    let config = asked.config;
    *covered = false;
    let mut secured = None;
    let channel = match socket::open(place, config).await? {
        Socket::Unix(socket) => socket.into(),
        Socket::Tcp(mut socket) => {
            *covered = match cover {
                Cover::Plain => false,
                _ if config.tls.negotiation == SslNegotiation::Direct => true,
                _ => tls::ask(&mut socket)
                    .await
                    .map_err(|e| Step::Last.failed(e))?,
            };
            if *covered {
                let (stream, about) = tls::handshake(socket, &config.tls, place.host())
                    .await
                    .map_err(|error| Step::Tls.failed(error))?;
                secured = Some(about);
                stream.into()
            } else if cover == Cover::Tls {
                let refused = Error::new(ErrorKind::Tls, "the server does not offer TLS")
                    .with_hint("Set ssl = on on the server; with sslmode=prefer the connection is made without TLS.");
                return Err(Step::Last.failed(refused));
            } else {
                socket.into()
            }
        }
    };
    session::begin(channel, secured.as_ref(), asked).await
}
