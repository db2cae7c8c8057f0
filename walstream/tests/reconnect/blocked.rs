//! Connections that are lost while what came waits on disk: it is thrown away, comes again, and nothing comes twice.

use std::time::Duration;

use testdata::{Server, Version};
use walstream::{Limits, SlotOptions, Stream};

use crate::flow::{Reader, Writer};
use crate::{at, options, prepare, soon};

#[tokio::test]
async fn what_was_put_off_when_the_connection_was_lost_comes_again_and_once() {
    let server = Server::builder(Version::NEWEST)
        .setting("logical_decoding_work_mem", "64kB")
        .start();
    prepare(&server, &SlotOptions::default()).await;
    let limits = Limits {
        memory: 20_000,
        spool: 8 << 20,
        ..Limits::default()
    };
    let stream = Stream::connect(at(server.port()))
        .options(options())
        .limits(limits)
        .reconnect(soon())
        .start()
        .await
        .expect("a stream");
    let writer = Writer::start(&server);
    let mut reader = Reader::new(stream);
    for _ in 0..4 {
        reader.go_on(10).await;
        // Nobody takes anything until a good deal is put off.
        while reader.stream.held().disk < 1 << 20 {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        let ended = testdata::Client::connect(&server, "postgres")
            .and_then(|mut sql| {
                sql.value("SELECT count(pg_terminate_backend(active_pid)) FROM pg_replication_slots WHERE active")
            })
            .expect("an answer");
        assert_eq!(ended, "1");
        while reader.stream.held().disk > 100_000 {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    }
    reader.go_on(20).await;
    assert!(reader.reconnected >= 4, "{}", reader.reconnected);
    reader.finish(writer, &server).await;
}
