//! The table of errors, row by row, on real servers: kind, SQLSTATE, whether it passes, and the remedy.

mod door;
mod slot;

use std::collections::BTreeSet;

use testdata::{Server, Version};
use walstream::{Client, Config, Error, ErrorKind, StreamOptions};

use crate::sql;
use door::{at_the_door, strict};
use slot::{at_the_slot, in_the_settings, in_the_stream};

/// What a row of the table says.
struct Row {
    kind: ErrorKind,
    /// Empty where the server reports none.
    sqlstate: &'static str,
    passes: bool,
    /// What the remedy names.
    remedy: &'static str,
}

const fn person(kind: ErrorKind, sqlstate: &'static str, remedy: &'static str) -> Row {
    Row {
        kind,
        sqlstate,
        passes: false,
        remedy,
    }
}

const fn passes(kind: ErrorKind, sqlstate: &'static str, remedy: &'static str) -> Row {
    Row {
        passes: true,
        ..person(kind, sqlstate, remedy)
    }
}

/// Compares errors with rows, and remembers which kinds it saw.
struct Table {
    on: String,
    seen: BTreeSet<String>,
}

impl Table {
    fn new(on: impl ToString) -> Self {
        Self {
            on: on.to_string(),
            seen: BTreeSet::new(),
        }
    }

    #[track_caller]
    fn row<T>(&mut self, result: Result<T, Error>, row: &Row) -> Error {
        let on = &self.on;
        let Err(error) = result else {
            panic!("on {on}: no error, expected {:?}", row.kind);
        };
        assert_eq!(error.kind(), row.kind, "on {on}: {error:?}");
        assert_eq!(
            error.sqlstate().unwrap_or_default(),
            row.sqlstate,
            "on {on}: {error:?}"
        );
        assert_eq!(error.is_transient(), row.passes, "on {on}: {error:?}");
        assert_eq!(error.needs_person(), !row.passes);
        let hint = error.hint().unwrap_or_else(|| panic!("no hint: {error:?}"));
        assert!(
            hint.contains(row.remedy) && hint.ends_with('.'),
            "on {on}: {:?} is not in the remedy {hint:?}",
            row.remedy
        );
        let name = format!("{:?}", error.kind());
        let name = name.split([' ', '{']).next().unwrap_or_default();
        self.seen.insert(name.to_owned());
        error
    }
}

fn admin(server: &Server, text: &str) {
    testdata::Client::connect(server, "postgres")
        .and_then(|mut client| client.batch(text))
        .unwrap();
}

fn user(server: &Server, login: &str) -> Config {
    let url = server.url("postgres");
    url.replace("postgres@", &format!("{login}@"))
        .parse()
        .unwrap()
}

async fn login(config: &Config) -> Result<Client, Error> {
    Client::connect(config).await
}

async fn wire(config: &Config) -> Result<Client, Error> {
    Client::connect_replication(config).await
}

async fn all(builder: impl Fn() -> testdata::Builder, table: &mut Table) {
    let mut server = strict(builder());
    at_the_door(&mut server, table).await;
    at_the_slot(&server, table).await;
    in_the_stream(&server, table).await;
    drop(server);
    in_the_settings(builder, table).await;
    // A row that was forgotten must not go unnoticed.
    let kinds = [
        "Authentication",
        "Config",
        "Connect",
        "ConnectionClosed",
        "DatabaseMissing",
        "PublicationMissing",
        "Rights",
        "Server",
        "ServerShutdown",
        "SlotExists",
        "SlotInUse",
        "SlotMissing",
        "SlotWrongDatabase",
        "SlotWrongPlugin",
        "TooManyConnections",
        "TooManySlots",
        "WalLevel",
    ];
    table.seen.remove("Unsupported");
    assert!(
        table.seen.iter().eq(kinds),
        "on {}: {:?}",
        table.on,
        table.seen
    );
}

#[tokio::test]
async fn every_row_of_the_table_holds_on_14() {
    all(|| Server::builder(Version::V14), &mut Table::new(14)).await;
}

#[tokio::test]
async fn every_row_of_the_table_holds_on_15() {
    all(|| Server::builder(Version::V15), &mut Table::new(15)).await;
}

#[tokio::test]
async fn every_row_of_the_table_holds_on_16() {
    all(|| Server::builder(Version::V16), &mut Table::new(16)).await;
}

#[tokio::test]
async fn every_row_of_the_table_holds_on_17() {
    all(|| Server::builder(Version::V17), &mut Table::new(17)).await;
}

#[tokio::test]
async fn every_row_of_the_table_holds_on_18() {
    all(|| Server::builder(Version::V18), &mut Table::new(18)).await;
}

#[tokio::test]
async fn every_row_of_the_table_holds_where_the_server_speaks_german() {
    let german = || Server::distribution().locale("de_DE.UTF-8");
    let server = german().start();
    let error = sql(&server).await.query("SELEC").await.unwrap_err();
    let words = &error.report().unwrap().message;
    assert!(words.contains("Syntaxfehler"), "not German: {words}");
    drop(server);
    all(german, &mut Table::new("the German server")).await;
}

/// The kinds that come from our own side, with their remedies.
#[tokio::test]
async fn what_is_refused_here_has_a_remedy_too() {
    let mut table = Table::new("our own side");
    let error = Config::parse("postgres://u@h/d?no_such_parameter=1");
    table.row(error, &person(ErrorKind::Config, "", "libpq"));
    let options = StreamOptions {
        publications: Vec::new(),
        ..StreamOptions::new("s", ["p"])
    };
    let version = walstream::ServerVersion(160_000);
    table.row(
        options.check(version),
        &person(
            ErrorKind::Config,
            "",
            "Correct the connection string, option",
        ),
    );
    let options = StreamOptions {
        origin_none: true,
        ..StreamOptions::new("s", ["p"])
    };
    table.row(
        options.check(walstream::ServerVersion(150_000)),
        &person(ErrorKind::Unsupported, "", "version that has it"),
    );
    // Somebody else answers.
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    let peer = std::thread::spawn(move || {
        use std::io::{Read, Write};
        let (mut socket, _) = listener.accept().unwrap();
        let _ = socket.read(&mut [0; 1024]);
        socket
            .write_all(b"HTTP/1.1 400 Bad Request\r\n\r\n")
            .unwrap();
    });
    let foreign = Config::parse(&format!("postgres://u@127.0.0.1:{port}/d?sslmode=disable"));
    table.row(
        login(&foreign.unwrap()).await,
        &person(ErrorKind::Protocol, "", "host and port"),
    );
    peer.join().unwrap();
}
