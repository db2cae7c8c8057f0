//! What stands in for a connection string: whose word counts, which errors name it, and that it lets us in.

use std::fs;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::Path;
use std::process::Command;
use std::sync::{Arc, Mutex};

use tempfile::TempDir;
use testdata::{Server, Version};
use tracing::field::{Field, Visit};
use tracing::span;
use walstream::{Client, Config, Endpoint, Environment, ErrorKind, Host, SslMode};

fn write(path: &Path, text: &str, mode: u32) {
    fs::write(path, text).unwrap();
    fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
}

#[test]
fn the_string_goes_before_the_service_and_that_before_variables() {
    let home = TempDir::new().unwrap();
    let service = "[shop]\nport=2\ndbname=service\nuser=service\n";
    write(&home.path().join(".pg_service.conf"), service, 0o644);
    let environment = Environment::empty()
        .with_home(home.path())
        .with_user("runner")
        .with_variable("PGSERVICE", "shop")
        .with_variable("PGHOST", "variable")
        .with_variable("PGPORT", "3")
        .with_variable("PGUSER", "variable");
    let config = Config::parse_in("dbname=string", &environment).unwrap();
    assert_eq!(config.to_string(), "postgres://service@variable:2/string");
    assert_eq!(config.application_name(), "walstream");
    let config = Config::parse_in("fallback_application_name=own", &environment).unwrap();
    assert_eq!(config.application_name(), "own");
    let environment = environment.with_variable("PGAPPNAME", "variable");
    let config = Config::parse_in("fallback_application_name=own", &environment).unwrap();
    assert_eq!(config.application_name(), "variable");
}

#[test]
fn an_error_names_the_variable_or_the_line_that_is_wrong() {
    let home = TempDir::new().unwrap();
    let file = home.path().join(".pg_service.conf");
    let environment = Environment::empty()
        .with_home(home.path())
        .with_user("runner");
    let refusal = |text: &str, environment: &Environment| {
        let error = Config::parse_in(text, environment).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Config);
        error.to_string()
    };
    for (variable, value, words) in [
        (
            "PGSSLMODE",
            "on",
            "environment variable PGSSLMODE is \"on\" instead of disable",
        ),
        (
            "PGPORT",
            "x",
            "environment variable PGPORT is not a number from 1 to 65535",
        ),
        (
            "PGCLIENTENCODING",
            "LATIN1",
            "environment variable PGCLIENTENCODING is not UTF8",
        ),
        (
            "PGREQUIREAUTH",
            "kerberos",
            "environment variable PGREQUIREAUTH is",
        ),
        ("PGSERVICE", "shop", "there is no service \"shop\""),
    ] {
        let environment = environment.clone().with_variable(variable, value);
        let refusal = refusal("", &environment);
        assert!(refusal.starts_with(words), "{refusal}");
    }
    for (text, words) in [
        (
            "sslmode=on",
            "sslmode in line 3 of FILE is \"on\" instead of disable",
        ),
        (
            "replication=true",
            "replication in line 3 of FILE does not belong",
        ),
        (
            "hunter2=x",
            "line 3 of FILE is not about a connection parameter",
        ),
        ("hunter2", "line 3 of FILE is not name=value"),
        (
            "service=y",
            "line 3 of FILE names a service, and one cannot refer to another",
        ),
        ("user=a\0b", "line 3 of FILE contains a zero byte"),
    ] {
        write(&file, &format!("# of the shop\n[shop]\n{text}\n"), 0o644);
        let refusal = refusal("service=shop", &environment);
        let words = words.replace("FILE", file.to_str().unwrap());
        assert!(refusal.starts_with(&words), "{refusal}");
    }
    let gone = environment.with_variable("PGSERVICEFILE", "/no/such/file");
    let error = Config::parse_in("service=shop", &gone).unwrap_err();
    assert_eq!(
        error.to_string(),
        "the service file /no/such/file cannot be read"
    );
    assert!(std::error::Error::source(&error).is_some());
}

/// Marks a process that a test has started with variables of its own: those of this one cannot be set beside other
/// tests.
const CHILD: &str = "WALSTREAM_TEST_CHILD";

fn in_child(test: &str, variables: &[(&str, &str)]) {
    let output = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", test, "--nocapture"])
        .env_clear()
        .env(CHILD, "1")
        .envs(variables.iter().copied())
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&output.stdout);
    assert!(
        output.status.success() && said.contains("read in the child"),
        "{output:?}"
    );
}

#[test]
fn a_string_is_read_in_the_environment_of_the_process() {
    if std::env::var_os(CHILD).is_none() {
        let variables = [
            ("PGHOST", "/no/such/folder"),
            ("PGPORT", "7"),
            ("PGUSER", "app"),
            ("PGDATABASE", "shop"),
            ("PGSSLMODE", "disable"),
            ("HOME", "/no/such/home"),
        ];
        return in_child(
            "a_string_is_read_in_the_environment_of_the_process",
            &variables,
        );
    }
    let config = Config::parse("").unwrap();
    assert_eq!(config.endpoints(), [Endpoint::new("/no/such/folder", 7)]);
    assert_eq!((config.user(), config.database()), ("app", "shop"));
    assert_eq!(config.sslmode(), SslMode::Disable);
    assert_eq!("dbname=x".parse::<Config>().unwrap().database(), "x");
    let shown = format!("{config:?}");
    assert!(shown.contains("/no/such/home/.pgpass"), "{shown}");
    assert!(shown.contains("/no/such/home/.postgresql"), "{shown}");
    println!("read in the child");
}

#[test]
fn without_variables_we_are_who_runs_the_process() {
    if std::env::var_os(CHILD).is_none() {
        // Not who we were before we became somebody else, unless /etc/passwd does not know us.
        let user = if passwd_knows_us() {
            "somebody-else".to_owned()
        } else {
            us()
        };
        return in_child(
            "without_variables_we_are_who_runs_the_process",
            &[("USER", &user), ("PATH", &std::env::var("PATH").unwrap())],
        );
    }
    let config = Config::parse("host=h").unwrap();
    assert_eq!((config.user(), config.database()), (&*us(), &*us()));
    println!("read in the child");
}

fn us() -> String {
    let id = Command::new("id").arg("-un").output().unwrap();
    String::from_utf8(id.stdout).unwrap().trim().to_owned()
}

fn passwd_knows_us() -> bool {
    let passwd = fs::read_to_string("/etc/passwd").unwrap();
    let us = us();
    passwd
        .lines()
        .any(|line| line.split(':').next() == Some(&us))
}

#[test]
fn an_empty_string_leaves_everything_to_the_usual() {
    let config = Config::parse_in("", &Environment::empty().with_user("runner")).unwrap();
    assert_eq!(config.endpoints()[0].host(), &Host::Default);
    assert_eq!(config.to_string(), "postgres://runner@:5432/runner");
}

#[tokio::test]
async fn a_password_file_lets_us_in_unless_others_can_read_it() {
    let server = Server::builder(Version::V18)
        .allow("host all app 127.0.0.1/32 scram-sha-256")
        .start();
    testdata::Client::connect(&server, "postgres")
        .and_then(|mut client| client.batch("CREATE ROLE app LOGIN PASSWORD 'pass:wörd'"))
        .unwrap();
    let home = TempDir::new().unwrap();
    let file = home.path().join(".pgpass");
    let port = server.port();
    let entry = format!("127.0.0.1:{port}:postgres:app:pass\\:wörd\n");
    let text = format!("host=127.0.0.1 port={port} user=app dbname=postgres");
    let environment = Environment::empty().with_home(home.path());
    let config = Config::parse_in(&text, &environment).unwrap();
    let log = Log::default();
    let _guard = tracing::subscriber::set_default(log.clone());
    let refused = async |config: &Config| {
        let error = Client::connect(config).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Authentication);
        assert!(error.to_string().contains("none is given"), "{error}");
        assert!(error.hint().unwrap().contains("~/.pgpass"));
    };

    refused(&config).await;
    assert_eq!(
        log.warnings(),
        [""; 0],
        "a file that is not there is nothing to speak of"
    );

    // Written after the configuration was made: it is read when the server asks.
    write(&file, &entry, 0o600);
    Client::connect(&config).await.unwrap();
    let set = Config::new("127.0.0.1", "app")
        .with_port(port)
        .with_database("postgres");
    Client::connect(&set.clone().with_home(home.path()))
        .await
        .unwrap();
    Client::connect(&set.clone().with_passfile(&file))
        .await
        .unwrap();
    refused(&set).await;
    // An empty password is none, as in a connection string.
    let empty = set.clone().with_passfile(&file).with_password("");
    Client::connect(&empty).await.unwrap();
    let link = home.path().join("link");
    symlink(&file, &link).unwrap();
    Client::connect(&set.clone().with_passfile(&link))
        .await
        .unwrap();
    assert_eq!(log.warnings(), [""; 0]);

    // What is given goes first, right or wrong.
    let error = Client::connect(&config.clone().with_password("wrong"))
        .await
        .unwrap_err();
    assert_eq!(error.sqlstate(), Some("28P01"));

    write(&file, &entry, 0o640);
    refused(&config).await;
    let warnings = log.warnings();
    assert_eq!(warnings.len(), 1);
    assert!(warnings[0].contains(file.to_str().unwrap()), "{warnings:?}");
    assert!(
        warnings[0].contains("should be u=rw (0600) or less"),
        "{warnings:?}"
    );
    assert!(!warnings[0].contains("wörd"), "{warnings:?}");

    refused(&set.clone().with_passfile(home.path())).await;
    assert!(
        log.warnings()[1].contains("not a plain file"),
        "{:?}",
        log.warnings()
    );

    let latin = [format!("*:{port}:*:*:pass").as_bytes(), b"\xe4\n"].concat();
    fs::write(&file, latin).unwrap();
    fs::set_permissions(&file, fs::Permissions::from_mode(0o600)).unwrap();
    refused(&config).await;
    assert!(
        log.warnings()[2].contains("not UTF-8"),
        "{:?}",
        log.warnings()
    );
}

/// The warnings of this thread.
#[derive(Clone, Default)]
struct Log(Arc<Mutex<Vec<String>>>);

impl Log {
    fn warnings(&self) -> Vec<String> {
        self.0.lock().unwrap().clone()
    }
}

impl tracing::Subscriber for Log {
    fn enabled(&self, metadata: &tracing::Metadata<'_>) -> bool {
        *metadata.level() == tracing::Level::WARN && metadata.target().starts_with("walstream")
    }

    fn new_span(&self, _: &span::Attributes<'_>) -> span::Id {
        span::Id::from_u64(1)
    }

    fn record(&self, _: &span::Id, _: &span::Record<'_>) {}

    fn record_follows_from(&self, _: &span::Id, _: &span::Id) {}

    fn event(&self, event: &tracing::Event<'_>) {
        struct Text(String);
        impl Visit for Text {
            fn record_debug(&mut self, _: &Field, value: &dyn std::fmt::Debug) {
                self.0 += &format!("{value:?}");
            }
        }
        let mut text = Text(String::new());
        event.record(&mut text);
        self.0.lock().unwrap().push(text.0);
    }

    fn enter(&self, _: &span::Id) {}

    fn exit(&self, _: &span::Id) {}
}
