//! The comparison finds what differs, on real servers: a changed value, a missing row, an extra row, and nothing else.

use replicator::compare::{Difference, Report, compare};
use replicator::{Config, ErrorKind, ShutdownHandle, Until};
use tempfile::TempDir;
use testdata::{Client, Server, Version};

/// A source and a file that follows it.
struct Pair {
    source: Client,
    server: Server,
    folder: TempDir,
}

impl Pair {
    /// A source with these tables, replicated up to now.
    async fn new(version: Version, sql: &str) -> Self {
        let server = Server::start(version);
        let mut source = Client::connect(&server, "postgres").unwrap();
        source.batch(sql).unwrap();
        let pair = Self {
            source,
            server,
            folder: tempfile::tempdir().unwrap(),
        };
        pair.replicate().await;
        pair
    }

    async fn replicate(&self) {
        let (_handle, shutdown) = ShutdownHandle::new();
        let config =
            Config::new(self.server.url("postgres"), self.destination()).until(Until::Current);
        replicator::run(config, shutdown).await.unwrap();
    }

    fn destination(&self) -> String {
        format!("sqlite:{}", self.folder.path().join("file.db").display())
    }

    /// Changes the file behind the replicator's back.
    fn tamper(&self, sql: &str) {
        let file = rusqlite::Connection::open(self.folder.path().join("file.db")).unwrap();
        assert_eq!(file.execute(sql, []).unwrap(), 1, "{sql}");
    }

    async fn compare(&self) -> Report {
        compare(
            &self.server.url("postgres"),
            &self.destination(),
            "replicator",
        )
        .await
        .unwrap()
    }

    /// What the comparison says, as people read it.
    async fn told(&self) -> Vec<String> {
        let report = self.compare().await;
        let told: Vec<String> = report.differences().map(Difference::to_string).collect();
        assert_eq!(report.is_equal(), told.is_empty());
        told
    }
}

const TABLES: &str = "
CREATE TABLE orders (number bigint, line smallint, total numeric, paid boolean, rate double precision, picture bytea,
                     note text, at timestamptz, tags text[], PRIMARY KEY (number, line));
INSERT INTO orders VALUES
  (1, 1, 1.50, true, '-0', '\\x00ff', E'tab\\t, line\\n, backslash \\\\', '-infinity', '{a,NULL}'),
  (1, 2, 'NaN', false, 'NaN', '', '', '2024-02-29 12:00:00.5+00', '{}'),
  (2, 1, NULL, NULL, NULL, NULL, NULL, NULL, NULL),
  (3, 1, 0.10, true, 1e-300, '\\xdead', 'plain', '0044-03-15 BC', '{\"x y\"}');
CREATE TABLE twins (word text, number integer);
ALTER TABLE twins REPLICA IDENTITY FULL;
INSERT INTO twins VALUES ('a', 1), ('a', 1), ('a', 1), (NULL, NULL), (NULL, NULL);
CREATE SCHEMA other;
CREATE TABLE other.empty (id integer PRIMARY KEY)";

#[tokio::test]
async fn each_difference_is_found_where_it_is() {
    let mut pair = Pair::new(Version::V17, TABLES).await;
    let report = pair.compare().await;
    assert!(report.is_equal(), "{report:?}");
    let counts: Vec<_> = report
        .tables
        .iter()
        .map(|table| {
            (
                &*table.name,
                &*table.destination,
                table.rows_source,
                table.rows_destination,
            )
        })
        .collect();
    assert_eq!(
        counts,
        [
            ("other.empty", "other__empty", 0, 0),
            ("public.orders", "orders", 4, 4),
            ("public.twins", "twins", 5, 5),
        ]
    );

    // A value that even SQLite takes for the same number.
    pair.tamper("UPDATE orders SET total = '1.5' WHERE (number, line) = (1, 1)");
    let told = "table public.orders, row number='1', line='1', column total: '1.50' at the source, '1.5' at the destination";
    assert_eq!(pair.told().await, [told]);

    // Empty is not NULL.
    pair.tamper("UPDATE orders SET total = '1.50', note = NULL, picture = NULL WHERE (number, line) = (1, 2)");
    pair.tamper("UPDATE orders SET total = '1.50' WHERE (number, line) = (1, 1)");
    let row = "table public.orders, row number='1', line='2', column";
    assert_eq!(
        pair.told().await,
        [
            format!("{row} total: 'NaN' at the source, '1.50' at the destination"),
            format!("{row} picture: '\\\\x' at the source, NULL at the destination"),
            format!("{row} note: '' at the source, NULL at the destination"),
        ]
    );
    pair.tamper(
        "UPDATE orders SET total = 'NaN', note = '', picture = x'' WHERE (number, line) = (1, 2)",
    );
    assert_eq!(pair.told().await, [""; 0]);

    pair.tamper("DELETE FROM orders WHERE (number, line) = (2, 1)");
    let missing = "table public.orders: row number='2', line='1' is missing at the destination";
    assert_eq!(pair.told().await, [missing]);

    pair.tamper("INSERT INTO other__empty VALUES (7)");
    let extra = "table other.empty: row id='7' is only at the destination";
    assert_eq!(pair.told().await, [extra, missing]);

    // One of three equal rows is one row too few.
    pair.tamper("DELETE FROM twins WHERE rowid = (SELECT min(rowid) FROM twins WHERE word = 'a')");
    pair.tamper("INSERT INTO twins VALUES (NULL, NULL)");
    let twins = [
        "table public.twins: row word='a', number='1' is missing at the destination",
        "table public.twins: row word=NULL, number=NULL is only at the destination",
    ];
    assert_eq!(pair.told().await, [extra, missing, twins[0], twins[1]]);

    // What the source did since is a difference as well.
    pair.source.batch("DELETE FROM orders").unwrap();
    let report = pair.compare().await;
    assert_eq!(report.tables[1].rows_source, 0);
    assert_eq!(report.tables[1].differences.len(), 3);
}

#[tokio::test]
async fn a_value_that_is_not_stored_as_its_type_is_a_difference() {
    let pair = Pair::new(Version::V14, TABLES).await;
    assert_eq!(pair.told().await, [""; 0]);
    // Text where a boolean belongs, and an integer where a blob does.
    pair.tamper("UPDATE orders SET paid = 'true' WHERE (number, line) = (1, 1)");
    pair.tamper("UPDATE orders SET picture = 'dead' WHERE (number, line) = (3, 1)");
    let told = pair.told().await;
    assert_eq!(told.len(), 2, "{told:?}");
    assert!(
        told[0].contains("column paid: 't' at the source"),
        "{told:?}"
    );
    assert!(
        told[1].contains("column picture: '\\\\xdead' at the source"),
        "{told:?}"
    );
}

#[tokio::test]
async fn only_what_is_published_is_compared() {
    let mut pair = Pair::new(
        Version::V18,
        "CREATE TABLE people (id integer PRIMARY KEY, name text, secret text, country text);
         INSERT INTO people VALUES (1, 'a', 's1', 'de'), (2, 'b', 's2', 'fr'), (3, 'c', 's3', 'de');
         CREATE TABLE parts (id integer PRIMARY KEY, what text) PARTITION BY RANGE (id);
         CREATE TABLE parts_1 PARTITION OF parts FOR VALUES FROM (0) TO (10);
         CREATE TABLE parts_2 PARTITION OF parts FOR VALUES FROM (10) TO (20);
         INSERT INTO parts VALUES (1, 'x'), (11, 'y');
         CREATE PUBLICATION replicator FOR TABLE people (id, name), parts
           WITH (publish = 'insert, truncate', publish_via_partition_root = true);
         ALTER PUBLICATION replicator SET TABLE people (id, name) WHERE (country = 'de'), parts",
    )
    .await;
    let report = pair.compare().await;
    assert!(report.is_equal(), "{report:?}");
    let counts: Vec<_> = report
        .tables
        .iter()
        .map(|table| (&*table.name, table.rows_source))
        .collect();
    assert_eq!(counts, [("public.parts", 2), ("public.people", 2)]);

    // Outside of what is published.
    pair.source
        .batch("UPDATE people SET secret = 'other'")
        .unwrap();
    pair.source
        .batch("UPDATE people SET name = 'B' WHERE id = 2")
        .unwrap();
    assert_eq!(pair.told().await, [""; 0]);
    // Inside, and updates are not published here.
    pair.source
        .batch("UPDATE people SET name = 'C' WHERE id = 3")
        .unwrap();
    pair.source
        .batch("UPDATE parts SET what = 'Y' WHERE id = 11")
        .unwrap();
    assert_eq!(
        pair.told().await,
        [
            "table public.parts, row id='11', column what: 'Y' at the source, 'y' at the destination",
            "table public.people, row id='3', column name: 'C' at the source, 'c' at the destination",
        ]
    );
}

#[tokio::test]
async fn what_cannot_be_compared_is_said() {
    let pair = Pair::new(Version::V16, "CREATE TABLE one (id integer PRIMARY KEY)").await;
    let source = pair.server.url("postgres");

    let error = compare(&source, &pair.destination(), "another")
        .await
        .unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Usage);
    assert!(
        error
            .to_string()
            .ends_with("holds nothing that came through slot \"another\""),
        "{error}"
    );

    let absent = pair.folder.path().join("absent.db");
    let error = compare(
        &source,
        &format!("sqlite:{}", absent.display()),
        "replicator",
    )
    .await
    .unwrap_err();
    assert!(error.to_string().contains("absent.db"), "{error}");
    assert!(!absent.exists());

    assert_eq!(
        compare(&source, "duckdb:x", "replicator")
            .await
            .unwrap_err()
            .kind(),
        ErrorKind::Usage
    );
}
