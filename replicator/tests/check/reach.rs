//! Sides that are not there, or do not let us in.

use testdata::{Server, Version};

use super::look;
use super::source::at;

#[test]
fn a_side_that_is_not_there_is_worth_another_try_and_everything_else_is_unknown() {
    // Nobody listens there: it is closed as soon as its number is known.
    let port = std::net::TcpListener::bind("127.0.0.1:0")
        .unwrap()
        .local_addr()
        .unwrap()
        .port();
    let source = format!("postgres://secret_user:secret_word@127.0.0.1:{port}/shop");
    let destination = format!("mysql://u:secret_word@127.0.0.1:{port}/shop");
    let looked = look(&["--source", &source, "--destination", &destination]);
    assert_eq!(looked.code, 1);
    looked
        .says("wrong", "source.reachable", "127.0.0.1")
        .says("wrong", "destination.reachable", "127.0.0.1")
        .says("unknown", "source.wal_level", "could not be reached")
        .says("unknown", "source.slot", "could not be reached")
        .says("unknown", "destination.rights", "could not be opened");
    let all = format!("{:?}", looked.findings);
    assert!(!all.contains("secret_word"), "{all}");
    let looked = look(&["--source", "host='", "--destination", "bogus://x"]);
    looked.says("wrong", "source.url", "").says(
        "wrong",
        "destination.reachable",
        "not a URL that we know",
    );
    assert_eq!(looked.code, 2);
}

#[test]
fn a_server_that_lets_nobody_in_gets_the_line_of_its_own_that_does() {
    let server = Server::builder(Version::V18)
        .allow("host all knocking 127.0.0.1/32 reject")
        .start();
    at(&server, "postgres")("CREATE ROLE knocking LOGIN REPLICATION");
    at(&server, "postgres")(
        "CREATE TABLE t (id int PRIMARY KEY); ALTER TABLE t OWNER TO knocking;
         GRANT CREATE ON DATABASE postgres TO knocking",
    );
    let source = server.url("postgres").replace("//postgres@", "//knocking@");
    let looked = look(&["--source", &source]);
    looked.says("wrong", "source.reachable", "28000");
    assert_eq!(
        looked.code, 3,
        "whoever runs the server has to do something"
    );
    let mend = looked.of("source.reachable")["mend"].to_string();
    assert!(
        mend.contains(r#"hostssl \\\"postgres\\\" \\\"knocking\\\""#)
            || mend.contains("pg_hba.conf"),
        "{mend}"
    );
    // The line, with the address of this machine and without TLS.
    server.allow("host \"postgres\" \"knocking\" 127.0.0.1/32 trust");
    at(&server, "postgres")("SELECT pg_reload_conf()");
    crate::faults_common::until("it is let in", || look(&["--source", &source]).code == 0);

    // A password.
    server.allow("host all knocking 127.0.0.1/32 scram-sha-256");
    at(&server, "postgres")("ALTER ROLE knocking PASSWORD 'right'; SELECT pg_reload_conf()");
    let wrong = source.replace("knocking@", "knocking:wrong@");
    crate::faults_common::until("it asks for the password", || {
        look(&["--source", &wrong]).code == 3
    });
    look(&["--source", &wrong]).says("wrong", "source.reachable", "28P01");
    look(&["--source", &source.replace("knocking@", "knocking:right@")]).fine();
}

#[test]
fn a_standby_is_no_source() {
    let mut primary = Server::start(Version::V18);
    let standby = Server::standby_of(&mut primary);
    let looked = look(&["--source", &standby.url("postgres")]);
    looked.says("wrong", "source.primary", "standby");
    // Its primary has somebody to fail over to.
    let looked = look(&["--source", &primary.url("postgres")]);
    looked.says("warning", "source.failover", "after a failover it is gone");
}
