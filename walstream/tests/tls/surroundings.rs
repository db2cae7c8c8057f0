//! Certificates that no string names: files of a home folder, and variables.

use std::fs;
use std::process::Command;

use testdata::{Certificates, Server, Version, Wish};
use walstream::{Config, Environment, ErrorKind};

use super::{OVER_TLS, home, over_tls, refused, sql};

#[tokio::test]
async fn the_files_of_a_home_folder_count_as_for_psql() {
    let made = Certificates::new();
    let ca = made.own("ca", &Wish::authority("/CN=root"));
    let certificate = made.issued("server", &Wish::default(), &ca);
    let client = made.issued("client", &Wish::client("/CN=app"), &ca);
    let server = Server::builder(Version::NEWEST)
        .tls(&certificate)
        .file("ca.crt", &ca.file)
        .setting("ssl_ca_file", "ca.crt")
        .allow("hostssl all app all cert")
        .start();
    sql(&server, "CREATE ROLE app LOGIN");
    let home = home(&made);
    let folder = home.join(".postgresql");
    fs::create_dir_all(&folder).unwrap();
    let text = format!(
        "host=localhost port={} user=app dbname=postgres sslmode=verify-full",
        server.port()
    );
    let config = || {
        let environment = Environment::empty().with_home(&home);
        Config::parse_in(&text, &environment).unwrap()
    };
    let psql = || {
        let output = Command::new(testdata::program("psql"))
            .args(["-XAtwc", OVER_TLS, &text])
            .env_clear()
            .env("HOME", &home)
            .output()
            .unwrap();
        output.stdout == b"t\n"
    };
    // One file after the other; only all of them do.
    let files = [
        ("root.crt", &ca.file),
        ("postgresql.crt", &client.file),
        ("postgresql.key", &client.key),
    ];
    for (name, from) in files {
        assert!(!psql(), "psql got in without {name}");
        let error = refused(&config()).await;
        assert!(
            matches!(error.kind(), ErrorKind::Tls | ErrorKind::Authentication),
            "{error:?}"
        );
        fs::copy(from, folder.join(name)).unwrap();
    }
    assert!(psql());
    assert!(over_tls(&config()).await.unwrap());
}

/// `sslrootcert=system`, where the system is told by the variable that OpenSSL, and so psql, reads too.
#[test]
fn whom_the_system_believes_is_believed() {
    const CHILD: &str = "WALSTREAM_TEST_SERVER_PORT";
    if let Ok(port) = std::env::var(CHILD) {
        let text =
            format!("host=localhost port={port} user=postgres dbname=postgres sslrootcert=system");
        let config = Config::parse_in(&text, &Environment::empty()).unwrap();
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .unwrap();
        match runtime.block_on(over_tls(&config)) {
            Ok(covered) => println!("over TLS: {covered}"),
            Err(error) => println!("refused: {:?}", error.kind()),
        }
        return;
    }
    let made = Certificates::new();
    let ca = made.own("ca", &Wish::authority("/CN=root"));
    let other = made.own("other", &Wish::authority("/CN=other"));
    let certificate = made.issued("server", &Wish::default(), &ca);
    let server = Server::builder(Version::NEWEST).tls(&certificate).start();
    for (roots, answer) in [(&ca, "over TLS: true"), (&other, "refused: Tls")] {
        let output = Command::new(std::env::current_exe().unwrap())
            .args([
                "--exact",
                "surroundings::whom_the_system_believes_is_believed",
                "--nocapture",
            ])
            .env(CHILD, server.port().to_string())
            .env("SSL_CERT_FILE", &roots.file)
            .env("SSL_CERT_DIR", made.path("no-folder"))
            .output()
            .unwrap();
        let said = String::from_utf8_lossy(&output.stdout);
        assert!(said.contains(answer), "{said}");
    }
}

#[tokio::test]
async fn variables_say_what_a_string_leaves_out() {
    let made = Certificates::new();
    let ca = made.own("ca", &Wish::authority("/CN=root"));
    let other = made.own("other", &Wish::authority("/CN=other"));
    let certificate = made.issued("server", &Wish::default(), &ca);
    let server = Server::builder(Version::NEWEST).tls(&certificate).start();
    let text = format!("postgres://postgres@localhost:{}/postgres", server.port());
    let config = |roots: &std::path::Path| {
        let environment = Environment::empty()
            .with_variable("PGSSLMODE", "verify-full")
            .with_variable("PGSSLROOTCERT", roots.to_str().unwrap());
        Config::parse_in(&text, &environment).unwrap()
    };
    assert!(over_tls(&config(&ca.file)).await.unwrap());
    let error = refused(&config(&other.file)).await;
    assert_eq!(error.kind(), ErrorKind::Tls, "{error:?}");
}
