//! Rows as large as servers make them, and larger than they may be here.
//!
//! A program of its own: it looks at the memory of its process.

use testdata::{Server, Version};
use walstream::walproto::{Column, Lsn};
use walstream::{
    Change, Client, Config, Error, ErrorKind, Event, Limits, SlotOptions, Stream, StreamOptions,
    Transaction,
};

/// A server on which one row with so long a text was inserted into a published table.
async fn server(length: usize) -> Server {
    let server = Server::start(Version::NEWEST);
    let mut sql = testdata::Client::connect(&server, "postgres").unwrap();
    sql.batch("CREATE TABLE t (id int PRIMARY KEY, v text); CREATE PUBLICATION p FOR TABLE t")
        .unwrap();
    let mut client = Client::connect_replication(&config(&server)).await.unwrap();
    client
        .create_slot("s", &SlotOptions::default())
        .await
        .unwrap();
    let insert = format!("INSERT INTO t VALUES (1, repeat('0123456789', {length} / 10))");
    sql.batch(&insert).unwrap();
    server
}

fn config(server: &Server) -> Config {
    Config::parse(&server.socket_url("postgres")).unwrap()
}

async fn first(config: &Config) -> Result<Transaction, Error> {
    let client = Client::connect_replication(config).await?;
    let options = StreamOptions::new("s", ["p"]);
    let mut stream = Stream::start(client, &options, Lsn::ZERO, Limits::default()).await?;
    loop {
        match stream.next_event().await? {
            Some(Event::Transaction(transaction)) => return Ok(transaction),
            Some(Event::Idle(_)) => {}
            other => panic!("{other:?}"),
        }
    }
}

/// The most memory that this process ever took, in bytes.
fn most_memory() -> usize {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
    let number = line.and_then(|line| line.split_whitespace().next());
    number.unwrap().parse::<usize>().unwrap() << 10
}

#[tokio::test]
async fn a_value_of_140_mb_takes_a_small_multiple_of_itself() {
    const LENGTH: usize = 140_000_000;
    let server = server(LENGTH).await;
    let mut transaction = first(&config(&server)).await.unwrap();
    let mut changes = transaction.changes().unwrap();
    let mut met = 0;
    while let Some((_, change)) = changes.next().unwrap() {
        if let Change::Insert { new, .. } = change {
            let Some(Column::Text(text)) = new.columns().nth(1) else {
                panic!("no text")
            };
            assert_eq!((text.len(), &text[LENGTH - 3..]), (LENGTH, &b"789"[..]));
            met += 1;
        }
    }
    assert_eq!(met, 1);
    let times = most_memory() as f64 / LENGTH as f64;
    assert!(times < 3.5, "{times:.2} times its size");
}

#[tokio::test]
async fn a_row_over_the_limit_says_how_large_it_is_and_what_to_raise() {
    let server = server(2_000_000).await;
    let small = config(&server).with_max_message_size(1 << 20);
    let error = first(&small).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Limit);
    let text = error.to_string();
    // The row, its headers, its other column and the length itself.
    let row = 2_000_000 + 4 + 25 + 8 + 11;
    for part in ["'d'", &row.to_string(), "1048576", "byte"] {
        assert!(text.contains(part), "{part} in {text}");
    }
    assert!(error.offset().is_some_and(|offset| offset > 500), "{text}");
    assert!(error.hint().unwrap().contains("max_message_size"));
    assert!(error.needs_person(), "it would come again and again");
    let raised = config(&server).with_max_message_size(3 << 20);
    assert!(first(&raised).await.is_ok());
}
