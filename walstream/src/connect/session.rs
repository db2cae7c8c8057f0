//! Over a connection that stands: startup packet, login, the server's word of itself.

use std::borrow::Cow;

use postgres_protocol::message::frontend;

use super::failures::{Failed, Step};
use super::{Asked, Purpose, Ready};
use crate::auth;
use crate::channel::{BackendMessage, Channel};
use crate::config::{Config, TargetSessionAttrs};
use crate::conninfo::PINNED;
use crate::error::{Doing, Error, ErrorKind, Result};
use crate::server_error::ServerError;
use crate::tls::Secured;
use crate::version::ServerVersion;

/// SQLSTATE of a server that is starting, stopping or recovering.
const CANNOT_CONNECT_NOW: &str = "57P03";

pub(super) async fn begin(
    mut channel: Channel,
    secured: Option<&Secured>,
    asked: Asked<'_>,
) -> Result<Ready, Failed> {
    let Asked { config, wanted, .. } = asked;
    let parameters = parameters(config, asked.purpose);
    let parameters = parameters.iter().map(|(name, value)| (*name, &**value));
    channel
        .writer()
        .put(|buf| frontend::startup_message(parameters, buf))
        .map_err(|error| Step::Last.failed(error))?;
    auth::authenticate(&mut channel, secured, config, asked.endpoint)
        .await
        .map_err(|error| {
            match error.sqlstate() {
                Some(CANNOT_CONNECT_NOW) => Step::Elsewhere,
                Some(_) => Step::Refused,
                None => Step::Last,
            }
            .failed(error)
        })?;
    let (mut ready, state) = ready(channel, asked)
        .await
        .map_err(|error| Step::Last.failed(error))?;
    match unwanted(&mut ready.channel, &state, wanted).await {
        Ok(None) => Ok(ready),
        Ok(Some(what)) => {
            ready.channel.writer().terminate();
            // The server notices the end of the connection too.
            let _ = ready.channel.writer().flush().await;
            Err(Step::Elsewhere.failed(
                Error::new(ErrorKind::Connect, what)
                    .with_hint("Check target_session_attrs, and the state of the servers."),
            ))
        }
        Err(error) => Err(Step::Last.failed(error)),
    }
}

fn parameters(config: &Config, purpose: Purpose) -> Vec<(&'static str, Cow<'_, str>)> {
    let mut parameters = vec![
        ("user", Cow::Borrowed(&*config.user)),
        ("database", config.database().into()),
        ("application_name", (&*config.application_name).into()),
    ];
    if let Some(options) = &config.options {
        parameters.push(("options", (&**options).into()));
    }
    if purpose == Purpose::Replication {
        // With a database the WAL sender takes SQL too; without one it would be physical replication.
        parameters.push(("replication", "database".into()));
    }
    parameters.push((
        "wal_sender_timeout",
        config.wal_sender_timeout.as_millis().to_string().into(),
    ));
    parameters.extend(PINNED.map(|(name, value)| (name, value.into())));
    parameters
}

/// What a server says of itself without being asked; poolers in between may leave it out.
#[derive(Debug, Default)]
struct State {
    in_hot_standby: Option<bool>,
    default_read_only: Option<bool>,
}

/// From AuthenticationOk to the first ReadyForQuery.
async fn ready(mut channel: Channel, asked: Asked<'_>) -> Result<(Ready, State)> {
    let (mut version, mut process_id) = (None, 0);
    let mut state = State::default();
    loop {
        let message = channel.recv().await?;
        match message.tag {
            b'S' => {
                let mut texts = message.body.split(|byte| *byte == 0);
                let (name, value) = (texts.next(), texts.next().unwrap_or_default());
                match name {
                    Some(b"server_version") => {
                        version = Some(String::from_utf8_lossy(value).into_owned());
                    }
                    Some(b"in_hot_standby") => state.in_hot_standby = Some(value == b"on"),
                    Some(b"default_transaction_read_only") => {
                        state.default_read_only = Some(value == b"on");
                    }
                    _ => {}
                }
            }
            b'K' => {
                process_id = message
                    .body
                    .first_chunk()
                    .copied()
                    .map_or(0, i32::from_be_bytes)
            }
            b'E' => return Err(refused(&message)),
            b'Z' => break,
            tag => {
                let place = "while the session began";
                return Err(Error::out_of_place(tag, place, message.offset));
            }
        }
    }
    let text = version.unwrap_or_default();
    let version = ServerVersion::parse(&text).ok_or_else(|| {
        Error::protocol(format!(
            "the server says that its version is \"{}\"",
            text.escape_debug()
        ))
    })?;
    if version < ServerVersion::OLDEST {
        return Err(Error::unsupported(format!(
            "the server is PostgreSQL {version}, and the oldest that can be used is 14"
        )));
    }
    channel.set_limit(asked.config.max_message_size);
    let ready = Ready {
        channel,
        version,
        process_id,
        endpoint: asked.endpoint.clone(),
    };
    Ok((ready, state))
}

/// What is wrong with a server for what is wanted, if anything.
async fn unwanted(
    channel: &mut Channel,
    state: &State,
    wanted: TargetSessionAttrs,
) -> Result<Option<&'static str>> {
    use TargetSessionAttrs::{Any, PreferStandby, Primary, ReadOnly, ReadWrite, Standby};
    Ok(match wanted {
        Any | PreferStandby => None,
        ReadWrite | ReadOnly => {
            let read_only = match (state.in_hot_standby, state.default_read_only) {
                (Some(standby), Some(read_only)) => standby || read_only,
                _ => answer(channel, "SHOW transaction_read_only").await?,
            };
            match (wanted, read_only) {
                (ReadWrite, true) => Some("the session is read-only"),
                (ReadOnly, false) => Some("the session is not read-only"),
                _ => None,
            }
        }
        Primary | Standby => {
            let standby = match state.in_hot_standby {
                Some(standby) => standby,
                None => answer(channel, "SELECT pg_catalog.pg_is_in_recovery()").await?,
            };
            match (wanted, standby) {
                (Primary, true) => Some("the server is a standby"),
                (Standby, false) => Some("the server is no standby"),
                _ => None,
            }
        }
    })
}

/// The answer to a question of one column and one row, yes or no.
async fn answer(channel: &mut Channel, sql: &str) -> Result<bool> {
    channel.writer().put(|buf| frontend::query(sql, buf))?;
    let mut answer = None;
    loop {
        let message = channel.recv().await?;
        match message.tag {
            // One column, its length, its text.
            b'D' => {
                answer = message
                    .body
                    .get(6..)
                    .map(|text| matches!(text, b"on" | b"t"))
            }
            b'E' => return Err(refused(&message)),
            b'Z' => break,
            _ => {}
        }
    }
    answer.ok_or_else(|| Error::protocol(format!("the server did not answer to {sql}")))
}

fn refused(message: &BackendMessage) -> Error {
    Error::reported(ServerError::read(&message.body), Doing::Connecting)
}
