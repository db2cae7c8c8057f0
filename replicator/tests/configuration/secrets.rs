//! Passwords in every place where somebody may put one: none of them comes out again.

use super::{called, file};

/// One that has to be encoded, and one that is a word, which is known by its place alone.
const SECRETS: [&str; 2] = ["s3cr%t@pw/x'q", "swordfish"];

fn encoded(text: &str) -> String {
    text.bytes().fold(String::new(), |out, byte| match byte {
        byte if byte.is_ascii_alphanumeric() => out + &char::from(byte).to_string(),
        byte => out + &format!("%{byte:02X}"),
    })
}

/// Calls in which a password stands, and nothing can work.
fn calls(secret: &str) -> Vec<Vec<String>> {
    let encoded = encoded(secret);
    let quoted = secret.replace('\\', "\\\\").replace('\'', "\\'");
    let user = format!("u:{encoded}@127.0.0.1:1/d");
    let postgres = format!("postgres://{user}");
    let mysql = format!("mysql://{user}");
    let sources = [
        postgres.clone(),
        format!("postgresql://{user}?connect_timeout=1&sslmode=maybe"),
        format!("postgres://u:{encoded}@127.0.0.1:port/d"),
        format!("postgres://u:{secret}@127.0.0.1:1/d"),
        format!("postgres://u:{secret}"),
        format!("postgrs://{user}"),
        format!("postgres://u@127.0.0.1:1/d?password={encoded}"),
        format!("postgres://u@127.0.0.1:1/d?passwort={encoded}&password={encoded}"),
        format!("host=127.0.0.1 port=1 user=u password='{quoted}'"),
        format!("host=127.0.0.1 port=1 user=u password = '{quoted}' bogus=1"),
        format!("host=127.0.0.1 port=1 password='{quoted}"),
        format!("password='{quoted}' host"),
    ];
    let destinations = [
        postgres.clone(),
        mysql.clone(),
        format!("mariadb://{user}?sslmode=maybe"),
        format!("mysql://u:{encoded}@127.0.0.1:port/d"),
        format!("mysql://u:{secret}@127.0.0.1:1/d"),
        format!("postgres://u:{encoded}@127.0.0.1:1/d?sslmode=maybe"),
        format!("postgres://u@127.0.0.1:1/d?password={encoded}&sslmode=maybe"),
        format!("postgres://u@127.0.0.1:port/d?password={encoded}"),
        format!("postgres://u:{secret}@127.0.0.1:1/d"),
        format!("sqlserver://{user}"),
        format!("sqlserver://{user}?encrypt=maybe"),
        format!("kafka://{user}"),
        format!("duckdb://{user}"),
        format!("bogus://{user}"),
        format!("u:{encoded}@h"),
    ];
    let own = |list: &[&str]| -> Vec<String> { list.iter().map(|it| (*it).to_owned()).collect() };
    let mut calls = Vec::new();
    for source in &sources {
        calls.push(own(&["tail", "--source", source]));
        calls.push(own(&[
            "record",
            "--source",
            source,
            "--output",
            "/no/such/folder/file",
        ]));
        calls.push(own(&["config", "run", "--source", source]));
        calls.push(own(&["config", "--json", "run", "--source", source]));
    }
    // Nothing is waited for.
    let nowhere = "postgres://127.0.0.1:1/d";
    for destination in &destinations {
        let to = ["--destination", destination, "--source", nowhere];
        calls.push(own(
            &[&["run", "--destination-retry", "0"][..], &to].concat()
        ));
        calls.push(own(&[&["drop"][..], &to].concat()));
        calls.push(own(&[&["config", "run"][..], &to].concat()));
    }
    // In places where no URL is wanted.
    for url in [&postgres, &mysql, &sources[3], &sources[6], &sources[8]] {
        for call in [
            &["run", url][..],
            &["run", "--until", url],
            &["run", "--copy", url],
            &["run", "--copy-workers", url],
            &["run", &format!("--sources={url}")],
            &["run", "--tables", url],
            &["run", "--map-schema", url],
            &["run", "--log", url],
            &["run", "--config", url],
            &["run", "--source", url, "--bogus"],
            &["tail", "--source", url, "--count", "0"],
            &["decode", url],
            &["config", url],
            &[url],
        ] {
            calls.push(own(call));
        }
    }
    calls
}

#[test]
fn no_call_makes_a_password_come_out() {
    let folder = tempfile::tempdir().expect("a folder");
    // Failing calls fail in other files than those of the folder that this runs in.
    let mut count = 0;
    for secret in SECRETS {
        let encoded = encoded(secret);
        for (at, call) in calls(secret).into_iter().enumerate() {
            // Each in one form, and its like with the other secret in the other.
            let text = (at % 2 == 0) == (secret == SECRETS[0]);
            let format = if text { "text" } else { "json" };
            let call: Vec<&str> = call.iter().map(String::as_str).collect();
            let mut command = super::program();
            command.args(&call).current_dir(folder.path());
            command.env("REPLICATOR_LOG_FORMAT", format);
            command.env("REPLICATOR_LOG", "debug");
            let outcome = super::Running::start(&mut command).wait(super::PATIENCE);
            let said = format!("{}{}", outcome.stdout, outcome.stderr);
            assert!(!said.is_empty(), "{call:?} says nothing");
            for hidden in [secret, &encoded] {
                assert!(!said.contains(hidden), "{call:?}: {said}");
            }
            assert!(
                call[0] == "config" || outcome.code != Some(0),
                "{call:?}: {said}"
            );
            count += 1;
        }
    }
    assert!(count > 250, "only {count}");
}

#[test]
fn neither_does_a_file_or_a_variable() {
    let folder = tempfile::tempdir().expect("a folder");
    for secret in SECRETS {
        let url = format!("postgres://u:{}@127.0.0.1:1/d", encoded(secret));
        let string = format!("host=127.0.0.1 port=1 password='{secret}");
        for content in [
            format!("source = \"{url}\""),
            format!("source = \"{url}\"\nbogus = 1"),
            format!("source = \"{url}"),
            format!("source = {url}"),
            format!("source = [\"{url}\"]"),
            format!("sources = \"{url}\""),
            format!("\"{url}\" = 1"),
            format!("until = \"{url}\""),
            format!("copy = \"{url}\""),
            format!("source = '''{string}'''"),
            format!("memory = \"{string}\""),
        ] {
            let path = file(&folder, "replicator.toml", &content);
            let path = path.to_str().expect("a path");
            for call in [&["config"][..], &["config", "--json"], &["tail"]] {
                let outcome = called(&[("REPLICATOR_CONFIG", path)], call);
                let said = format!("{}{}", outcome.stdout, outcome.stderr);
                assert!(!said.is_empty(), "{content}");
                for hidden in [secret, &encoded(secret)] {
                    assert!(!said.contains(hidden), "{content}: {said}");
                }
            }
        }
        for variable in ["SOURCE", "UNTIL", "COPY", "MEMORY", "TABLES", "JSON", "LOG"] {
            let name = format!("REPLICATOR_{variable}");
            for value in [&url, &string] {
                for call in [&["run", "--help"][..], &["run"], &["config"]] {
                    let outcome = called(&[(&name, value)], call);
                    let said = format!("{}{}", outcome.stdout, outcome.stderr);
                    for hidden in [secret, &encoded(secret)] {
                        assert!(!said.contains(hidden), "{name}={value} {call:?}: {said}");
                    }
                }
            }
        }
    }
}
