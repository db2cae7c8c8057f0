use clap::CommandFactory;

use super::*;
use crate::cli::Cli;

fn read(variables: &[(&str, &str)]) -> Aliases {
    let pairs = variables
        .iter()
        .map(|(name, value)| (name.into(), value.into()));
    Aliases::read(pairs)
}

/// The value that stands in for an option.
fn value(variables: &[(&str, &str)], option: &str) -> Option<String> {
    let aliases = read(variables);
    let mut all = aliases.stand_ins.into_iter();
    let found = all.find(|it| it.option == option)?;
    Some(found.value.unwrap())
}

#[test]
fn the_documentation_says_the_same() {
    let table = include_str!("../../../docs/moving-from-pg2any.md");
    let rows: Vec<(&str, &str)> = table
        .lines()
        .filter_map(|line| line.strip_prefix("| `"))
        .filter_map(|line| line.trim_end_matches(" |").split_once("` | "))
        .collect();
    let ours: Vec<(&str, &str)> = ALIASES.iter().map(|it| (it.name, it.says)).collect();
    for (theirs, ours) in rows.iter().zip(&ours) {
        assert_eq!(theirs, ours);
    }
    assert_eq!(rows.len(), ours.len());
    for alias in ALIASES {
        let nothing = alias.says.starts_with("nothing: ");
        assert_eq!(matches!(alias.does, Nothing), nothing, "{}", alias.name);
    }
}

#[test]
fn every_option_that_is_stood_in_for_exists() {
    let cli = Cli::command();
    let run = cli.find_subcommand("run").unwrap();
    for alias in ALIASES {
        if let As(option, _) = alias.does {
            let found = run.get_arguments().any(|arg| arg.get_id() == option);
            assert!(found, "{}: {option}", alias.name);
        }
    }
    assert!(run.get_arguments().any(|arg| arg.get_id() == "map_schema"));
}

#[test]
fn a_source_is_what_it_was() {
    let whole = |text| value(&[("CDC_SOURCE_CONNECTION_STRING", text)], "source").unwrap();
    for (text, source) in [
        (
            "postgresql://u:p@h:5/d?replication=database",
            "postgresql://u:p@h:5/d",
        ),
        (
            "postgresql://u@h/d?a=1&replication=database&b=2",
            "postgresql://u@h/d?a=1&b=2",
        ),
        ("host=h replication=database user=u", "host=h user=u"),
        ("host=h", "host=h"),
    ] {
        assert_eq!(whole(text), source);
    }
    let parts = [
        ("CDC_SOURCE_HOST", "db"),
        ("CDC_SOURCE_PORT", "5433"),
        ("CDC_SOURCE_DB", "shop"),
        ("CDC_SOURCE_USER", "app"),
        ("CDC_SOURCE_PASSWORD", "it's \\ here"),
    ];
    let source = value(&parts, "source").unwrap();
    assert_eq!(
        source,
        r"host='db' port='5433' dbname='shop' user='app' password='it\'s \\ here'"
    );
    assert!(walstream::Config::parse(&source).is_ok());
    assert_eq!(value(&[], "source"), None);
}

#[test]
fn a_destination_is_what_it_was() {
    for (variables, url) in [
        (
            &[("CDC_DEST_URI", "mysql://u:p@h:3306/d")][..],
            Some("mysql://u:p@h:3306/d"),
        ),
        (
            &[
                ("CDC_DEST_TYPE", "SQLite"),
                ("CDC_DEST_URI", "./replica.db"),
            ],
            Some("sqlite:./replica.db"),
        ),
        (
            &[("CDC_DEST_TYPE", "sqlite"), ("CDC_DEST_DB", "/x.db")],
            Some("sqlite:/x.db"),
        ),
        (
            &[("CDC_DEST_TYPE", "Kafka"), ("CDC_DEST_URI", "a:1,b:2")],
            Some("kafka://a:1,b:2"),
        ),
        (
            &[
                ("CDC_DEST_TYPE", "SqlServer"),
                ("CDC_DEST_HOST", "h"),
                ("CDC_DEST_PORT", "1433"),
                ("CDC_DEST_DB", "d e"),
                ("CDC_DEST_USER", "sa"),
                ("CDC_DEST_PASSWORD", "p@:/ß"),
            ],
            Some("sqlserver://sa:p%40%3A%2F%C3%9F@h:1433/d%20e"),
        ),
        (
            &[("CDC_DEST_URI", "h"), ("CDC_DEST_DB", "d")],
            Some("mysql://h/d"),
        ),
        (&[("CDC_DEST_TYPE", "MySQL")], None),
        (&[("CDC_DEST_TYPE", "MySQL"), ("CDC_DEST_URI", "")], None),
    ] {
        assert_eq!(
            value(variables, "destination").as_deref(),
            url,
            "{variables:?}"
        );
    }
}

#[test]
fn schemas_go_where_they_went() {
    let mapped = |mapping, uri| {
        value(
            &[("CDC_SCHEMA_MAPPING", mapping), ("CDC_DEST_URI", uri)],
            "map_schema",
        )
        .unwrap()
    };
    assert_eq!(
        mapped("public:cdc_db", "mysql://h/cdc_db?x=/y"),
        "public=public"
    );
    assert_eq!(
        mapped("public:cdc_db, a:b.c,", "mysql://h/other"),
        "public=cdc_db,a=\"b.c\""
    );
    let aliases = read(&[("CDC_SCHEMA_MAPPING", "public")]);
    let error = aliases.stand_ins[0].value.as_ref().unwrap_err();
    assert_eq!(
        error.to_string(),
        "CDC_SCHEMA_MAPPING=public is not source:destination,…"
    );
}

#[test]
fn values_become_ours() {
    for (variable, theirs, option, ours) in [
        ("CDC_REPLICATION_SLOT", "cdc_slot", "slot", Some("cdc_slot")),
        ("CDC_PUBLICATION", "cdc_pub", "publication", Some("cdc_pub")),
        ("CDC_PROTOCOL_VERSION", "1", "protocol", Some("1")),
        ("CDC_STREAMING", "true", "streaming", None),
        ("CDC_STREAMING", "false", "streaming", Some("off")),
        ("CDC_AUTO_CREATE_TABLES", "false", "auto_create", Some("no")),
        (
            "PG2ANY_ENABLE_COMPRESSION",
            "true",
            "spool_compression",
            Some("lz4"),
        ),
        ("PG2ANY_RELAY_LOG_DIR", "/var", "spool", Some("/var")),
        ("CDC_QUERY_TIMEOUT", "10", "destination_timeout", Some("10")),
    ] {
        assert_eq!(
            value(&[(variable, theirs)], option).as_deref(),
            ours,
            "{variable}"
        );
    }
    for (variable, wrong) in [
        ("CDC_PROTOCOL_VERSION", "5"),
        ("CDC_STREAMING", "yes"),
        ("CDC_CONNECTION_TIMEOUT", "-1"),
    ] {
        let aliases = read(&[(variable, wrong)]);
        let error = aliases.stand_ins[0].value.as_ref().unwrap_err();
        assert_eq!(error.exit_code(), 2);
        assert!(
            error
                .to_string()
                .starts_with(&format!("{variable}={wrong} is not")),
            "{error}"
        );
    }
}

#[test]
fn what_does_nothing_and_what_nobody_knows_is_told_apart() {
    let aliases = read(&[
        ("CDC_BATCH_SIZE", "1000"),
        ("METRICS_PORT", "8080"),
        ("RUST_LOG", "debug"),
        ("CDC_DEST_UIR", "x"),
        ("PG2ANY_X", "y"),
        ("HOME", "/"),
    ]);
    assert_eq!(aliases.without_meaning, ["CDC_BATCH_SIZE"]);
    assert_eq!(aliases.unknown, ["CDC_DEST_UIR", "PG2ANY_X"]);
    assert!(aliases.stand_ins.is_empty());
}
