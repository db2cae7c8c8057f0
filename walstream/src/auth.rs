//! Proving who we are: trust, password in the clear, MD5 and SCRAM-SHA-256.

use bytes::{Buf, Bytes};
use postgres_protocol::authentication::md5_hash;
use postgres_protocol::authentication::sasl::{ChannelBinding, SCRAM_SHA_256, ScramSha256};
use postgres_protocol::message::frontend;

use crate::channel::Channel;
use crate::config::Config;
use crate::error::{Doing, Error, ErrorKind, Result};
use crate::server_error::ServerError;

/// From behind the startup packet to AuthenticationOk.
pub(crate) async fn authenticate(channel: &mut Channel, config: &Config) -> Result<()> {
    let mut scram = None;
    loop {
        let request = Request::receive(channel).await?;
        match request.kind {
            // A server that skips its proof is not known to know the password.
            OK if matches!(scram, Some(Scram::Asked(_))) => {
                return Err(Error::protocol(
                    "the server ended SCRAM authentication before it had proved itself",
                ));
            }
            OK => return Ok(()),
            CLEARTEXT if scram.is_none() => {
                let password = password(config)?;
                channel
                    .writer()
                    .put(|buf| frontend::password_message(password.as_bytes(), buf))?;
            }
            MD5 if scram.is_none() => {
                let salt = request
                    .body
                    .get(..4)
                    .and_then(|salt| salt.try_into().ok())
                    .ok_or_else(malformed)?;
                let hash = md5_hash(config.user.as_bytes(), password(config)?.as_bytes(), salt);
                channel
                    .writer()
                    .put(|buf| frontend::password_message(hash.as_bytes(), buf))?;
            }
            SASL if scram.is_none() => {
                let offered: Vec<_> = request.body.split(|byte| *byte == 0).collect();
                if !offered.contains(&SCRAM_SHA_256.as_bytes()) {
                    return Err(Error::new(
                        ErrorKind::Authentication,
                        "the server offers no SASL mechanism that is known here (SCRAM-SHA-256 is)",
                    ));
                }
                let dialogue =
                    ScramSha256::new(password(config)?.as_bytes(), ChannelBinding::unsupported());
                channel.writer().put(|buf| {
                    frontend::sasl_initial_response(SCRAM_SHA_256, dialogue.message(), buf)
                })?;
                scram = Some(Scram::Asked(dialogue));
            }
            SASL_CONTINUE => {
                let Some(Scram::Asked(dialogue)) = &mut scram else {
                    return Err(malformed());
                };
                dialogue
                    .update(&request.body)
                    .map_err(|error| malformed().with_source(error))?;
                channel
                    .writer()
                    .put(|buf| frontend::sasl_response(dialogue.message(), buf))?;
            }
            SASL_FINAL => {
                let Some(Scram::Asked(dialogue)) = &mut scram else {
                    return Err(malformed());
                };
                dialogue.finish(&request.body).map_err(|error| {
                    Error::new(
                        ErrorKind::Authentication,
                        "the server could not prove that it knows the password",
                    )
                    .with_hint("This may not be the server you mean.")
                    .with_source(error)
                })?;
                scram = Some(Scram::Proved);
            }
            kind => {
                let method = match kind {
                    2 => "Kerberos",
                    7 | 8 => "GSSAPI",
                    9 => "SSPI",
                    _ => "something unknown, or out of turn",
                };
                return Err(Error::new(
                    ErrorKind::Authentication,
                    format!(
                        "the server asks for an authentication that is not supported: {method}"
                    ),
                )
                .with_hint("Let pg_hba.conf offer scram-sha-256 for this connection."));
            }
        }
    }
}

enum Scram {
    Asked(ScramSha256),
    Proved,
}

const OK: i32 = 0;
const CLEARTEXT: i32 = 3;
const MD5: i32 = 5;
const SASL: i32 = 10;
const SASL_CONTINUE: i32 = 11;
const SASL_FINAL: i32 = 12;

struct Request {
    kind: i32,
    body: Bytes,
}

impl Request {
    async fn receive(channel: &mut Channel) -> Result<Self> {
        let mut message = channel.recv().await?;
        match message.tag {
            b'R' => Ok(Self {
                kind: message.body.try_get_i32().map_err(|_| malformed())?,
                body: message.body,
            }),
            b'E' => Err(Error::reported(
                ServerError::read(&message.body),
                Doing::Connecting,
            )),
            _ => Err(
                Error::protocol("what answered does not speak PostgreSQL's protocol")
                    .with_hint("Check host and port."),
            ),
        }
    }
}

fn malformed() -> Error {
    Error::protocol("the server's part of the authentication makes no sense")
}

fn password(config: &Config) -> Result<String> {
    let endpoint = config.endpoints.first();
    endpoint
        .and_then(|endpoint| config.password_for(endpoint))
        .ok_or_else(|| {
            Error::new(
                ErrorKind::Authentication,
                format!(
                    "the server asks for a password of user \"{}\", and none is given",
                    config.user
                ),
            )
            .with_hint("Put it into the password file ~/.pgpass, or into the connection string as postgres://user:password@… or password=….")
        })
}
