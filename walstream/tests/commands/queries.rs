//! Queries and COPY: rows, errors, and a session that stays usable.

use std::error::Error as _;
use std::time::Duration;

use testdata::Version;
use walstream::{Client, ErrorKind, SlotOptions};

use crate::{config, replication, server, sql};

#[tokio::test]
async fn a_query_brings_rows_and_an_error_leaves_the_session_usable() {
    let mut client = sql(server(Version::V16)).await;
    let rows = client
        .query("SELECT 1 AS a, NULL AS b, '' AS c; SELECT 'x' AS a")
        .await
        .unwrap();
    assert_eq!(
        (
            rows[0].by_name("a"),
            rows[0].by_name("b"),
            rows[0].by_name("c")
        ),
        (Some("1"), None, Some(""))
    );
    assert_eq!(
        (rows[1].columns(), rows[1].get(0)),
        (&["a".to_owned()][..], Some("x"))
    );
    assert!(client.query("").await.unwrap().is_empty());

    for text in [
        "SELECT",
        "nonsense",
        "SELECT 1/0",
        "SELECT 1; SELECT 1/0; SELECT 2",
    ] {
        let result = client.query(text).await;
        assert_eq!(result.is_err(), text != "SELECT", "{text}");
    }
    let error = client
        .query("SELECT 1 FROM generate_series(1, 100000) i WHERE 1 / (i - 50000) = 5")
        .await
        .unwrap_err();
    assert_eq!(
        (error.kind(), error.sqlstate()),
        (ErrorKind::Server, Some("22012"))
    );
    assert_eq!(
        error.source().unwrap().to_string(),
        "ERROR 22012: division by zero"
    );
    let error = client.query("SELECT '\0'").await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Config);
    client
        .execute("SET work_mem = '5MB'; DO $$ BEGIN RAISE WARNING 'for the log'; END $$")
        .await
        .unwrap();
    assert_eq!(
        client.query("SHOW work_mem").await.unwrap()[0].get(0),
        Some("5MB")
    );
}

#[tokio::test]
async fn copy_modes_that_nobody_asked_for_do_not_hang() {
    let mut client = replication(server(Version::V17)).await;
    let error = client
        .execute("COPY public.t FROM STDIN")
        .await
        .unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Server, "{error:?}");
    client.execute("COPY public.t TO STDOUT").await.unwrap();
    client
        .create_slot(
            "unasked",
            &SlotOptions {
                temporary: true,
                ..SlotOptions::default()
            },
        )
        .await
        .unwrap();
    let text =
        "START_REPLICATION SLOT unasked LOGICAL 0/0 (proto_version '1', publication_names 'p')";
    client.execute(text).await.unwrap();
    assert_eq!(client.query("SELECT 5").await.unwrap()[0].get(0), Some("5"));
}

#[tokio::test]
async fn copy_out_brings_every_row_and_its_errors() {
    let mut client = sql(server(Version::V15)).await;
    let mut copy = client
        .copy_out(
            "COPY (SELECT i, repeat('x', i % 100) FROM generate_series(1, 200000) i) TO STDOUT",
        )
        .await
        .unwrap();
    let mut count = 0;
    while let Some(row) = copy.next().await.unwrap() {
        count += 1;
        assert_eq!(
            &row[..],
            format!("{count}\t{}\n", "x".repeat(count % 100)).as_bytes()
        );
    }
    assert_eq!(count, 200_000);
    assert!(copy.next().await.unwrap().is_none());

    let mut copy = client
        .copy_out("COPY (SELECT 1 / (5 - i) FROM generate_series(1, 10) i) TO STDOUT")
        .await
        .unwrap();
    let error = loop {
        match copy.next().await {
            Ok(row) => assert!(row.is_some(), "the copy ended well"),
            Err(error) => break error,
        }
    };
    assert_eq!(error.sqlstate(), Some("22012"));

    assert_eq!(
        client.copy_out("SELECT 1").await.unwrap_err().kind(),
        ErrorKind::Config
    );
    assert_eq!(
        client
            .copy_out("COPY absent TO STDOUT")
            .await
            .unwrap_err()
            .sqlstate(),
        Some("42P01")
    );

    // Dropped half-way: the next statement is not confused by the rest.
    {
        let mut copy = client
            .copy_out("COPY (SELECT generate_series(1, 100000)) TO STDOUT")
            .await
            .unwrap();
        assert_eq!(&copy.next().await.unwrap().unwrap()[..], b"1\n");
    }
    assert_eq!(client.query("SELECT 7").await.unwrap()[0].get(0), Some("7"));
}

#[tokio::test]
async fn a_dropped_query_does_not_answer_for_the_next() {
    let mut client = sql(server(Version::V18)).await;
    for _ in 0..3 {
        let query = client.query("SELECT pg_sleep(0.2), 'old'");
        assert!(
            tokio::time::timeout(Duration::from_millis(50), query)
                .await
                .is_err()
        );
    }
    assert_eq!(
        client.query("SELECT 'new'").await.unwrap()[0].get(0),
        Some("new")
    );
}

#[tokio::test]
async fn a_statement_larger_than_any_socket_buffer_gets_through() {
    let mut client = sql(server(Version::V14)).await;
    let large = "ä".repeat(4 << 20);
    // The server's answers begin before it has read the whole text.
    let notices =
        "DO $$ BEGIN FOR i IN 1..2000 LOOP RAISE WARNING '%', repeat('x', 1000); END LOOP; END $$;";
    client
        .execute("SET client_min_messages = warning")
        .await
        .unwrap();
    client
        .execute(&format!("{notices} SELECT '{large}'"))
        .await
        .unwrap();
    let rows = client.query(&format!("SELECT '{large}'")).await.unwrap();
    assert!(rows[0].get(0) == Some(&*large));
}

#[tokio::test]
async fn a_message_over_the_limit_is_a_clear_error() {
    let config = config(server(Version::V18)).with_max_message_size(1 << 20);
    let mut client = Client::connect(&config).await.unwrap();
    client.query("SELECT repeat('x', 1000000)").await.unwrap();
    let error = client
        .query("SELECT repeat('x', 2000000)")
        .await
        .unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Limit);
    // Behind the answer to the query before it.
    let offset = error.offset().unwrap();
    assert!((1_000_000..1_010_000).contains(&offset), "{offset}");
    assert_eq!(
        error.to_string(),
        format!(
            "the server sent a message 'D' of 2000010 bytes, and the limit is 1048576 (byte {offset} of the connection)"
        )
    );
    assert!(error.hint().unwrap().contains("max_message_size"));
}
