//! Networks that break, fall silent, crawl.

use std::time::Duration;

use testdata::{Certificates, Proxy, Server, Version, Wish};
use walstream::walproto::Lsn;
use walstream::{RootCertificates, SlotOptions, SslMode};

use crate::flow::{Reader, Writer};
use crate::{at, connect, prepare};

async fn site(version: Version) -> (Server, Proxy, Writer, Reader) {
    let server = Server::builder(version)
        .setting("logical_decoding_work_mem", "64kB")
        .start();
    prepare(&server, &SlotOptions::default()).await;
    let proxy = Proxy::to(server.port());
    let stream = connect(&at(proxy.port()), Lsn::ZERO)
        .await
        .expect("a stream");
    let writer = Writer::start(&server);
    (server, proxy, writer, Reader::new(stream))
}

#[tokio::test]
async fn a_connection_that_is_cut_again_and_again_loses_and_doubles_nothing() {
    for version in Version::ALL {
        let (server, proxy, writer, mut reader) = site(version).await;
        for round in 0..12 {
            // In the middle of whatever is being sent.
            reader.go_on(1 + round % 7).await;
            proxy.cut();
            if round % 2 == 0 {
                reader.reconnect(reader.reconnected + 1).await;
            }
        }
        reader.go_on(20).await;
        reader.finish(writer, &server).await;
    }
}

#[tokio::test]
async fn over_tls_it_is_the_same() {
    let made = Certificates::new();
    let ca = made.own("ca", &Wish::authority("/CN=root"));
    let certificate = made.issued("server", &Wish::default(), &ca);
    let server = Server::builder(Version::V18)
        .setting("logical_decoding_work_mem", "64kB")
        .tls(&certificate)
        .start();
    prepare(&server, &SlotOptions::default()).await;
    let proxy = Proxy::to(server.port());
    let config = at(proxy.port())
        .with_host("localhost")
        .with_sslrootcert(RootCertificates::File(ca.file.clone()))
        .with_sslmode(SslMode::VerifyFull);
    let stream = connect(&config, Lsn::ZERO).await.expect("a stream");
    let writer = Writer::start(&server);
    let mut reader = Reader::new(stream);
    for times in 1..=8 {
        reader.go_on(5).await;
        proxy.cut();
        reader.reconnect(times).await;
    }
    reader.finish(writer, &server).await;
}

#[tokio::test]
async fn a_network_that_refuses_for_a_while_is_waited_for() {
    let (server, proxy, writer, mut reader) = site(Version::V18).await;
    reader.go_on(20).await;
    proxy.refuse(true);
    proxy.cut();
    // Nothing but attempts, until it works again.
    let nothing = tokio::time::timeout(Duration::from_secs(1), async {
        loop {
            reader.step().await.expect("the stream waits");
        }
    });
    assert!(nothing.await.is_err());
    assert_eq!(reader.reconnected, 0);
    proxy.refuse(false);
    reader.reconnect(1).await;
    reader.finish(writer, &server).await;
}

#[tokio::test]
async fn a_half_open_connection_is_noticed_and_replaced() {
    let (server, proxy, writer, mut reader) = site(Version::V17).await;
    reader.go_on(20).await;
    proxy.freeze();
    // Sockets stay open and nothing comes: a ping without an answer, then attempts that get none either.
    let silent = tokio::time::timeout(Duration::from_secs(7), async {
        loop {
            reader.step().await.expect("the stream waits");
        }
    });
    assert!(silent.await.is_err());
    proxy.thaw();
    reader.reconnect(1).await;
    reader.go_on(20).await;
    reader.finish(writer, &server).await;
}

#[tokio::test]
async fn a_slow_network_is_slow_and_nothing_else() {
    let (server, proxy, writer, mut reader) = site(Version::V16).await;
    reader.go_on(5).await;
    proxy.throttle(Some(60_000));
    let last = writer.stop();
    reader.reach(last).await;
    assert_eq!(reader.reconnected, 0, "slow was taken for broken");
    let writer = Writer::start(&server);
    proxy.throttle(None);
    reader.go_on(20).await;
    reader.finish(writer, &server).await;
}
