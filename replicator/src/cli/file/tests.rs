use super::*;
use crate::cli::Cli;

fn command() -> Command {
    Cli::definition()
}

fn read_for(name: &str, text: &str) -> Result<Vec<String>> {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("replicator.toml");
    fs::write(&path, text).unwrap();
    let placed = read(&path, &command(), name)?;
    Ok(placed.into_iter().flat_map(|one| one.arguments).collect())
}

/// What is wrong, without the folder, and the hint.
fn wrong(text: &str) -> (String, String) {
    let error = read_for("run", text).expect_err(text);
    assert_eq!(error.exit_code(), 2);
    let message = error.to_string();
    let at = message.find("replicator.toml").unwrap();
    let hint = error.hint().unwrap_or_default().to_owned();
    (message[at..].to_owned(), hint)
}

#[test]
fn values_have_types_of_toml() {
    let text = r#"
        source = "host=h"
        copy-workers = 0x4
        copy-rate = "20MB"
        json = true
        auto-create = false
        streaming = "parallel"
        tables = ["a", "b.c"]
        publication = "one"
        skip = []
        [map-schema]
        shop = "public"
        [map-table]
        "shop.orders" = "x.y"
        a.b = "c"
        "#;
    let mut read = read_for("run", text).unwrap();
    read.sort();
    assert_eq!(
        read,
        [
            "--auto-create=no",
            "--copy-rate=20MB",
            "--copy-workers=4",
            "--json",
            "--map-schema=shop=public",
            "--map-table=a.b=c",
            "--map-table=shop.orders=x.y",
            "--publication=one",
            "--source=host=h",
            "--streaming=parallel",
            "--tables=a",
            "--tables=b.c",
        ]
    );
}

#[test]
fn a_table_is_for_its_command_and_counts_more() {
    let text = "slot = \"a\"\nprotocol = 1\nlog-format = \"json\"\n[run]\nprotocol = 2\nlog = \"debug\"\n[record]\nslot = \"b\"\n";
    let sorted = |name| {
        let mut read = read_for(name, text).unwrap();
        read.sort();
        read
    };
    assert_eq!(
        sorted("run"),
        [
            "--log-format=json",
            "--log=debug",
            "--protocol=2",
            "--slot=a"
        ]
    );
    // What belongs to a replication is not taken from it by a recording.
    assert_eq!(
        sorted("record"),
        ["--log-format=json", "--protocol=1", "--slot=b"]
    );
    assert_eq!(sorted("tail"), ["--log-format=json", "--protocol=1"]);
}

#[test]
fn mistakes_are_named_with_their_place() {
    for (text, says, hint) in [
        (
            "\nslto = 1",
            "replicator.toml:2:1: there is no option \"slto\"",
            "the nearest name is slot",
        ),
        (
            "  copy_workers = 1",
            "replicator.toml:1:3: there is no option \"copy_workers\"",
            "copy-workers",
        ),
        (
            "[recrod]\nslot = \"a\"",
            "replicator.toml:1:2: there is no option \"recrod\"",
            "record",
        ),
        (
            "[tail]\nquarantine = \"a\"",
            "replicator.toml:2:1: the command tail has no option \"quarantine\"",
            "",
        ),
        (
            "advance = true\n[tail]\nslot = 1",
            "replicator.toml:3:8: slot: expected a text in quotes, found an integer",
            "",
        ),
        (
            "seconds = 5",
            "replicator.toml:1:1: the key \"seconds\" belongs into the table of its command",
            "[demo]",
        ),
        (
            "memory = \"32\"",
            "replicator.toml:1:10: memory: expected an integer, without quotes, found a text",
            "",
        ),
        ("é = 1 # é\ntakeover = -1", "replicator.toml:1:1: ", ""),
        (
            "json = \"yes\"",
            "replicator.toml:1:8: json: expected true or false, found a text",
            "",
        ),
        (
            "copy = \"onyl\"",
            "replicator.toml:1:8: copy: \"onyl\" is none of yes, no, only",
            "\"only\"",
        ),
        (
            "tables = [\"a\",\n  \"a.b.c.\"\n, 3]",
            "replicator.toml:3:3: tables: expected a text in quotes, found an integer",
            "",
        ),
        (
            "map-table = { \"a\" = 3 }",
            "replicator.toml:1:21: map-table: expected a text in quotes, found an integer",
            "",
        ),
        (
            "copy-workers = 100",
            "replicator.toml:1:16: copy-workers: \"100\" cannot be used: 100 is not in 1..=64",
            "",
        ),
        (
            "skip = [\"16/0\", \"x\"]",
            "replicator.toml:1:17: skip: \"x\" cannot be used: not a WAL position",
            "",
        ),
        ("slot = ", "replicator.toml:1:8: ", "TOML"),
        (
            "slot = \"a\"\nslot = \"b\"",
            "replicator.toml:2:1: duplicate key",
            "TOML",
        ),
        (
            "config = \"a\"",
            "replicator.toml:1:1: there is no option \"config\"",
            "",
        ),
    ] {
        let (said, hinted) = wrong(text);
        assert!(said.starts_with(says), "{text}: {said}");
        assert!(hinted.contains(hint), "{text}: {hinted}");
    }
    let (all, _) = wrong("a-b-c-d = 1\nz-y-x-w = 2");
    assert!(all.contains(":1:1: ") && all.contains(":2:1: "), "{all}");
}

#[test]
fn no_value_that_may_be_secret_is_said_again() {
    for text in [
        "source = [\"postgres://u:secret@h\"]",
        "source = \"postgres://u:secret@h\nx",
        "until = \"postgres://u:secret@h\"",
        "copy = \"host=h password=secret\"",
        "sources = \"postgres://u:secret@h\"",
    ] {
        let (said, hint) = wrong(text);
        assert!(!format!("{said}{hint}").contains("secret"), "{said} {hint}");
    }
}
