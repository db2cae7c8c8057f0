//! Options from file, environment and command line.

use clap::{Arg, ArgAction, Command};
use replicator::cli::Cli;

use super::{called, file};

/// Options that are nothing without another one.
const PARTNERS: [(&str, &str); 5] = [
    ("interval", "--watch"),
    ("skip", "--quarantine=file"),
    ("advance", "--slot=name"),
    ("compress", "--rotate-size=1"),
    ("names", "--anonymise=out"),
];

/// Values, of which every option takes one that it does not have anyway.
const VALUES: [&str; 14] = [
    "5s",
    "127.0.0.1:9187",
    "a.b.c",
    "a.b=c.d",
    "a=b",
    "16/B374D848",
    "7",
    "3",
    "20MB",
    "debug",
    "no",
    "apply",
    "json",
    "x",
];

/// What this option takes, in an argument and in a file.
fn value(arg: &Arg) -> (String, String) {
    let takes = |value: &&str| {
        let probe = Arg::new("value")
            .long("value")
            .value_parser(arg.get_value_parser().clone());
        let command = Command::new("probe").no_binary_name(true).arg(probe);
        command
            .try_get_matches_from([format!("--value={value}")])
            .is_ok()
    };
    let default = || arg.get_default_values().first().and_then(|it| it.to_str());
    let own = arg.get_possible_values();
    let mut values = own
        .iter()
        .map(clap::builder::PossibleValue::get_name)
        .chain(VALUES);
    let value = values
        .find(|value| takes(value) && default() != Some(value))
        .unwrap_or_else(|| panic!("no value for --{:?}", arg.get_long()));
    let number = value.parse::<u64>().is_ok();
    let text = match arg.get_action() {
        ArgAction::Append => format!("[\"{value}\"]"),
        _ if number => value.to_owned(),
        _ => format!("\"{value}\""),
    };
    (value.to_owned(), text)
}

/// What `config` says about an option: its value, and from where.
fn said(variables: &[(&str, &str)], arguments: &[&str], option: &str) -> (String, String) {
    let outcome = called(variables, arguments);
    assert_eq!(outcome.code, Some(0), "{arguments:?}: {}", outcome.stderr);
    let all: serde_json::Value = serde_json::from_str(&outcome.stdout).expect("JSON");
    let options = all["options"].as_array().expect("options");
    let found = options.iter().find(|it| it["name"] == option);
    let found = found.unwrap_or_else(|| panic!("{option} in {all}"));
    let mut value = &found["value"];
    if let Some(first) = value.get(0) {
        value = first;
    }
    let value = value
        .as_str()
        .map_or_else(|| value.to_string(), str::to_owned);
    (value, found["from"].as_str().expect("a text").to_owned())
}

/// Goes over all there are, so that one which is new is seen here.
#[test]
fn every_option_can_be_set_in_each_of_three_ways() {
    let folder = tempfile::tempdir().expect("a folder");
    let definition = Cli::definition();
    let general: Vec<&Arg> = definition.get_arguments().collect();
    let mut count = 0;
    for command in definition.get_subcommands() {
        if command.get_name() == "config" {
            continue;
        }
        let mine: Vec<&Arg> = command.get_arguments().collect();
        let options = mine
            .iter()
            .chain(if command.get_name() == "run" {
                &general
            } else {
                &[][..]
            })
            .filter(|arg| !arg.is_positional() && !arg.is_hide_set());
        for arg in options {
            let name = arg.get_long().expect("a long name");
            if name == "config" {
                continue;
            }
            let variable = arg.get_env().and_then(|it| it.to_str());
            let variable = variable.unwrap_or_else(|| panic!("--{name} has no variable"));
            assert!(variable.starts_with("REPLICATOR_"), "{variable}");
            let switch = matches!(arg.get_action(), ArgAction::SetTrue);
            let (value, text) = if switch {
                ("true".to_owned(), "true".to_owned())
            } else {
                value(arg)
            };
            let flag = if switch {
                format!("--{name}")
            } else {
                format!("--{name}={value}")
            };
            let table = format!("[{}]\n{name} = {text}\n", command.get_name());
            let path = file(&folder, "replicator.toml", &table);
            let mut arguments = vec!["config", "--json", command.get_name()];
            let partner = PARTNERS.iter().find(|(option, _)| *option == name);
            arguments.extend(partner.map(|(_, partner)| partner));
            let own = [
                &arguments[..],
                &["--config", path.to_str().expect("a path")],
            ]
            .concat();
            let both = [&own[..], &[&flag]].concat();
            let hidden = name.ends_with("password-command");
            for (way, (found, from)) in [
                ("file", said(&[], &own, name)),
                ("environment", said(&[(variable, &value)], &own, name)),
                ("option", said(&[(variable, &value)], &both, name)),
            ] {
                assert_eq!(from, way, "{} --{name}", command.get_name());
                let shown = if hidden { "***" } else { &value };
                assert_eq!(found, shown, "{} --{name} by {way}", command.get_name());
                count += 1;
            }
        }
    }
    assert!(count > 200, "only {count}");
}

#[test]
fn what_is_closer_to_the_command_counts_more() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = file(
        &folder,
        "replicator.toml",
        "slot = \"all\"\nmemory = 5\njson = true\n[run]\nslot = \"run\"\n[record]\nslot = \"tape\"\n",
    );
    let path = path.to_str().expect("a path");
    let slot = |variables: &[(&str, &str)], arguments: &[&str]| {
        said(
            &[&[("REPLICATOR_CONFIG", path)], variables].concat(),
            &[&["config", "--json"], arguments].concat(),
            "slot",
        )
    };
    let own = |value: &str, from: &str| (value.to_owned(), from.to_owned());
    let theirs = ("CDC_REPLICATION_SLOT", "theirs");
    assert_eq!(slot(&[theirs], &[]), own("run", "file"));
    assert_eq!(slot(&[], &["drop"]), own("all", "file"));
    assert_eq!(slot(&[], &["record"]), own("tape", "file"));
    assert_eq!(slot(&[], &["tail"]), own("null", "nothing"));
    let ours = ("REPLICATOR_SLOT", "ours");
    assert_eq!(slot(&[theirs, ours], &[]), own("ours", "environment"));
    assert_eq!(slot(&[ours], &["--slot", "x"]), own("x", "option"));
    assert_eq!(slot(&[], &["run", "--slot", "x"]), own("x", "option"));
    let without = ["config", "--json"];
    assert_eq!(
        said(&[theirs], &without, "slot"),
        own("theirs", "environment")
    );
    // What is switched on there is switched off by a variable.
    let json = said(
        &[("REPLICATOR_CONFIG", path), ("REPLICATOR_JSON", "false")],
        &without,
        "json",
    );
    assert_eq!(json, own("false", "environment"));
}

#[test]
fn what_config_prints_can_be_a_file_and_says_where_from() {
    let folder = tempfile::tempdir().expect("a folder");
    let content = "source = \"host=h user=u\"\ndestination = \"sqlite:a.db\"\n\n[map-table]\na.b = \"c\"\n\"d\" = \"e\"\n";
    let path = file(&folder, "replicator.toml", content);
    let path = path.to_str().expect("a path");
    let printed = called(&[], &["config", "--config", path, "--memory", "9"]);
    assert_eq!(printed.code, Some(0), "{}", printed.stderr);
    for (option, from) in [
        ("source = \"host=h user=u\"", &*format!("{path}:1")),
        ("map-table = [\"a.b=c\",\"d=e\"]", &*format!("{path}:4")),
        ("memory = 9", "command line"),
        ("takeover = 30", "default"),
        ("# until", "not set"),
    ] {
        let line = printed.stdout.lines().find(|line| line.starts_with(option));
        let line = line.unwrap_or_else(|| panic!("{option} in {}", printed.stdout));
        assert!(line.ends_with(&format!("  # {from}")), "{line}");
    }
    let again = file(&folder, "again.toml", &printed.stdout);
    let again = called(
        &[],
        &["config", "--config", again.to_str().expect("a path")],
    );
    assert_eq!(again.code, Some(0), "{}", again.stderr);
    let values = |text: &str| -> Vec<String> {
        let settings = text.lines().filter(|line| !line.starts_with('#'));
        let value = |line: &str| line.rsplit_once("  # ").map(|(it, _)| it.trim().to_owned());
        settings.filter_map(value).collect()
    };
    assert_eq!(values(&again.stdout), values(&printed.stdout));
    assert!(values(&printed.stdout).len() > 20, "{}", printed.stdout);
}

#[test]
fn rules_between_options_hold_for_a_file_too() {
    let folder = tempfile::tempdir().expect("a folder");
    let run = |content: &str, arguments: &[&str]| {
        let path = file(&folder, "replicator.toml", content);
        let path = path.to_str().expect("a path");
        called(&[], &[arguments, &["--config", path]].concat())
    };
    let outcome = run("skip = [\"16/0\"]", &["config"]);
    assert_eq!(outcome.code, Some(2), "{}", outcome.stdout);
    for words in ["--quarantine", "replicator.toml"] {
        assert!(outcome.stderr.contains(words), "{}", outcome.stderr);
    }
    // What excludes something in a file is stronger.
    let summary = "[decode]\nsummary = true\n";
    let outcome = run(summary, &["config", "--json", "decode", "--all"]);
    assert_eq!(outcome.code, Some(0), "{}", outcome.stderr);
    // A mistake counts for whichever command.
    let outcome = run("[record]\nrotate-size = 0", &["decode", "nothing"]);
    assert_eq!(outcome.code, Some(2), "{}", outcome.stderr);
    assert!(
        outcome.stderr.contains(":2:15: rotate-size"),
        "{}",
        outcome.stderr
    );
    let outcome = run("", &["run", "--source", "host=h"]);
    assert_eq!(outcome.code, Some(2), "{}", outcome.stderr);
    assert!(
        outcome.stderr.contains("--destination <URL>"),
        "{}",
        outcome.stderr
    );
}
