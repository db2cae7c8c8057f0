//! Certificates of clients: who is let in by one, in which forms a key may be, and what is wrong with the others.

use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use testdata::certificates::{P256, P384, RSA};
use testdata::{Certificate, Certificates, Server, Version, Wish};
use walstream::{Error, ErrorKind, SslCertMode, SslMode};

use super::{Asked, MODES, home, refused, sql};

/// A server that lets `app` in by certificate only, and its authority.
fn server(made: &Certificates, version: Version) -> (Server, Certificate) {
    let ca = made.own("ca", &Wish::authority("/CN=root"));
    let server = Server::builder(version)
        .tls(&made.issued("server", &Wish::default(), &ca))
        .file("ca.crt", &ca.file)
        .setting("ssl_ca_file", "ca.crt")
        .allow("hostssl all app all cert")
        .allow("hostnossl all app all reject")
        .start();
    sql(&server, "CREATE ROLE app LOGIN REPLICATION");
    (server, ca)
}

fn asked<'a>(certificate: &Path, key: &Path) -> Asked<'a> {
    Asked {
        user: "app",
        mode: SslMode::Require,
        identity: Some((certificate.into(), key.into())),
        ..Asked::default()
    }
}

#[tokio::test]
async fn a_certificate_lets_its_user_in_on_every_version() {
    for version in Version::ALL {
        let made = Certificates::new();
        let (server, ca) = server(&made, version);
        let client = made.issued("app", &Wish::client("/CN=app"), &ca);
        let asked = Asked {
            mode: SslMode::VerifyFull,
            roots: Some(ca.file),
            ..asked(&client.file, &client.key)
        };
        assert!(asked.ours(&server).await.unwrap());
        let config = asked.config(&server);
        let mut client = walstream::Client::connect_replication(&config)
            .await
            .unwrap();
        client.identify_system().await.unwrap();
    }
}

#[tokio::test]
async fn a_key_may_have_any_form_that_openssl_writes() {
    let made = Certificates::new();
    let home = home(&made);
    let (server, ca) = server(&made, Version::V17);
    let of = |name: &str, key| {
        let wish = Wish {
            key,
            ..Wish::client("/CN=app")
        };
        made.issued(name, &wish, &ca)
    };
    let (rsa, ec, large) = (of("rsa", RSA), of("ec", P256), of("large", P384));
    let old = made.issued(
        "old",
        &Wish {
            extensions: "",
            ..Wish::client("/CN=app")
        },
        &ca,
    );
    let locked = "pkcs8 -topk8 -passout pass:secret";
    for (what, certificate, form) in [
        ("PKCS #8", &rsa, "pkcs8 -topk8 -nocrypt"),
        ("PKCS #8 of EC", &ec, "pkcs8 -topk8 -nocrypt"),
        ("PKCS #8 of P-384", &large, "pkcs8 -topk8 -nocrypt"),
        ("PKCS #1", &rsa, "rsa -traditional"),
        ("SEC 1", &ec, "ec"),
        ("DER", &rsa, "pkcs8 -topk8 -nocrypt -outform DER"),
        ("version 1", &old, "pkcs8 -topk8 -nocrypt"),
        ("AES-256", &rsa, &format!("{locked} -v2 aes-256-cbc")),
        ("AES-128 of EC", &ec, &format!("{locked} -v2 aes-128-cbc")),
        (
            "3DES with SHA-1",
            &rsa,
            &format!("{locked} -v2 des3 -v2prf hmacWithSHA1"),
        ),
        ("scrypt", &ec, &format!("{locked} -scrypt -scrypt_N 1024")),
    ] {
        let key = made.key_as("form", &certificate.key, form);
        let asked = Asked {
            key_password: form.contains("pass:").then_some("secret"),
            ..asked(&certificate.file, &key)
        };
        assert_eq!(
            asked.agreed(&server, &home, what).await,
            Some(true),
            "{what}"
        );
    }
}

/// The texts of an error, and that nothing of a password is in it.
fn told(error: &Error) -> (ErrorKind, String, String) {
    assert!(!format!("{error:?}").contains("secret"), "{error:?}");
    let hint = error.hint().unwrap_or_default().to_owned();
    (error.kind(), error.to_string(), hint)
}

#[tokio::test]
async fn a_key_that_cannot_be_used_is_refused_with_what_to_do() {
    let made = Certificates::new();
    let home = home(&made);
    let (server, ca) = server(&made, Version::V17);
    let client = made.issued(
        "app",
        &Wish {
            key: RSA,
            ..Wish::client("/CN=app")
        },
        &ca,
    );
    let other = made.issued("other", &Wish::client("/CN=app"), &ca);
    let locked = "pkcs8 -topk8 -v2 aes-256-cbc -passout pass:secret";
    let locked = made.key_as("locked", &client.key, locked);
    let traditional = "rsa -traditional -aes128 -passout pass:secret";
    let traditional = made.key_as("traditional", &client.key, traditional);
    let open = made.key_as("open", &client.key, "rsa");
    std::fs::set_permissions(&open, std::fs::Permissions::from_mode(0o644)).unwrap();
    let missing = made.path("missing.key");
    let empty = made.write("empty.key", "");
    std::fs::set_permissions(&empty, std::fs::Permissions::from_mode(0o600)).unwrap();
    let cases: [(&PathBuf, Option<&str>, &str, &str); 7] = [
        (
            &locked,
            None,
            "is encrypted, and no password of it is given",
            "sslpassword",
        ),
        (&locked, Some("wrong"), "cannot be decrypted", "sslpassword"),
        (&open, None, "can be read by others", "chmod 0600"),
        (
            &other.key,
            None,
            "does not belong to the key",
            "sslcert and sslkey",
        ),
        (&missing, None, "cannot be used", "sslkey"),
        (&empty, None, "cannot be used", "sslkey"),
        (
            &traditional,
            Some("secret"),
            "traditional form of OpenSSL",
            "openssl pkcs8 -topk8 -v2 aes-256-cbc",
        ),
    ];
    for (key, password, what, hint) in cases {
        let asked = Asked {
            key_password: password,
            ..asked(&client.file, key)
        };
        let (kind, text, told_hint) = told(&asked.ours(&server).await.unwrap_err());
        assert_eq!(kind, ErrorKind::Tls, "{text}");
        assert!(
            text.contains(what) && told_hint.contains(hint),
            "{text} {told_hint}"
        );
        // The one that psql reads and we do not.
        let psql_can = key == &traditional;
        assert_eq!(asked.psqls(&server, &home).is_ok(), psql_can, "{text}");
    }
    // What the hint says helps.
    let converted = "pkcs8 -topk8 -v2 aes-256-cbc -passin pass:secret -passout pass:secret";
    let converted = made.key_as("converted", &traditional, converted);
    let asked = Asked {
        key_password: Some("secret"),
        ..asked(&client.file, &converted)
    };
    assert!(asked.ours(&server).await.unwrap());
}

#[tokio::test]
async fn a_certificate_that_the_server_does_not_take_gets_nobody_in_as_with_psql() {
    let made = Certificates::new();
    let home = home(&made);
    let (server, ca) = server(&made, Version::V17);
    let stranger = made.own("stranger", &Wish::authority("/CN=stranger"));
    let good = made.issued("good", &Wish::client("/CN=app"), &ca);
    let unknown = made.issued("unknown", &Wish::client("/CN=app"), &stranger);
    let another = made.issued("another", &Wish::client("/CN=another"), &ca);
    for (what, certificate, kind) in [
        ("unknown issuer", Some(&unknown), ErrorKind::Tls),
        ("another user", Some(&another), ErrorKind::Authentication),
        ("none", None, ErrorKind::Authentication),
        ("good", Some(&good), ErrorKind::Config),
    ] {
        for (mode, _) in MODES.into_iter().take(4) {
            let asked = Asked {
                user: "app",
                mode,
                identity: certificate.map(|it| (it.file.clone(), it.key.clone())),
                ..Asked::default()
            };
            let outcome = asked.agreed(&server, &home, what).await;
            let gets_in = what == "good" && mode != SslMode::Disable;
            assert_eq!(outcome, gets_in.then_some(true), "{what} {mode:?}");
            if mode == SslMode::Require && !gets_in {
                let error = refused(&asked.config(&server)).await;
                assert_eq!(error.kind(), kind, "{what}: {error:?}");
                assert!(error.needs_person() && error.hint().is_some(), "{error:?}");
            }
        }
    }
}

#[tokio::test]
async fn sslcertmode_says_whether_a_certificate_is_shown() {
    let made = Certificates::new();
    let (server, ca) = server(&made, Version::V17);
    let client = made.issued("app", &Wish::client("/CN=app"), &ca);
    let shown = asked(&client.file, &client.key).config(&server);
    let config = shown.clone().with_sslcertmode(SslCertMode::Require);
    walstream::Client::connect(&config).await.unwrap();
    let error = refused(&shown.clone().with_sslcertmode(SslCertMode::Disable)).await;
    assert_eq!(error.kind(), ErrorKind::Authentication, "{error:?}");

    // Somebody who needs none is let in, and that is not enough.
    let none = Asked {
        mode: SslMode::Require,
        ..Asked::default()
    }
    .config(&server);
    walstream::Client::connect(&none).await.unwrap();
    let error = refused(&none.with_sslcertmode(SslCertMode::Require)).await;
    assert!(
        error.to_string().ends_with(
            "the server let us in, and there is no client certificate that it could have checked"
        ),
        "{error}"
    );
    let never_asks = Server::builder(Version::V17)
        .tls(&made.issued("plain", &Wish::default(), &ca))
        .start();
    let mut asked = asked(&client.file, &client.key);
    asked.user = "postgres";
    let config = asked.config(&never_asks);
    walstream::Client::connect(&config).await.unwrap();
    for mode in [SslMode::Require, SslMode::Disable] {
        let config = config.clone().with_sslmode(mode);
        let error = refused(&config.with_sslcertmode(SslCertMode::Require)).await;
        assert!(
            error
                .to_string()
                .ends_with("the server did not ask for a client certificate"),
            "{error}"
        );
        assert_eq!(error.kind(), ErrorKind::Tls);
    }
}
