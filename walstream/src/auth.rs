//! Proving who we are: trust, password in the clear, MD5 and SCRAM-SHA-256, bound to TLS where both sides can.

use bytes::{Buf, Bytes};
use postgres_protocol::authentication::md5_hash;
use postgres_protocol::authentication::sasl::{
    self, SCRAM_SHA_256, SCRAM_SHA_256_PLUS, ScramSha256,
};
use postgres_protocol::message::frontend;

use crate::channel::Channel;
use crate::config::{AuthMethod, ChannelBinding, Config, Endpoint, SslCertMode};
use crate::error::{Doing, Error, ErrorKind, Result};
use crate::server_error::ServerError;
use crate::tls::Secured;

/// From behind the startup packet to AuthenticationOk.
pub(crate) async fn authenticate(
    channel: &mut Channel,
    secured: Option<&Secured>,
    config: &Config,
    endpoint: &Endpoint,
) -> Result<()> {
    let mut login = Login {
        config,
        endpoint,
        secured,
        asked: false,
        bound: false,
        scram: None,
    };
    loop {
        let request = Request::receive(channel).await?;
        if request.kind == OK {
            return login.accept();
        }
        let answer = login
            .answer(&request)
            .map_err(|error| error.at_byte(request.offset))?;
        match answer {
            Answer::Nothing => {}
            Answer::Password(text) => channel
                .writer()
                .put(|buf| frontend::password_message(text.as_bytes(), buf))?,
            Answer::Sasl(mechanism, first) => channel
                .writer()
                .put(|buf| frontend::sasl_initial_response(mechanism, &first, buf))?,
            Answer::SaslNext(next) => channel
                .writer()
                .put(|buf| frontend::sasl_response(&next, buf))?,
        }
    }
}

/// A login in its course.
struct Login<'a> {
    config: &'a Config,
    /// Whose password it is.
    endpoint: &'a Endpoint,
    secured: Option<&'a Secured>,
    /// Whether the server has asked for a proof.
    asked: bool,
    /// Whether the proof asked for is bound to the TLS connection.
    bound: bool,
    scram: Option<Scram>,
}

enum Scram {
    Asked(ScramSha256),
    Proved,
}

enum Answer {
    Nothing,
    Password(String),
    Sasl(&'static str, Vec<u8>),
    SaslNext(Vec<u8>),
}

const OK: i32 = 0;
const CLEARTEXT: i32 = 3;
const MD5: i32 = 5;
const SASL: i32 = 10;
const SASL_CONTINUE: i32 = 11;
const SASL_FINAL: i32 = 12;

impl Login<'_> {
    /// What to answer; nothing has left us if it is an error.
    fn answer(&mut self, request: &Request) -> Result<Answer> {
        self.asked = true;
        match request.kind {
            CLEARTEXT if self.scram.is_none() => {
                self.allowed(AuthMethod::Password)?;
                Ok(Answer::Password(self.password()?))
            }
            MD5 if self.scram.is_none() => {
                self.allowed(AuthMethod::Md5)?;
                let salt = request
                    .body
                    .get(..4)
                    .and_then(|salt| salt.try_into().ok())
                    .ok_or_else(malformed)?;
                let user = self.config.user.as_bytes();
                let hash = md5_hash(user, self.password()?.as_bytes(), salt);
                Ok(Answer::Password(hash))
            }
            SASL if self.scram.is_none() => {
                self.allowed(AuthMethod::ScramSha256)?;
                let (mechanism, binding) = self.mechanism(&request.body)?;
                self.bound = mechanism == SCRAM_SHA_256_PLUS;
                let dialogue = ScramSha256::new(self.password()?.as_bytes(), binding);
                let first = dialogue.message().to_vec();
                self.scram = Some(Scram::Asked(dialogue));
                Ok(Answer::Sasl(mechanism, first))
            }
            SASL_CONTINUE => {
                let Some(Scram::Asked(dialogue)) = &mut self.scram else {
                    return Err(malformed());
                };
                dialogue
                    .update(&request.body)
                    .map_err(|error| malformed().with_source(error))?;
                Ok(Answer::SaslNext(dialogue.message().to_vec()))
            }
            SASL_FINAL => {
                let Some(Scram::Asked(dialogue)) = &mut self.scram else {
                    return Err(malformed());
                };
                dialogue.finish(&request.body).map_err(|error| {
                    refused("the server could not prove that it knows the password")
                        .with_hint("This may not be the server you mean.")
                        .with_source(error)
                })?;
                self.scram = Some(Scram::Proved);
                Ok(Answer::Nothing)
            }
            kind => {
                let method = match kind {
                    2 => "Kerberos",
                    7 | 8 => "GSSAPI",
                    9 => "SSPI",
                    _ => "something unknown, or out of turn",
                };
                Err(refused(format!(
                    "the server asks for an authentication that is not supported: {method}"
                ))
                .with_hint("Let pg_hba.conf offer scram-sha-256 for this connection."))
            }
        }
    }

    /// Whether the server may let us in now.
    fn accept(&self) -> Result<()> {
        // A server that skips its proof is not known to know the password.
        if matches!(self.scram, Some(Scram::Asked(_))) {
            return Err(Error::protocol(
                "the server ended SCRAM authentication before it had proved itself",
            ));
        }
        if !self.asked && !self.config.authentication.allows(AuthMethod::None) {
            return Err(
                refused("the server asks for no proof of who we are, which require_auth does not allow")
                    .with_hint("Let pg_hba.conf ask for a method of require_auth; without a password, as with a client certificate, it is \"none\"."),
            );
        }
        if self.binding() == ChannelBinding::Require && !self.bound {
            return Err(unbound("the server let us in without channel binding"));
        }
        if self.config.tls.certificate_mode == SslCertMode::Require {
            let what = match self.secured {
                Some(secured) if secured.certificate_shown => return Ok(()),
                Some(secured) if secured.certificate_asked => {
                    "the server let us in, and there is no client certificate that it could have checked"
                }
                _ => "the server did not ask for a client certificate",
            };
            return Err(Error::new(ErrorKind::Tls, what).with_hint(
                "sslcertmode=require needs sslcert and sslkey, and ssl_ca_file on the server.",
            ));
        }
        Ok(())
    }

    fn binding(&self) -> ChannelBinding {
        self.config.authentication.channel_binding
    }

    fn allowed(&self, method: AuthMethod) -> Result<()> {
        let name = method.name();
        if !self.config.authentication.allows(method) {
            return Err(refused(format!(
                "the server asks for the method {name}, which require_auth does not allow"
            ))
            .with_hint("Let pg_hba.conf ask for a method of require_auth; this may not be the server you mean."));
        }
        if self.binding() == ChannelBinding::Require && method != AuthMethod::ScramSha256 {
            return Err(unbound(format!(
                "the server asks for the method {name}, which has no channel binding"
            )));
        }
        Ok(())
    }

    /// The strongest of the mechanisms that a server offers, as libpq chooses it.
    fn mechanism(&self, offered: &[u8]) -> Result<(&'static str, sasl::ChannelBinding)> {
        let offered: Vec<_> = offered.split(|byte| *byte == 0).collect();
        let offers = |mechanism: &str| offered.contains(&mechanism.as_bytes());
        let wanted = self.binding() != ChannelBinding::Disable;
        match self.secured {
            None if offers(SCRAM_SHA_256_PLUS) => {
                // It believes in TLS where there is none: somebody in between took it away.
                return Err(refused(
                    "the server offers channel binding on a connection without TLS",
                )
                .with_hint("Something between us and the server ends TLS; connect past it, or with sslmode=verify-full."));
            }
            Some(secured) if wanted && offers(SCRAM_SHA_256_PLUS) => {
                let Some(end_point) = &secured.end_point else {
                    return Err(unbound(
                        "the server's certificate is signed in a way that has no channel binding",
                    )
                    .with_hint(
                        "Use channel_binding=disable, or a certificate signed by ECDSA or RSA.",
                    ));
                };
                let binding = sasl::ChannelBinding::tls_server_end_point(end_point.clone());
                return Ok((SCRAM_SHA_256_PLUS, binding));
            }
            _ => {}
        }
        if self.binding() == ChannelBinding::Require {
            return Err(unbound("the server offers no channel binding"));
        }
        if !offers(SCRAM_SHA_256) {
            return Err(refused(
                "the server offers no SASL mechanism that is known here (SCRAM-SHA-256 is)",
            ));
        }
        // Says whether we could, so that a server which can too notices that its offer was taken away.
        let binding = if self.secured.is_some() && wanted {
            sasl::ChannelBinding::unrequested()
        } else {
            sasl::ChannelBinding::unsupported()
        };
        Ok((SCRAM_SHA_256, binding))
    }

    fn password(&self) -> Result<String> {
        self.config.password_for(self.endpoint).ok_or_else(|| {
            refused(format!(
                "the server asks for a password of user \"{}\", and none is given",
                self.config.user
            ))
            .with_hint(
                "Put it into the password file ~/.pgpass, or into the connection string as postgres://user:password@… or password=….",
            )
        })
    }
}

struct Request {
    kind: i32,
    body: Bytes,
    /// Bytes that came before it.
    offset: u64,
}

impl Request {
    async fn receive(channel: &mut Channel) -> Result<Self> {
        let mut message = channel.recv().await?;
        let offset = message.offset;
        match message.tag {
            b'R' => Ok(Self {
                kind: message
                    .body
                    .try_get_i32()
                    .map_err(|_| malformed().at_byte(offset))?,
                body: message.body,
                offset,
            }),
            b'E' => Err(Error::reported(
                ServerError::read(&message.body),
                Doing::Connecting,
            )),
            _ => Err(
                Error::protocol("what answered does not speak PostgreSQL's protocol")
                    .with_hint("Check host and port.")
                    .at_byte(offset),
            ),
        }
    }
}

fn refused(what: impl Into<std::borrow::Cow<'static, str>>) -> Error {
    Error::new(ErrorKind::Authentication, what)
}

fn unbound(what: impl Into<std::borrow::Cow<'static, str>>) -> Error {
    refused(what).with_hint(
        "channel_binding=require needs TLS, and scram-sha-256 for this connection in pg_hba.conf.",
    )
}

fn malformed() -> Error {
    Error::protocol("the server's part of the authentication makes no sense")
}

#[cfg(test)]
mod tests;
