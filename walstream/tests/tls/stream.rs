//! Replication over TLS: messages across many records, and feedback that waits for nobody.

use std::time::Duration;

use testdata::{Certificates, Server, Version, Wish};
use walstream::walproto::{Column, Lsn};
use walstream::{Change, Client, Event, Limits, SlotOptions, SslMode, Stream, StreamOptions};

use super::Asked;

const ROWS: i32 = 5000;

/// The lengths of the texts of large rows; a record of TLS holds 16 kB.
const LARGE: [usize; 4] = [3 << 20, 1, 16 << 10, 5 << 20];

#[tokio::test]
async fn thousands_of_rows_and_large_ones_come_whole_while_nobody_takes_them() {
    let made = Certificates::new();
    let ca = made.own("ca", &Wish::authority("/CN=root"));
    let certificate = made.issued("server", &Wish::default(), &ca);
    for version in [Version::V14, Version::NEWEST] {
        let server = Server::builder(version).tls(&certificate).start();
        let mut sql = testdata::Client::connect(&server, "postgres").unwrap();
        sql.batch("CREATE TABLE t (id int PRIMARY KEY, v text); CREATE PUBLICATION p FOR TABLE t")
            .unwrap();
        let asked = Asked {
            mode: SslMode::VerifyFull,
            roots: Some(ca.file.clone()),
            ..Asked::default()
        };
        let timeout = Duration::from_secs(1);
        let config = asked.config(&server).with_wal_sender_timeout(timeout);
        let mut client = Client::connect_replication(&config).await.unwrap();
        client
            .create_slot("s", &SlotOptions::default())
            .await
            .unwrap();
        let options = StreamOptions::new("s", ["p"]);
        // So little room that reading stops and only feedback goes on.
        let limits = Limits {
            memory: 64 << 10,
            spool: 6 << 20,
            ..Limits::default()
        };
        let mut stream = Stream::start(client, &options, Lsn::ZERO, limits)
            .await
            .unwrap();

        for batch in 0..10 {
            let (first, last) = (batch * ROWS / 10 + 1, (batch + 1) * ROWS / 10);
            sql.batch(&format!(
                "INSERT INTO t SELECT i, repeat(md5(i::text), 10) FROM generate_series({first}, {last}) i"
            ))
            .unwrap();
        }
        for (id, length) in (ROWS + 1..).zip(LARGE) {
            sql.batch(&format!(
                "INSERT INTO t VALUES ({id}, repeat('x', {length}))"
            ))
            .unwrap();
        }
        // Several times as long as the server waits for a word of ours.
        tokio::time::sleep(3 * timeout).await;

        let (mut ids, mut lengths) = (Vec::new(), Vec::new());
        while ids.len() < ROWS as usize + LARGE.len() {
            let event = tokio::time::timeout(Duration::from_secs(60), stream.next_event());
            match event.await.expect("an event in time").unwrap().unwrap() {
                Event::Transaction(mut transaction) => {
                    let mut changes = transaction.changes().unwrap();
                    while let Some((_, change)) = changes.next().unwrap() {
                        let Change::Insert { new, .. } = change else {
                            continue;
                        };
                        let mut columns = new.columns();
                        let (Some(Column::Text(id)), Some(Column::Text(text))) =
                            (columns.next(), columns.next())
                        else {
                            panic!("{new:?}")
                        };
                        ids.push(std::str::from_utf8(id).unwrap().parse::<i32>().unwrap());
                        lengths.push(text.len());
                    }
                    drop(changes);
                    transaction.confirm();
                }
                Event::Idle(idle) => idle.confirm(),
                other => panic!("{other:?}"),
            }
        }
        assert!(ids.iter().copied().eq(1..=ROWS + 4));
        assert_eq!(&lengths[ROWS as usize..], LARGE);
        let walsender = "SELECT ssl FROM pg_stat_ssl JOIN pg_stat_replication USING (pid)";
        assert_eq!(sql.value(walsender).unwrap(), "t");
        stream.finish().await.unwrap();
        let log = server.log();
        assert!(
            !log.contains("terminating walsender") && !log.contains("SSL error"),
            "{log}"
        );
    }
}
