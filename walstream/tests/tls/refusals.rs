//! What is said where TLS cannot be had as asked for.

use std::io::{Read, Write};
use std::net::TcpListener;
use std::path::PathBuf;

use testdata::{Certificates, Server, Version, Wish};
use walstream::{
    AuthMethod, ChannelBinding, Config, ErrorKind, RootCertificates, SslMode, SslNegotiation,
};

use super::{Asked, home, refused};

#[tokio::test]
async fn each_certificate_that_is_not_to_be_believed_is_refused_with_its_reason() {
    let made = Certificates::new();
    let ca = made.own("ca", &Wish::authority("/CN=root"));
    let other = made.own("other", &Wish::authority("/CN=other"));
    let old_ca = made.own(
        "old-ca",
        &Wish {
            ended: true,
            ..Wish::authority("/CN=old root")
        },
    );
    let good = Wish::default();
    let expired = Wish {
        ended: true,
        ..good.clone()
    };
    let of_other_name = Wish {
        extensions: "subjectAltName=DNS:db.example,IP:10.0.0.1",
        ..good.clone()
    };
    let own = made.own("own", &good);
    for (certificate, roots, what, hint) in [
        (
            made.issued("a", &good, &ca),
            &other.file,
            "no root certificate vouches for it",
            "sslrootcert",
        ),
        (
            own,
            &ca.file,
            "no root certificate vouches for it",
            "sslrootcert",
        ),
        (
            made.issued("b", &expired, &ca),
            &ca.file,
            "has expired",
            "renewed",
        ),
        (
            made.issued("c", &of_other_name, &ca),
            &ca.file,
            "it is for \"db.example\", \"10.0.0.1\", not for \"localhost\"",
            "sslmode=verify-ca",
        ),
        (
            made.issued("d", &good, &old_ca),
            &old_ca.file,
            "that is valid now",
            "sslrootcert",
        ),
    ] {
        let server = Server::builder(Version::NEWEST).tls(&certificate).start();
        let asked = Asked {
            mode: SslMode::VerifyFull,
            roots: Some(roots.clone()),
            ..Asked::default()
        };
        let error = asked.ours(&server).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Tls, "{error:?}");
        assert!(error.to_string().contains(what), "{error}");
        assert!(error.hint().unwrap().contains(hint), "{error:?}");
        assert!(error.needs_person());
    }
}

#[tokio::test]
async fn a_revoked_certificate_is_refused_where_psql_refuses_it() {
    let made = Certificates::new();
    let home = home(&made);
    let ca = made.own("ca", &Wish::authority("/CN=root"));
    let other = made.own("other", &Wish::authority("/CN=other"));
    let certificate = made.issued("server", &Wish::default(), &ca);
    let neighbour = made.issued("neighbour", &Wish::default(), &ca);
    let server = Server::builder(Version::NEWEST).tls(&certificate).start();
    let missing: PathBuf = made.path("missing.crl");
    for (list, what) in [
        (made.revoked("none", &ca, &[&neighbour], false), None),
        (
            made.revoked("it", &ca, &[&certificate], false),
            Some("is revoked"),
        ),
        (
            made.revoked("old", &ca, &[], true),
            Some("a list of revoked certificates has expired"),
        ),
        (
            made.revoked("foreign", &other, &[], false),
            Some("do not cover every issuer"),
        ),
        (missing.clone(), Some("missing.crl\" cannot be used")),
    ] {
        for mode in [SslMode::Require, SslMode::VerifyFull] {
            let asked = Asked {
                mode,
                roots: Some(ca.file.clone()),
                revoked: Some(list.clone()),
                ..Asked::default()
            };
            // psql passes over a list that is not there.
            if list == missing {
                asked.psqls(&server, &home).unwrap();
            } else {
                asked.agreed(&server, &home, &format!("{what:?}")).await;
            }
            match what {
                None => assert!(asked.ours(&server).await.unwrap()),
                Some(what) => {
                    let error = asked.ours(&server).await.unwrap_err();
                    assert_eq!(error.kind(), ErrorKind::Tls, "{error:?}");
                    assert!(error.to_string().contains(what), "{error}");
                    assert!(
                        error.hint().unwrap().contains("certificate")
                            || error.hint().unwrap().contains("sslcrl")
                    );
                }
            }
        }
    }
}

#[tokio::test]
async fn a_server_without_tls_is_refused_where_tls_is_asked_for() {
    let server = Server::start(Version::NEWEST);
    for mode in [SslMode::Require, SslMode::VerifyCa, SslMode::VerifyFull] {
        let error = refused(
            &Asked {
                mode,
                ..Asked::default()
            }
            .config(&server),
        )
        .await;
        assert_eq!(error.kind(), ErrorKind::Tls);
        assert!(
            error.to_string().ends_with("the server does not offer TLS"),
            "{error}"
        );
        assert!(error.hint().unwrap().contains("ssl = on") && !error.is_transient());
    }
    // As with psql, a Unix socket needs none.
    let config = Config::parse(&server.socket_url("postgres")).unwrap();
    for mode in [SslMode::Require, SslMode::VerifyFull] {
        walstream::Client::connect(&config.clone().with_sslmode(mode))
            .await
            .unwrap();
    }
}

#[tokio::test]
async fn roots_that_are_not_there_are_not_passed_over() {
    let made = Certificates::new();
    let server = Server::builder(Version::NEWEST)
        .tls(&made.own("server", &Wish::default()))
        .start();
    let config = |mode| {
        Asked {
            mode,
            ..Asked::default()
        }
        .config(&server)
    };
    for mode in [SslMode::VerifyCa, SslMode::VerifyFull] {
        let error = refused(&config(mode)).await;
        assert!(
            error.to_string().contains(": there is no root certificate"),
            "{error}"
        );
        assert_eq!(error.kind(), ErrorKind::Tls);
    }
    for (name, text) in [
        ("missing", None),
        ("empty", Some("")),
        ("torn", Some("-----BEGIN CERTIFICATE-----\nAAAA")),
    ] {
        let path = text.map_or_else(|| made.path(name), |text| made.write(name, text));
        let roots = RootCertificates::File(path);
        let error = refused(&config(SslMode::Require).with_sslrootcert(roots)).await;
        assert_eq!(error.kind(), ErrorKind::Tls, "{error:?}");
        assert!(error.to_string().contains(name) && error.hint().unwrap().contains("sslrootcert"));
    }
    // A server of ours is none that the whole world vouches for.
    let system = config(SslMode::VerifyFull).with_sslrootcert(RootCertificates::System);
    let error = refused(&system).await;
    assert!(error.to_string().contains("no root certificate"), "{error}");
}

#[tokio::test]
async fn combinations_that_would_protect_nothing_are_refused_before_anything_is_sent() {
    // Nobody listens there.
    let config = Config::new("127.0.0.1", "u").with_port(1);
    for mode in [SslMode::Disable, SslMode::Allow, SslMode::Prefer] {
        for config in [
            config.clone().with_sslnegotiation(SslNegotiation::Direct),
            config.clone().with_sslrootcert(RootCertificates::System),
        ] {
            let config = config.with_sslmode(mode);
            assert_eq!(refused(&config).await.kind(), ErrorKind::Config);
        }
    }
}

/// Somebody who reads what comes first and answers with this; returns what came behind it until we left.
fn peer(answer: &'static [u8]) -> (u16, std::thread::JoinHandle<Vec<u8>>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    let heard = std::thread::spawn(move || {
        let (mut socket, _) = listener.accept().unwrap();
        let mut request = [0; 8];
        socket.read_exact(&mut request).unwrap();
        assert_eq!(request, [0, 0, 0, 8, 4, 210, 22, 47]);
        socket.write_all(answer).unwrap();
        let mut rest = Vec::new();
        let _ = socket.read_to_end(&mut rest);
        rest
    });
    (port, heard)
}

#[tokio::test]
async fn what_is_slipped_in_beside_the_answer_ends_the_connection_unheard() {
    for (answer, kind) in [
        // What CVE-2021-23222 let in: an answer to the login, in the clear, before TLS.
        (&b"SR\0\0\0\x08\0\0\0\0"[..], ErrorKind::Protocol),
        (b"NR\0\0\0\x08\0\0\0\0", ErrorKind::Protocol),
        (b"X", ErrorKind::Protocol),
        // Its text is anybody's.
        (
            b"E\0\0\0\x20SFATAL\0C28000\0Msend money\0\0",
            ErrorKind::Connect,
        ),
    ] {
        for mode in [SslMode::Prefer, SslMode::Require] {
            let (port, heard) = peer(answer);
            let config = Config::new("127.0.0.1", "u")
                .with_port(port)
                .with_sslmode(mode);
            let error = refused(&config.with_password("secret")).await;
            assert_eq!(error.kind(), kind, "{answer:?}: {error:?}");
            assert!(!format!("{error:?}").contains("money"));
            assert_eq!(heard.join().unwrap(), [], "{answer:?}");
        }
    }
}

#[tokio::test]
async fn a_server_without_tls_is_told_no_password_that_may_not_be_told() {
    // Agrees to go on without TLS, and then asks for the password in the clear.
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    let heard = std::thread::spawn(move || {
        let mut all = Vec::new();
        for _ in 0..2 {
            let (mut socket, _) = listener.accept().unwrap();
            socket.read_exact(&mut [0; 8]).unwrap();
            socket.write_all(b"N").unwrap();
            let mut startup = [0; 4];
            socket.read_exact(&mut startup).unwrap();
            let length = u32::from_be_bytes(startup);
            socket
                .read_exact(&mut vec![0; length as usize - 4])
                .unwrap();
            socket.write_all(b"R\0\0\0\x08\0\0\0\x03").unwrap();
            let _ = socket.read_to_end(&mut all);
        }
        all
    });
    let config = Config::new("127.0.0.1", "u")
        .with_port(port)
        .with_password("secret");
    for config in [
        config.clone().with_require_auth([AuthMethod::ScramSha256]),
        config.with_channel_binding(ChannelBinding::Require),
    ] {
        assert_eq!(refused(&config).await.kind(), ErrorKind::Authentication);
    }
    assert_eq!(heard.join().unwrap(), []);
}
