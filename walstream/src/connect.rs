//! From a configuration to a session that is ready: socket, startup packet, login, settings.

use std::borrow::Cow;
use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

use postgres_protocol::message::frontend;

use crate::auth;
use crate::channel::Channel;
use crate::config::{Config, Host};
use crate::conninfo::PINNED;
use crate::error::{Doing, Error, ErrorKind, Result};
use crate::server_error::ServerError;
use crate::version::ServerVersion;

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
}

pub(crate) async fn connect(config: &Config, purpose: Purpose) -> Result<Ready> {
    config.check()?;
    let connecting = async {
        let mut channel = open(config).await?;
        let parameters = parameters(config, purpose);
        let parameters = parameters.iter().map(|(name, value)| (*name, &**value));
        channel
            .writer()
            .put(|buf| frontend::startup_message(parameters, buf))?;
        auth::authenticate(&mut channel, config).await?;
        ready(channel, config).await
    };
    if config.connect_timeout == Duration::ZERO {
        return connecting.await;
    }
    tokio::time::timeout(config.connect_timeout, connecting)
        .await
        .unwrap_or_else(|_| {
            let seconds = config.connect_timeout.as_secs_f64();
            Err(Error::new(
                ErrorKind::Connect,
                format!("no connection to {config} within {seconds} s"),
            ))
        })
}

async fn open(config: &Config) -> Result<Channel> {
    let failed = |error: io::Error| {
        Error::new(ErrorKind::Connect, format!("cannot connect to {config}")).with_source(error)
    };
    let endpoint = config
        .endpoints
        .first()
        .expect("there is at least one endpoint");
    let port = endpoint.port;
    let name = match &endpoint.host {
        Host::Unix(folder) => {
            return Channel::unix(&socket(folder, port)).await.map_err(failed);
        }
        Host::Abstract(name) => {
            let path = format!("\0{name}/.s.PGSQL.{port}");
            return Channel::unix(Path::new(&path)).await.map_err(failed);
        }
        Host::Tcp(name) => name,
        Host::Default => {
            let folders = ["/run/postgresql", "/var/run/postgresql", "/tmp"];
            match folders
                .iter()
                .map(|folder| socket(Path::new(folder), port))
                .find(|path| path.exists())
            {
                Some(path) => return Channel::unix(&path).await.map_err(failed),
                None => "localhost",
            }
        }
    };
    let addresses = tokio::net::lookup_host((name, port))
        .await
        .map_err(failed)?;
    let mut last = io::Error::new(io::ErrorKind::NotFound, "the name has no address");
    for address in addresses {
        match Channel::tcp(address).await {
            Ok(channel) => return Ok(channel),
            Err(error) => last = error,
        }
    }
    Err(failed(last))
}

fn socket(folder: &Path, port: u16) -> PathBuf {
    folder.join(format!(".s.PGSQL.{port}"))
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

/// From AuthenticationOk to the first ReadyForQuery.
async fn ready(mut channel: Channel, config: &Config) -> Result<Ready> {
    let (mut version, mut process_id) = (None, 0);
    loop {
        let message = channel.recv().await?;
        match message.tag {
            b'S' => {
                let mut texts = message.body.split(|byte| *byte == 0);
                if texts.next() == Some(b"server_version") {
                    let text = texts.next().unwrap_or_default();
                    version = Some(String::from_utf8_lossy(text).into_owned());
                }
            }
            b'K' => {
                process_id = message
                    .body
                    .first_chunk()
                    .copied()
                    .map_or(0, i32::from_be_bytes)
            }
            b'E' => {
                return Err(Error::reported(
                    ServerError::read(&message.body),
                    Doing::Connecting,
                ));
            }
            b'Z' => break,
            tag => {
                return Err(Error::protocol(format!(
                    "the server sent a message '{}' while the session began",
                    tag.escape_ascii()
                )));
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
    channel.set_limit(config.max_message_size);
    Ok(Ready {
        channel,
        version,
        process_id,
    })
}
