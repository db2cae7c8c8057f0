//! The page about setting up a source, as an administrator would follow it.

use std::time::Duration;

use testdata::{Client as Sql, Server, Version};
use walstream::walproto::Lsn;
use walstream::{Client, Config, Event, Limits, SlotOptions, Stream, StreamOptions};

const PAGE: &str = include_str!("../docs/source.md");

/// The contents of the page's blocks of this kind, in order.
fn blocks(kind: &str) -> Vec<&'static str> {
    let opening = format!("```{kind}\n");
    PAGE.split(&*opening)
        .skip(1)
        .map(|rest| rest.split("```").next().expect("a closing fence"))
        .collect()
}

#[tokio::test]
async fn a_server_set_up_as_the_page_says_can_be_read_from() {
    let (conf, sql, hba) = (blocks("conf"), blocks("sql"), blocks("hba"));
    assert_eq!((conf.len(), sql.len(), hba.len()), (1, 2, 1));
    for version in Version::ALL {
        let mut builder = Server::builder(version).setting("wal_level", "replica");
        for line in conf[0].lines() {
            let (name, value) = line.split_once(" = ").expect("name = value");
            builder = builder.setting(name, value);
        }
        // TLS is a matter of its own, with tests of its own.
        let line = hba[0].trim().replace("hostssl", "host");
        // Whoever is not let in by the page's line is not let in.
        let server = builder
            .allow(&line)
            .allow("host all all 127.0.0.1/32 reject")
            .start();
        let mut admin = Sql::connect(&server, "postgres").expect("a connection");
        admin.batch("CREATE DATABASE shop").expect("a database");
        let mut admin = Sql::connect(&server, "shop").expect("a connection");
        for block in &sql {
            admin
                .batch(block)
                .unwrap_or_else(|error| panic!("{block}: {error}"));
        }

        let config: Config = format!(
            "postgres://replicator:choose%20one@127.0.0.1:{}/shop?sslmode=disable",
            server.port()
        )
        .parse()
        .expect("a connection string");
        let mut client = Client::connect_replication(&config)
            .await
            .expect("a connection");
        client
            .create_slot("shop", &SlotOptions::default())
            .await
            .expect("a slot");
        let options = StreamOptions::new("shop", ["shop"]);
        let mut stream = Stream::start(client, &options, Lsn::ZERO, Limits::default())
            .await
            .expect("a stream");
        admin
            .batch("INSERT INTO public.orders VALUES (1, 'cup')")
            .expect("a row");
        let arrived = async {
            loop {
                match stream.next().await.expect("no error") {
                    Some(Event::Transaction(transaction)) if !transaction.is_empty() => return,
                    Some(_) => {}
                    None => panic!("the stream ended"),
                }
            }
        };
        tokio::time::timeout(Duration::from_secs(60), arrived)
            .await
            .expect("the row arrives");
        stream.finish().await.expect("a proper end");

        let mut reader = Client::connect(&config).await.expect("a connection");
        let rows = reader
            .query("SELECT count(*) FROM public.orders")
            .await
            .expect("may read");
        assert_eq!(rows[0].get(0), Some("1"), "{version}");
    }
}
