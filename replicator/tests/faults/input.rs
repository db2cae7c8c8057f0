//! Words on the command line and servers that refuse us: one sentence and an exit code, nothing left behind.

use testdata::{Server, Version};

use crate::assert_nothing_left;
use crate::common::{self, PATIENCE, Running, Site, replicator};

fn run(site: &Site, source: &str) -> common::Outcome {
    let mut command = common::program();
    command.args([
        "run", "--until", "current", "--slot", &site.slot, "--source", source,
    ]);
    command.args(["--destination", &site.destination()]);
    Running::start(&mut command).wait(PATIENCE)
}

#[test]
fn a_source_that_is_no_url_of_a_postgres() {
    let site = Site::new();
    for source in [
        "nonsense",
        "mysql://root@127.0.0.1/shop",
        "postgres://postgres@127.0.0.1:port/shop",
        "postgres://postgres@127.0.0.1:99999/shop",
        "postgres://postgres@[::1/shop",
        "postgres://postgres@127.0.0.1/%zz",
        "postgres://postgres@127.0.0.1/shop?sslmode=maybe",
        "postgres://postgres@127.0.0.1/shop?colour=blue",
        "postgres://postgres@127.0.0.1/shop?options=-c%20DateStyle%3DGerman",
        "host=127.0.0.1 port",
    ] {
        let outcome = run(&site, source);
        outcome.failed(2, &[]);
    }
    assert_nothing_left(&site);
}

#[test]
fn tls_that_is_not_to_be_had_is_not_left_out_silently() {
    let site = Site::new();
    let place = format!("127.0.0.1:{}", site.server.port());
    let source = |mode: &str| format!("{}?sslmode={mode}", site.source());
    for mode in ["require", "verify-ca", "verify-full"] {
        run(&site, &source(mode))
            .failed(3, &[&place, "does not offer TLS"])
            .hinted(&["ssl = on", "sslmode"]);
    }
    run(&site, &source("maybe")).failed(2, &["sslmode", "maybe"]);
    assert_nothing_left(&site);
}

#[test]
fn passwords_are_not_shown() {
    let site = Site::new();
    for source in [
        "postgres://postgres:hunter2@127.0.0.1:1/shop",
        "postgres://postgres:hunter2@127.0.0.1:port/shop",
        "postgres://postgres:hunter2@127.0.0.1/shop?sslmode=maybe",
        "host=127.0.0.1 port=1 user=postgres password=hunter2",
    ] {
        let outcome = run(&site, source);
        assert_ne!(outcome.code, Some(0));
        assert!(!outcome.stderr.contains("hunter2"), "{}", outcome.stderr);
    }
}

#[test]
fn words_that_the_command_line_does_not_have() {
    let source = [
        "--source",
        "postgres://postgres@127.0.0.1:1/shop",
        "--destination",
        "sqlite:unused.db",
    ];
    for wrong in [
        &["--colour", "blue"][..],
        &["--protocol", "5"],
        &["--protocol", "0"],
        &["--until", "tomorrow"],
        &["--until", "16/"],
        &["--copy", "maybe"],
        &["--keyless", "ignore"],
        &["--streaming", "sometimes"],
        &["--memory", "much"],
        &["--takeover", "-1"],
    ] {
        let mut arguments = vec!["run"];
        arguments.extend(source);
        arguments.extend(wrong);
        replicator(&arguments).failed(2, &[]);
    }
    replicator(&["run"]).failed(2, &["required"]);
    replicator(&["walk"]).failed(2, &["walk"]);
    assert_eq!(replicator(&[]).code, Some(2));
    assert_eq!(replicator(&["--help"]).code, Some(0));
    assert_eq!(replicator(&["run", "--help"]).code, Some(0));
}

#[test]
fn a_variable_with_nonsense_is_an_error_too() {
    let site = Site::new();
    let mut command = site.command("run");
    Running::start(command.env("REPLICATOR_PROTOCOL", "nine"))
        .wait(PATIENCE)
        .failed(2, &["nine"]);
}

#[test]
fn nobody_listens() {
    let site = Site::new();
    run(&site, "postgres://postgres@127.0.0.1:1/shop").failed(1, &["127.0.0.1"]);
    run(&site, "postgres://postgres@no-such-host.invalid/shop")
        .failed(1, &["no-such-host.invalid"]);
    assert_nothing_left(&site);
}

#[test]
fn a_database_that_does_not_exist() {
    let site = Site::new();
    run(&site, &site.server.url("absent")).failed(3, &["database"]);
    assert_nothing_left(&site);
}

#[test]
fn a_wrong_password() {
    let site = Site::new();
    site.sql("CREATE ROLE guarded LOGIN REPLICATION PASSWORD 'right'");
    site.server
        .allow("host all guarded 127.0.0.1/32 scram-sha-256");
    site.server.reload();
    let source = |password| {
        format!(
            "postgres://guarded{password}@127.0.0.1:{}/{}",
            site.server.port(),
            site.database
        )
    };
    // The server reads its rules again in its own time.
    common::until("the rule counts", || {
        run(&site, &source(":wrong")).code == Some(3)
    });
    for (password, words) in [(":wrong", "refused the login"), ("", "none is given")] {
        let outcome = run(&site, &source(password));
        outcome.failed(3, &[words]).hinted(&["password"]);
        assert!(!outcome.stderr.contains(":wrong"), "{}", outcome.stderr);
    }
    assert_nothing_left(&site);
}

#[test]
fn a_role_without_rights() {
    let site = Site::new();
    let name = format!("weak_{}", site.slot);
    site.sql(&format!("CREATE ROLE {name} LOGIN"));
    let source = format!(
        "postgres://{name}@127.0.0.1:{}/{}",
        site.server.port(),
        site.database
    );
    // May not replicate,
    run(&site, &source)
        .failed(3, &["may not connect"])
        .hinted(&["REPLICATION"]);
    assert_nothing_left(&site);
    // may not make a publication of tables that it does not own,
    site.sql(&format!("ALTER ROLE {name} REPLICATION"));
    run(&site, &source)
        .failed(3, &["may not"])
        .hinted(&["CREATE on the database"]);
    assert_nothing_left(&site);
    // and may not read the tables of a publication that somebody made for it.
    site.sql("CREATE PUBLICATION replicator FOR TABLE t");
    run(&site, &source)
        .failed(3, &["must not read table public.t"])
        .hinted(&["GRANT SELECT ON \"public\".\"t\""]);
    assert_eq!(site.slot_column("slot_name"), None, "a slot is left");
    assert_eq!(site.tables(), [""; 0], "a table is left");
    // With these three rights it runs.
    site.sql(&format!("GRANT SELECT ON t TO {name}"));
    run(&site, &source).done();
    assert_eq!(site.t(), ["1|one", "2|two"]);
}

/// The slot is there by then, and must not hold WAL for nobody.
#[test]
fn a_snapshot_that_must_not_be_shared() {
    let site = Site::new();
    let name = format!("apart_{}", site.slot);
    site.sql("CREATE PUBLICATION replicator FOR TABLE t");
    site.sql(&format!(
        "CREATE ROLE {name} LOGIN REPLICATION; GRANT SELECT ON t TO {name};
         REVOKE EXECUTE ON FUNCTION pg_export_snapshot() FROM PUBLIC"
    ));
    let source = format!(
        "postgres://{name}@127.0.0.1:{}/{}",
        site.server.port(),
        site.database
    );
    for _ in 0..2 {
        run(&site, &source).failed(3, &["may not do this"]);
        assert_eq!(site.slot_column("slot_name"), None, "a slot is left");
        assert_eq!(site.tables(), [""; 0], "a table is left");
    }
    site.sql(&format!(
        "GRANT EXECUTE ON FUNCTION pg_export_snapshot() TO {name}"
    ));
    run(&site, &source).done();
    assert_eq!(site.t(), ["1|one", "2|two"]);
}

#[test]
fn a_server_that_does_not_write_enough_wal() {
    let site = Site::own(
        Server::builder(Version::NEWEST)
            .setting("wal_level", "replica")
            .start(),
    );
    run(&site, &site.source())
        .failed(3, &["WAL"])
        .hinted(&["wal_level = logical"]);
    assert_nothing_left(&site);
}

#[test]
fn options_that_this_version_does_not_have() {
    let site = Site::on(Version::V14);
    site.catch_up(&["--protocol", "4"]).failed(2, &["protocol"]);
    assert_nothing_left(&site);
    site.catch_up(&["--streaming", "parallel"])
        .failed(2, &["needs PostgreSQL 16"]);
    assert_nothing_left(&site);
    let site = Site::new();
    site.catch_up(&["--protocol", "1", "--streaming", "on"])
        .failed(2, &[]);
    assert_nothing_left(&site);
}

#[test]
fn a_slot_name_that_no_server_takes() {
    let site = Site::new();
    for name in ["With-Dash", "", &"x".repeat(64)] {
        let mut command = common::program();
        command.args([
            "run",
            "--until",
            "current",
            "--slot",
            name,
            "--source",
            &site.source(),
        ]);
        command.args(["--destination", &site.destination()]);
        Running::start(&mut command)
            .wait(PATIENCE)
            .failed(2, &[])
            .hinted(&["a-z"]);
    }
    assert_nothing_left(&site);
}

#[test]
fn tables_that_are_not_there() {
    let site = Site::new();
    site.catch_up(&["--tables", "public.absent"])
        .failed(2, &["--tables", "public.absent"])
        .hinted(&["public.t is one"]);
    assert_nothing_left(&site);
    site.sql("DROP TABLE t");
    site.catch_up(&[]).failed(2, &["no table"]);
    assert_nothing_left(&site);
}

#[test]
fn bounds_that_are_hardly_bounds_still_let_everything_through() {
    let site = Site::new();
    site.caught_up(&[]);
    site.sql("INSERT INTO t SELECT g, repeat('x', 1000) FROM generate_series(3, 3000) g");
    site.sql("INSERT INTO t VALUES (4000, 'x')");
    site.caught_up(&["--memory", "0"]);
    assert_eq!(site.rows("SELECT count(*) FROM t"), ["3001"]);
    // A transaction that fits nowhere is told with the option to raise, and arrives once it is raised.
    site.sql("INSERT INTO t SELECT g, repeat('x', 1000) FROM generate_series(5000, 9000) g");
    let arguments = ["--memory", "0", "--spool-limit", "1"];
    site.catch_up(&arguments)
        .failed(3, &["spool"])
        .hinted(&["--spool-limit"]);
    site.caught_up(&["--memory", "0", "--spool-limit", "100"]);
    assert_eq!(site.rows("SELECT count(*) FROM t"), ["7002"]);
}

#[test]
fn a_unix_socket_serves_as_well() {
    let site = Site::new();
    run(&site, &site.server.socket_url(&site.database)).done();
    assert_eq!(site.t(), ["1|one", "2|two"]);
}

#[test]
fn servers_that_are_no_postgres() {
    let site = Site::new();
    let answers: [(&[u8], i32); 6] = [
        (b"", 1),
        (b"HTTP/1.1 400 Bad Request\r\nConnection: close\r\n\r\n", 3),
        (b"R\x7f\xff\xff\xff", 3),
        (b"R\0\0\0\x08\0\0\0\x63", 3),
        (b"E\0\0\0\x04", 1),
        (&[0; 1000], 3),
    ];
    for (answer, code) in answers {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").expect("a port");
        let port = listener.local_addr().expect("its number").port();
        std::thread::spawn(move || {
            while let Ok((mut socket, _)) = listener.accept() {
                // Reads what is asked first: closing with it unread would throw the answer away.
                let _ = std::io::Read::read(&mut socket, &mut [0; 1000]);
                let _ = std::io::Write::write_all(&mut socket, answer);
            }
        });
        let source = format!("postgres://postgres@127.0.0.1:{port}/shop");
        run(&site, &source).failed(code, &[]);
    }
    // One that says nothing at all is not waited for longer than allowed.
    let silent = std::net::TcpListener::bind("127.0.0.1:0").expect("a port");
    let port = silent.local_addr().expect("its number").port();
    let source = format!("postgres://postgres@127.0.0.1:{port}/shop?connect_timeout=1");
    run(&site, &source).failed(1, &["within 1 s"]);
    assert_nothing_left(&site);
}
