//! A connection with its login, wherever a gateway sends us.

use tiberius::error::Error as Driver;
use tiberius::{AuthMethod, Client, Config, EncryptionLevel};
use tokio_util::compat::TokioAsyncReadCompatExt;

use super::failure::{failure, not_connected};
use super::session::Connection;
use super::url::Address;
use super::wire::Wire;
use crate::error::{Error, Result};

/// A connection with its login, and the address where it is: a gateway may send us on.
pub(super) async fn connect(address: &Address) -> Result<(Connection, Address)> {
    match login(address).await {
        Err(Login::Elsewhere(host, port)) => {
            let address = address.at(&host, port);
            match login(&address).await {
                Ok(db) => Ok((db, address)),
                Err(Login::Failed(error)) => Err(error),
                Err(Login::Elsewhere(..)) => Err(Error::retry(format!(
                    "{}: it sends us on again",
                    not_connected(&address)
                ))),
            }
        }
        Err(Login::Failed(error)) => Err(error),
        Ok(db) => Ok((db, address.clone())),
    }
}

enum Login {
    Failed(Error),
    Elsewhere(String, u16),
}

async fn login(address: &Address) -> Result<Connection, Login> {
    let wire = Wire::connect(address).await.map_err(Login::Failed)?;
    let mut config = Config::new();
    config.host(&address.host);
    config.port(address.port);
    config.database(&address.database);
    config.application_name("replicator");
    config.authentication(AuthMethod::sql_server(&address.user, &address.password));
    // That is done, or not wanted.
    config.encryption(EncryptionLevel::NotSupported);
    // Time is ours to keep.
    config.handshake_timeout(None);
    config.command_timeout(None);
    match Client::connect(config, wire.compat()).await {
        Ok(db) => Ok(db),
        Err(Driver::Routing { host, port }) => Err(Login::Elsewhere(host, port)),
        Err(error) => Err(Login::Failed(failure(not_connected(address), error))),
    }
}
