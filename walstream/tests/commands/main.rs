//! Queries, slots and the start of streaming on real servers of every version.

mod blockers;
mod effects;
mod errors;
mod holders;
mod options;
mod publications;
mod queries;
mod refusals;
mod slots;
mod standbys;

use std::sync::OnceLock;
use std::time::Duration;

use testdata::{Server, Version};
use walstream::walproto::Lsn;
use walstream::{Client, Config, Error, Limits, Stream, StreamOptions};

/// One server of each version for all tests that leave it as it was.
fn server(version: Version) -> &'static Server {
    static SERVERS: [OnceLock<Server>; 5] = [const { OnceLock::new() }; 5];
    let at = Version::ALL
        .iter()
        .position(|known| *known == version)
        .unwrap();
    SERVERS[at].get_or_init(|| {
        let server = Server::start(version);
        let mut admin = testdata::Client::connect(&server, "postgres").unwrap();
        admin
            .batch("CREATE TABLE t (id int PRIMARY KEY); CREATE PUBLICATION p FOR TABLE t")
            .unwrap();
        for name in [r#"x"; DROP TABLE y; --"#, "a,b", r"it's \'", "MixedCase"] {
            let quoted = name.replace('"', "\"\"");
            admin
                .batch(&format!("CREATE PUBLICATION \"{quoted}\" FOR TABLE t"))
                .unwrap();
        }
        admin.batch("CREATE DATABASE other").unwrap();
        server
    })
}

fn config(server: &Server) -> Config {
    server.url("postgres").parse().unwrap()
}

async fn sql(server: &Server) -> Client {
    Client::connect(&config(server)).await.unwrap()
}

async fn replication(server: &Server) -> Client {
    Client::connect_replication(&config(server)).await.unwrap()
}

/// Starts streaming, without waiting for a slot in use where the test does not ask for it.
async fn start(server: &Server, options: &StreamOptions) -> Result<Stream, Error> {
    let options = StreamOptions {
        slot_wait: options.slot_wait.or(Some(Duration::ZERO)),
        ..options.clone()
    };
    Stream::start(
        replication(server).await,
        &options,
        Lsn::ZERO,
        Limits::default(),
    )
    .await
}

/// Starts streaming, which must fail.
async fn refused(server: &Server, options: &StreamOptions) -> Error {
    start(server, options)
        .await
        .map(|_| ())
        .expect_err("streaming started")
}

/// Waits until nobody uses the slot, and drops it.
async fn drop_slot(server: &Server, name: &str) {
    replication(server)
        .await
        .drop_slot(name, true)
        .await
        .unwrap();
}
