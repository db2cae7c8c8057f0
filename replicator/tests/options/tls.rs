//! TLS to a PostgreSQL destination, as its URL asks for it.

use testdata::{Certificates, Client, Server, Version, Wish};

use super::faults_common::PATIENCE;
use super::{Site, into, must_say};

#[test]
fn a_destination_is_known_by_its_certificate_or_refused_in_a_sentence() {
    let made = Certificates::new();
    let [ours, other] =
        ["ours", "other"].map(|name| made.own(name, &Wish::authority("/CN=authority")));
    let elsewhere = Wish {
        extensions: "subjectAltName=DNS:elsewhere.example",
        ..Wish::default()
    };
    let certificate = made.issued("server", &elsewhere, &ours);
    let server = Server::builder(Version::NEWEST)
        .tls(&certificate)
        .allow("hostssl all copier 127.0.0.1/32 trust")
        .allow("hostnossl all copier 127.0.0.1/32 reject")
        .start();
    let mut there = Client::connect(&server, "postgres").unwrap();
    there
        .batch("CREATE ROLE copier LOGIN; GRANT ALL ON SCHEMA public TO copier")
        .unwrap();
    let site = Site::new();
    let run = |parameters: &str| {
        let url = format!(
            "postgres://copier@localhost:{}/postgres?{parameters}",
            server.port()
        );
        into(&site, &url, &["--until", "current"]).wait(PATIENCE)
    };
    let [ours, other] = [&ours, &other].map(|it| it.file.display().to_string());
    let refused = [
        (
            format!("sslmode=verify-full&sslrootcert={ours}"),
            "could not connect",
        ),
        (
            format!("sslmode=verify-ca&sslrootcert={other}"),
            "could not connect",
        ),
        // Roots are there to be used.
        (
            format!("sslmode=require&sslrootcert={other}"),
            "could not connect",
        ),
        (format!("sslrootcert={other}"), "could not connect"),
        // It is no authority that the system knows.
        ("sslmode=verify-full".to_owned(), "could not connect"),
        ("sslrootcert=system".to_owned(), "could not connect"),
        (
            "sslmode=verify-full&sslrootcert=/no/such/file".to_owned(),
            "sslrootcert=/no/such/file cannot be read",
        ),
        ("sslmode=disable".to_owned(), "28000"),
        ("sslmode=whatever".to_owned(), "sslmode=whatever is unknown"),
        (
            "sslpassword=secret".to_owned(),
            "unknown parameter sslpassword",
        ),
    ];
    for (parameters, words) in refused {
        let outcome = must_say(run(&parameters), 2, &[words, "hint: "]);
        let errors = outcome.stderr.matches("error: ").count();
        assert_eq!(errors, 1, "{parameters}: {}", outcome.stderr);
        assert!(!outcome.stderr.contains("secret"), "{}", outcome.stderr);
        assert_eq!(site.slot_column("active"), None, "{parameters}");
        assert_eq!(site.publications(), [""; 0]);
    }
    for parameters in [
        format!("sslmode=verify-ca&sslrootcert={ours}"),
        format!("ssl-mode=VERIFY_CA&ssl-ca={ours}"),
        "sslmode=require".to_owned(),
        "sslmode=prefer".to_owned(),
        String::new(),
    ] {
        run(&parameters).done();
    }
    assert_eq!(there.value("SELECT count(*) FROM t").unwrap(), "2");
}

#[test]
fn a_destination_may_ask_who_we_are() {
    let made = Certificates::new();
    let ours = made.own("ours", &Wish::authority("/CN=authority"));
    let certificate = made.issued("server", &Wish::default(), &ours);
    let client = made.issued("client", &Wish::client("/CN=copier"), &ours);
    let server = Server::builder(Version::NEWEST)
        .tls(&certificate)
        .setting("ssl_ca_file", ours.file.display())
        .allow("hostssl all copier 127.0.0.1/32 cert")
        .start();
    let mut there = Client::connect(&server, "postgres").unwrap();
    there
        .batch("CREATE ROLE copier LOGIN; GRANT ALL ON SCHEMA public TO copier")
        .unwrap();
    let site = Site::new();
    let run = |parameters: &str| {
        let root = ours.file.display();
        let port = server.port();
        let url = format!(
            "postgres://copier@localhost:{port}/postgres?sslmode=verify-full&sslrootcert={root}{parameters}"
        );
        into(&site, &url, &["--until", "current"]).wait(PATIENCE)
    };
    must_say(run(""), 2, &["certificate", "28000"]);
    let (file, key) = (client.file.display(), client.key.display());
    must_say(run(&format!("&sslcert={file}")), 2, &["sslkey beside it"]);
    run(&format!("&sslcert={file}&sslkey={key}")).done();
    assert_eq!(there.value("SELECT count(*) FROM t").unwrap(), "2");
}
