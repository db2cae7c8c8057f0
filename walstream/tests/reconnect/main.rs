//! Streams whose connections are lost in every way: what arrives is exactly what was committed, in order and once.

mod blocked;
mod flow;
mod network;
mod promoted;
mod refused;
mod server;

use std::time::Duration;

use testdata::Server;
use walstream::walproto::Lsn;
use walstream::{Backoff, Client, Config, Error, Reconnect, SlotOptions, Stream, StreamOptions};

pub(crate) const SLOT: &str = "s";

/// Soon, and for as long as a busy machine may take.
pub(crate) fn soon() -> Reconnect {
    Reconnect {
        backoff: Backoff {
            first_delay: Duration::from_millis(20),
            largest_delay: Duration::from_millis(200),
            total_time: Some(Duration::from_secs(90)),
            ..Backoff::default()
        },
        ..Reconnect::default()
    }
}

/// To this port, with a server that notices a lost client soon.
pub(crate) fn at(port: u16) -> Config {
    let config: Config = format!("postgres://postgres@127.0.0.1:{port}/postgres")
        .parse()
        .expect("a connection string");
    config
        .with_wal_sender_timeout(Duration::from_secs(2))
        .with_connect_timeout(Duration::from_secs(2))
}

pub(crate) fn options() -> StreamOptions {
    StreamOptions {
        messages: true,
        ..StreamOptions::new(SLOT, ["p"])
    }
}

pub(crate) async fn connect(config: &Config, position: Lsn) -> Result<Stream, Error> {
    Stream::connect(config)
        .options(options())
        .position(position)
        .reconnect(soon())
        .start()
        .await
}

/// Table, publication and slot.
pub(crate) async fn prepare(server: &Server, slot: &SlotOptions) {
    testdata::Client::connect(server, "postgres")
        .and_then(|mut client| {
            client.batch(
                "CREATE TABLE t (tx int, line int, v text, PRIMARY KEY (tx, line));
                 CREATE PUBLICATION p FOR TABLE t",
            )
        })
        .expect("a table");
    let mut wire = Client::connect_replication(&at(server.port()))
        .await
        .expect("a connection");
    wire.create_slot(SLOT, slot).await.expect("a slot");
}
