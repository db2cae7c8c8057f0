//! A real PgBouncer in between.

use testdata::{Pooler, Server, Version};

use super::look;

/// What a session of ours begins with, and PgBouncer does not know.
const OURS: [&str; 13] = [
    "wal_sender_timeout",
    "IntervalStyle",
    "bytea_output",
    "extra_float_digits",
    "xmlbinary",
    "lc_monetary",
    "search_path",
    "row_security",
    "statement_timeout",
    "lock_timeout",
    "idle_in_transaction_session_timeout",
    "idle_session_timeout",
    "options",
];

#[test]
fn a_pooler_is_told_by_what_it_does_and_never_by_its_name() {
    let server = Server::start(Version::V18);
    // It refuses what it does not know, with a code that PostgreSQL has no use for here.
    let strict = Pooler::of(&server, &[]);
    let looked = look(&["--source", &strict.url("postgres")]);
    looked.says("wrong", "source.pooler", "not PostgreSQL itself");
    assert_eq!(looked.code, 2, "--source is to name another place");
    // Told to be silent about that, it still has sessions of its own.
    let lenient = Pooler::of(&server, &OURS);
    let looked = look(&["--source", &lenient.url("postgres")]);
    looked
        .says("wrong", "source.pooler", "the server calls it")
        .says("unknown", "source.role", "for another reason than rights");
    let mend = looked.findings.iter().find(|it| {
        it["id"] == "source.pooler" && it["reason"].as_str().unwrap().contains("calls it")
    });
    let mend = mend.unwrap()["mend"].to_string();
    let (_, place) = mend
        .split_once("reaches it at host=")
        .expect("where the server is");
    let (host, rest) = place.split_once(" port=").unwrap();
    let port: String = rest.chars().take_while(char::is_ascii_digit).collect();
    assert_eq!((host, &*port), ("127.0.0.1", &*server.port().to_string()));
    look(&[
        "--source",
        &format!("postgres://postgres@{host}:{port}/postgres"),
    ])
    .says("ok", "source.pooler", "nothing between us");
}
