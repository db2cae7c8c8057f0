//! The source's own lines against what we make of its values, at real servers: the same rows either way.

use testdata::{Client, Server, Version};
use walproto::Oid;

use super::*;
use crate::destination::server::Writer;
use crate::dialect::corpus::{TYPES, fill};
use crate::position::{PositionRow, State};

/// What COPY has its own ideas about.
const TEXTS: (&str, &[&str], &str) = (
    "text",
    &[
        "\\.",
        "\\N",
        "\\",
        "\\\\",
        "\t",
        "\n",
        "\r",
        "\r\n",
        "\u{8}\u{b}\u{c}\u{1}\u{7f}",
        "",
        " ",
        "\\x41",
        "\\101",
        "\\n",
        "\u{10FFFF}",
    ],
    "repeat(chr(n), n)",
);

fn table(column: Column) -> Arc<Table> {
    Arc::new(Table {
        oid: Oid(1),
        schema: "public".to_owned(),
        name: "t".to_owned(),
        destination: "d".to_owned(),
        columns: vec![Column::new("n", Oid(23), -1, Oid(23)), column],
        key: vec![],
        identity: 'd',
        relfilenode: 1,
    })
}

fn chunk(table: &Arc<Table>, lines: &[u8]) -> Chunk {
    let mut chunk = Chunk::new(Arc::clone(table), Lsn(100), 0, 1);
    for line in lines.split_inclusive(|byte| *byte == b'\n') {
        chunk.push(line);
    }
    chunk
}

async fn open(server: &Server, on_misfit: OnMisfit) -> (Writer<Session>, PositionRow) {
    let options = server.url("postgres").parse().unwrap();
    let wait = Duration::from_secs(5);
    let way = Way::new(options, "s".to_owned(), wait, on_misfit);
    let mut writer = Writer::open(way, wait, OnConflict::Stop).await.unwrap();
    let intent = PositionRow {
        slot: "s".to_owned(),
        state: State::Intent,
        system_id: "1".to_owned(),
        timeline: 1,
        database: "d".to_owned(),
        publications: vec!["p".to_owned()],
        lsn: Lsn(90),
        epoch: 0,
        holder: "me".to_owned(),
        fingerprint: String::new(),
        source_time: None,
    };
    let row = writer.write_intent(intent).await.unwrap();
    let first = table(Column::new("c", Oid(25), -1, Oid(25)));
    writer
        .create_table("s", &first, crate::destination::Existing::Refuse)
        .await
        .unwrap();
    let row = writer.activate(row).await.unwrap();
    (writer, row)
}

#[tokio::test]
async fn lines_of_the_source_mean_the_same_as_its_values() {
    let source = Server::start(Version::NEWEST);
    let mut client = Client::connect(&source, "postgres").unwrap();
    client
        .batch("SET TimeZone = 'UTC'; SET lc_monetary = 'C'; SELECT setseed(0.3)")
        .unwrap();
    let mut corpus = Vec::new();
    for (sql_type, edges, random) in TYPES.iter().chain([&TEXTS]) {
        let (column, _) = fill(&mut client, sql_type, edges, random, 20);
        client.batch("INSERT INTO t (c) VALUES (NULL)").unwrap();
        let rows = "COPY (SELECT n, c FROM t ORDER BY n) TO STDOUT";
        corpus.push((sql_type, column, client.copy_out(rows).unwrap()));
    }
    for version in [Version::V14, Version::NEWEST] {
        let server = Server::start(version);
        let (mut writer, row) = open(&server, OnMisfit::Text).await;
        let mut looker = Client::connect(&server, "postgres").unwrap();
        looker.batch("SET TimeZone = 'UTC'").unwrap();
        for (sql_type, column, sent) in &corpus {
            let table = table(column.clone());
            for as_they_are in [true, false] {
                writer.begin_copy(&row, &table, Lsn(100)).await.unwrap();
                let (_, reads) = {
                    writer.db().await.unwrap();
                    let (db, statements) = writer.parts().unwrap();
                    statements.copy_in(db, &table).await.unwrap()
                };
                // Only what an older server would not read is text there, and looked at.
                let newer = ["interval", "jsonpath", "numeric(3,-2)", "numeric(2,5)"];
                let is_kept = version == Version::V14 && newer.contains(sql_type);
                assert_eq!(reads, !is_kept, "{sql_type}");
                if !as_they_are {
                    writer.parts().unwrap().1.look_at_values();
                }
                writer.copy(&row, &chunk(&table, sent)).await.unwrap();
                let rows = "COPY (SELECT n, c FROM d ORDER BY n) TO STDOUT";
                let there = looker.copy_out(rows).unwrap();
                assert_eq!(
                    String::from_utf8(there).unwrap(),
                    String::from_utf8(sent.clone()).unwrap(),
                    "{sql_type} at {version:?}, as they are: {as_they_are}"
                );
            }
        }
    }
}

#[tokio::test]
async fn what_the_server_refuses_is_named_as_we_would_have_named_it() {
    let server = Server::start(Version::NEWEST);
    let (mut writer, row) = open(&server, OnMisfit::Fail).await;
    let table = table(Column::new("c", Oid(25), -1, Oid(25)));
    writer.begin_copy(&row, &table, Lsn(100)).await.unwrap();
    for (line, says) in [
        (&b"1\t\xff\n"[..], "is not UTF-8"),
        (b"x\ta\n", "is not what PostgreSQL prints for type integer"),
        (b"1\ta\tb\n", "a row that does not have 2 columns"),
        (b"1\n", "a row that does not have 2 columns"),
    ] {
        let error = writer.copy(&row, &chunk(&table, line)).await.unwrap_err();
        let text = error.to_string();
        assert!(text.contains(says) && text.contains("public.t"), "{text}");
        assert_eq!(error.exit_code(), 3);
    }
    writer.copy(&row, &chunk(&table, b"1\ta\n")).await.unwrap();
}
