//! The table of errors, row by row, on real servers: kind, SQLSTATE, whether it passes, and the remedy.

use std::collections::BTreeSet;
use std::time::Duration;

use testdata::{Server, Version};
use walstream::walproto::Lsn;
use walstream::{
    AlterSlot, Client, Config, Error, ErrorKind, Event, Limits, SlotOptions, Stream, StreamOptions,
};

use crate::{config, refused, replication, sql};

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

/// A server where everything that can be refused at the door is.
fn strict(builder: testdata::Builder) -> Server {
    let server = builder
        .setting("max_connections", 12)
        .setting("superuser_reserved_connections", 3)
        .setting("max_wal_senders", 2)
        .setting("max_replication_slots", 2)
        .allow("hostssl all tls 127.0.0.1/32 trust")
        .allow("host all tls 127.0.0.1/32 reject")
        .allow("host all scram 127.0.0.1/32 scram-sha-256")
        .allow("host all rejected 127.0.0.1/32 reject")
        .start();
    admin(
        &server,
        "CREATE ROLE scram LOGIN PASSWORD 's'; CREATE ROLE rejected LOGIN; CREATE ROLE tls LOGIN;
         CREATE ROLE plain LOGIN; CREATE ROLE sleeping NOLOGIN; CREATE ROLE sender LOGIN REPLICATION;
         CREATE ROLE single LOGIN CONNECTION LIMIT 1; CREATE TABLE secret (id int)",
    );
    for text in [
        "CREATE DATABASE closed ALLOW_CONNECTIONS false",
        "CREATE DATABASE private",
    ] {
        admin(&server, text);
    }
    admin(&server, "REVOKE CONNECT ON DATABASE private FROM PUBLIC");
    server
}

async fn at_the_door(server: &mut Server, table: &mut Table) {
    use ErrorKind::{
        Authentication, Config as Settings, Connect, DatabaseMissing, Rights, Server as Other,
        ServerShutdown, TooManyConnections,
    };
    let with_database = |role: &str, database: &str| user(server, role).with_database(database);
    table.row(
        login(&user(server, "scram:wrong")).await,
        &person(Authentication, "28P01", "password"),
    );
    for role in ["rejected", "absent", "sleeping"] {
        table.row(
            login(&user(server, role)).await,
            &person(Authentication, "28000", "pg_hba.conf"),
        );
    }
    table.row(
        login(&user(server, "tls").with_host("127.0.0.1")).await,
        &person(Authentication, "28000", "sslmode=require"),
    );
    table.row(
        login(&with_database("plain", "absent")).await,
        &person(DatabaseMissing, "3D000", "pg_database"),
    );
    table.row(
        login(&with_database("plain", "closed")).await,
        &person(Other, "55000", "ALLOW_CONNECTIONS"),
    );
    table.row(
        login(&with_database("plain", "private")).await,
        &person(Rights, "42501", "GRANT CONNECT"),
    );
    table.row(
        wire(&user(server, "plain")).await,
        &person(Rights, "42501", "ALTER ROLE … REPLICATION"),
    );
    for options in ["-c no_such_setting=1", "-c work_mem=x"] {
        table.row(
            login(&user(server, "plain").with_options(options)).await,
            &person(
                Settings,
                if options.ends_with('x') {
                    "22023"
                } else {
                    "42704"
                },
                "options",
            ),
        );
    }

    let kept = login(&user(server, "single")).await.unwrap();
    table.row(
        login(&user(server, "single")).await,
        &passes(TooManyConnections, "53300", "CONNECTION LIMIT"),
    );
    drop(kept);
    let senders = [
        wire(&user(server, "sender")).await.unwrap(),
        wire(&user(server, "sender")).await.unwrap(),
    ];
    table.row(
        wire(&user(server, "sender")).await,
        &passes(TooManyConnections, "53300", "max_wal_senders"),
    );
    drop(senders);
    let mut sessions = Vec::new();
    let full = loop {
        match login(&user(server, "plain")).await {
            Ok(session) => sessions.push(session),
            refused => break refused,
        }
    };
    table.row(
        full,
        &passes(TooManyConnections, "53300", "max_connections"),
    );
    assert!(sessions.len() <= 12);

    // Ended from outside: by whom, a later attempt shows.
    let mut ended = sessions.swap_remove(0);
    admin(
        server,
        &format!("SELECT pg_terminate_backend({})", ended.process_id()),
    );
    table.row(
        ended.query("SELECT 1").await,
        &passes(ServerShutdown, "57P01", "Connect again"),
    );
    table.row(
        ended.query("SELECT 1").await,
        &passes(ErrorKind::ConnectionClosed, "", "Connect again"),
    );
    let mut reader = sessions.swap_remove(0);
    table.row(
        reader.query("SELECT * FROM public.secret").await,
        &person(Rights, "42501", "GRANT SELECT"),
    );
    table.row(
        reader.copy_out("COPY public.secret TO STDOUT").await,
        &person(Rights, "42501", "GRANT SELECT"),
    );
    table.row(
        reader.query("SELECT * FROM absent").await,
        &person(Other, "42P01", "server's own words"),
    );
    table.row(
        reader
            .query("SET lock_timeout = 1; SELECT pg_sleep(0); SET statement_timeout = 1; SELECT pg_sleep(9)")
            .await,
        &passes(Other, "57014", "Try again"),
    );

    // Stopping: it waits for the session, and takes no other.
    server.signal("TERM");
    let stopping = loop {
        match login(&user(server, "postgres")).await {
            Ok(_) => tokio::time::sleep(Duration::from_millis(10)).await,
            refused => break refused,
        }
    };
    table.row(
        stopping,
        &passes(ServerShutdown, "57P03", "once the server is up"),
    );
    drop((reader, sessions));
    server.stop_immediate();
    table.row(
        login(&user(server, "postgres")).await,
        &passes(Connect, "", "host and port"),
    );
    // What follows is not to meet the same limits.
    server.set("max_wal_senders", 8);
    server.set("max_connections", 50);
    server.start_again();
}

async fn at_the_slot(server: &Server, table: &mut Table) {
    use ErrorKind::{
        Config as Settings, PublicationMissing, Rights, SlotExists, SlotInUse, SlotMissing,
        SlotWrongDatabase, SlotWrongPlugin, TooManySlots, Unsupported,
    };
    let major = server.version().major();
    let p = |slot: &str| StreamOptions::new(slot, ["p"]);
    let usual = SlotOptions::default();
    let mut client = replication(server).await;
    client.execute("CREATE PUBLICATION p").await.unwrap();
    client.create_slot("one", &usual).await.unwrap();
    table.row(
        client.create_slot("one", &usual).await,
        &person(SlotExists, "42710", "another slot name"),
    );
    table.row(
        client.create_slot("O'ne", &usual).await,
        &person(Settings, "", "a-z"),
    );
    client.create_slot("two", &usual).await.unwrap();
    table.row(
        client.create_slot("three", &usual).await,
        &person(TooManySlots, "53400", "max_replication_slots"),
    );
    client.drop_slot("two", false).await.unwrap();

    let missing = person(SlotMissing, "", "copy the tables again");
    table.row(Err::<(), _>(refused(server, &p("absent")).await), &missing);
    table.row(
        client.drop_slot("absent", false).await,
        &person(SlotMissing, "42704", "copy the tables again"),
    );
    table.row(
        sql(server).await.drop_slot("absent", false).await,
        &person(SlotMissing, "42704", "copy the tables again"),
    );
    table.row(
        Err::<(), _>(refused(server, &StreamOptions::new("one", ["p", "absent"])).await),
        &person(PublicationMissing, "", "and the slot after it"),
    );

    let holder = replication(server).await;
    let pid = holder.process_id();
    let stream = Stream::start(holder, &p("one"), Lsn::ZERO, Limits::default())
        .await
        .unwrap();
    let in_use = passes(
        SlotInUse { pid: Some(pid) },
        "55006",
        "pg_terminate_backend(",
    );
    table.row(Err::<(), _>(refused(server, &p("one")).await), &in_use);
    table.row(client.drop_slot("one", false).await, &in_use);
    let on = AlterSlot {
        failover: Some(true),
        ..AlterSlot::default()
    };
    if major >= 17 {
        // The server would wait.
        table.row(
            client.alter_slot("one", &on).await,
            &Row {
                sqlstate: "",
                ..in_use
            },
        );
        table.row(
            client.alter_slot("absent", &on).await,
            &person(SlotMissing, "42704", "copy the tables again"),
        );
    } else {
        table.row(
            client.alter_slot("one", &on).await,
            &person(Unsupported, "", "version"),
        );
    }
    stream.finish().await.unwrap();

    let elsewhere = config(server).with_database("template1");
    let elsewhere = Client::connect_replication(&elsewhere).await.unwrap();
    table.row(
        Stream::start(elsewhere, &p("one"), Lsn::ZERO, Limits::default()).await,
        &person(SlotWrongDatabase, "", "slot's database"),
    );
    client
        .execute("SELECT pg_create_physical_replication_slot('physical')")
        .await
        .unwrap();
    table.row(
        Err::<(), _>(refused(server, &p("physical")).await),
        &person(SlotWrongPlugin, "", "pgoutput"),
    );
    client.drop_slot("physical", false).await.unwrap();
    client
        .execute("SELECT pg_create_logical_replication_slot('other', 'test_decoding')")
        .await
        .unwrap();
    table.row(
        Err::<(), _>(refused(server, &p("other")).await),
        &person(SlotWrongPlugin, "", "pgoutput"),
    );
    client.drop_slot("other", false).await.unwrap();

    // A WAL sender asks for the right when it begins, and never again.
    let mut plain = login(&user(server, "plain")).await.unwrap();
    table.row(
        plain.drop_slot("one", false).await,
        &person(Rights, "42501", "REPLICATION"),
    );
    client.drop_slot("one", true).await.unwrap();
}

/// A publication that goes while it is read: an error until 17, silence from 18 on, and told at the next start.
async fn in_the_stream(server: &Server, table: &mut Table) {
    let mut client = replication(server).await;
    client
        .execute("CREATE TABLE public.t (id int); CREATE PUBLICATION gone FOR TABLE public.t")
        .await
        .unwrap();
    client
        .create_slot("reading", &SlotOptions::default())
        .await
        .unwrap();
    let options = StreamOptions::new("reading", ["gone"]);
    let start = Stream::start(
        replication(server).await,
        &options,
        Lsn::ZERO,
        Limits::default(),
    );
    let mut stream = start.await.unwrap();
    client
        .execute("DROP PUBLICATION gone; INSERT INTO public.t VALUES (1)")
        .await
        .unwrap();
    let end = async {
        loop {
            match stream.next().await? {
                Some(Event::Idle(idle)) => {
                    let rows = client.query("SELECT pg_current_wal_flush_lsn()").await?;
                    let flushed: Lsn = rows[0].get(0).unwrap_or_default().parse().unwrap();
                    let passed = idle.lsn() >= flushed;
                    idle.confirm();
                    if passed {
                        return Ok(());
                    }
                }
                Some(_) => {}
                None => panic!("the stream ended"),
            }
        }
    };
    let end: Result<(), Error> = tokio::time::timeout(Duration::from_secs(90), end)
        .await
        .unwrap();
    if server.version().major() < 18 {
        table.row(
            end,
            &person(
                ErrorKind::PublicationMissing,
                "42704",
                "Create the publication",
            ),
        );
        drop(stream);
    } else {
        end.unwrap();
        stream.finish().await.unwrap();
    }
    table.row(
        Err::<(), _>(refused(server, &options).await),
        &person(ErrorKind::PublicationMissing, "", "Create the publication"),
    );
    client.drop_slot("reading", true).await.unwrap();
}

async fn in_the_settings(builder: impl Fn() -> testdata::Builder, table: &mut Table) {
    let server = builder().setting("wal_level", "replica").start();
    let mut client = replication(&server).await;
    table.row(
        client.create_slot("s", &SlotOptions::default()).await,
        &person(ErrorKind::WalLevel, "55000", "wal_level = logical"),
    );
    drop((client, server));
    let server = builder().setting("max_replication_slots", 0).start();
    let mut client = replication(&server).await;
    table.row(
        client.create_slot("s", &SlotOptions::default()).await,
        &person(ErrorKind::TooManySlots, "55000", "max_replication_slots"),
    );
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
    table.row(error, &person(ErrorKind::Config, "", "host, port"));
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
