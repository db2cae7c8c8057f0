//! Who is let in: we are where psql is, and over TLS where psql is.

use std::collections::BTreeMap;

use testdata::certificates::{ED25519, P384, RSA};
use testdata::{Certificates, Server, Version, Wish};
use walstream::{ChannelBinding, SslMode};

use super::{Asked, MODES, home, sql};

/// Server certificates as they are in the world, good and bad.
fn servers(made: &Certificates) -> Vec<(&'static str, Option<testdata::Certificate>)> {
    let ca = made.own("ca", &Wish::authority("/CN=the root"));
    made.own("other", &Wish::authority("/CN=another root"));
    let between = made.issued("between", &Wish::authority("/CN=in between"), &ca);
    made.joined("ca+between.crt", &[&ca.file, &between.file]);
    // The name of the root without its key.
    let liar = made.own("liar", &Wish::authority("/CN=the root"));
    let good = Wish::default();
    let old = Wish {
        subject: "/CN=localhost",
        extensions: "",
        ..good
    };
    let named = |subject, extensions| Wish {
        subject,
        extensions,
        ..good.clone()
    };
    let chained = |name: &str, wish: &Wish<'_>| {
        let mut certificate = made.issued(name, wish, &between);
        certificate.file = made.joined(
            &format!("{name}-chain.crt"),
            &[&certificate.file, &between.file],
        );
        certificate
    };
    vec![
        ("without TLS", None),
        ("good", Some(made.issued("good", &good, &ca))),
        (
            "RSA",
            Some(made.issued(
                "rsa",
                &Wish {
                    key: RSA,
                    ..good.clone()
                },
                &ca,
            )),
        ),
        ("self-signed", Some(made.own("self", &good))),
        ("self-signed, version 1", Some(made.own("self-old", &old))),
        (
            "self-signed, expired",
            Some(made.own(
                "self-expired",
                &Wish {
                    ended: true,
                    ..good.clone()
                },
            )),
        ),
        (
            "expired",
            Some(made.issued(
                "expired",
                &Wish {
                    ended: true,
                    ..good.clone()
                },
                &ca,
            )),
        ),
        ("behind another", Some(chained("chained", &good))),
        (
            "behind another that is not sent",
            Some(made.issued("unchained", &good, &between)),
        ),
        ("version 1", Some(made.issued("old", &old, &ca))),
        (
            "version 1, expired",
            Some(made.issued(
                "old-expired",
                &Wish {
                    ended: true,
                    ..old.clone()
                },
                &ca,
            )),
        ),
        (
            "version 1 behind another",
            Some(chained("old-chained", &old)),
        ),
        (
            "version 1 of one who is no authority",
            Some({
                let leaf = made.issued("leaf", &good, &ca);
                let mut certificate = made.issued("old-leaf", &old, &leaf);
                certificate.file =
                    made.joined("old-leaf-chain.crt", &[&certificate.file, &leaf.file]);
                certificate
            }),
        ),
        (
            "version 1 of a liar",
            Some(made.issued("old-lied", &old, &liar)),
        ),
        ("of a liar", Some(made.issued("lied", &good, &liar))),
        (
            "an authority's own",
            Some(made.issued(
                "authority",
                &named("/CN=localhost", "basicConstraints=critical,CA:TRUE"),
                &ca,
            )),
        ),
        (
            "for clients only",
            Some(made.issued(
                "client",
                &named("/CN=localhost", "extendedKeyUsage=clientAuth"),
                &ca,
            )),
        ),
        (
            "common name only",
            Some(made.issued(
                "common",
                &named("/CN=localhost", "basicConstraints=CA:FALSE"),
                &ca,
            )),
        ),
        (
            "common name beside an address",
            Some(made.issued(
                "address",
                &named("/CN=localhost", "subjectAltName=IP:127.0.0.1"),
                &ca,
            )),
        ),
        (
            "common name beside another name",
            Some(made.issued(
                "beside",
                &named("/CN=localhost", "subjectAltName=DNS:db.example"),
                &ca,
            )),
        ),
        (
            "a star",
            Some(made.issued("star", &named("/CN=x", "subjectAltName=DNS:*.Example"), &ca)),
        ),
        (
            "an address as a name",
            Some(made.issued(
                "textual",
                &named("/CN=127.0.0.1", "subjectAltName=DNS:127.0.0.1"),
                &ca,
            )),
        ),
        (
            "an address as a common name",
            Some(made.issued(
                "ip-common",
                &named("/CN=127.0.0.1", "subjectAltName=DNS:localhost"),
                &ca,
            )),
        ),
    ]
}

#[tokio::test]
async fn we_get_in_where_psql_does_whatever_the_certificate_is() {
    let made = Certificates::new();
    let home = home(&made);
    let mut met = BTreeMap::new();
    // The two before it do not look at certificates here.
    let modes = || MODES.into_iter().skip(2);
    for (what, certificate) in servers(&made) {
        let mut server = Server::builder(Version::V17);
        if let Some(certificate) = &certificate {
            server = server.tls(certificate);
        }
        let server = server.start();
        let mut roots: Vec<_> = ["ca", "other", "between", "ca+between"]
            .map(|name| Some(made.path(&format!("{name}.crt"))))
            .into();
        roots.push(None);
        roots.extend(certificate.map(|certificate| Some(certificate.file)));
        for roots in &roots {
            for (mode, _) in modes() {
                // Only the strictest mode looks at the name.
                let hosts: &[_] = match mode {
                    SslMode::VerifyFull if what == "a star" => &["db.example", "a.db.example"],
                    SslMode::VerifyFull => &["localhost", "127.0.0.1"],
                    _ => &["localhost"],
                };
                for host in hosts {
                    let asked = Asked {
                        host,
                        mode,
                        roots: roots.clone(),
                        ..Asked::default()
                    };
                    let outcome = asked.agreed(&server, &home, what).await;
                    *met.entry((mode, outcome)).or_insert(0) += 1;
                }
            }
        }
    }
    for (mode, outcome) in [
        (SslMode::Prefer, Some(false)),
        (SslMode::Prefer, Some(true)),
        (SslMode::Require, Some(true)),
        (SslMode::Require, None),
        (SslMode::VerifyCa, Some(true)),
        (SslMode::VerifyCa, None),
        (SslMode::VerifyFull, Some(true)),
        (SslMode::VerifyFull, None),
    ] {
        assert!(
            met.contains_key(&(mode, outcome)),
            "{mode:?} {outcome:?}: {met:?}"
        );
    }
}

#[tokio::test]
async fn what_is_refused_in_one_way_is_tried_in_the_other_where_psql_tries_it() {
    let made = Certificates::new();
    let home = home(&made);
    let certificate = made.own("server", &Wish::default());
    let users = ["only_tls", "only_plain", "nobody", "password", "wrong"];
    for version in Version::ALL {
        let server = Server::builder(version)
            .tls(&certificate)
            .allow("hostssl all only_tls all trust")
            .allow("hostnossl all only_plain all trust")
            .allow("host all only_tls,only_plain,nobody all reject")
            .allow("host all password,wrong all scram-sha-256")
            .start();
        sql(
            &server,
            "CREATE ROLE only_tls LOGIN; CREATE ROLE only_plain LOGIN; CREATE ROLE nobody LOGIN;
             CREATE ROLE password LOGIN PASSWORD 'p'; CREATE ROLE wrong LOGIN PASSWORD 'other'",
        );
        for user in users {
            for (mode, name) in MODES.into_iter().take(4) {
                let asked = Asked {
                    user,
                    mode,
                    password: Some("p"),
                    ..Asked::default()
                };
                let outcome = asked.agreed(&server, &home, &version.to_string()).await;
                let expected = match (user, name) {
                    ("only_tls", "disable")
                    | ("only_plain", "require")
                    | ("nobody" | "wrong", _) => None,
                    ("only_tls", _) | (_, "prefer" | "require") if user != "only_plain" => {
                        Some(true)
                    }
                    _ => Some(false),
                };
                assert_eq!(outcome, expected, "{user} {name}");
            }
        }
    }
}

#[tokio::test]
async fn a_login_is_bound_to_tls_as_psql_binds_it_whatever_signed_the_certificate() {
    let made = Certificates::new();
    let home = home(&made);
    let ca = made.own(
        "ca",
        &Wish {
            key: P384,
            ..Wish::authority("/CN=root")
        },
    );
    let ed_ca = made.own(
        "ed-ca",
        &Wish {
            key: ED25519,
            signature: "",
            ..Wish::authority("/CN=ed")
        },
    );
    let rsa_ca = made.own(
        "rsa-ca",
        &Wish {
            key: RSA,
            ..Wish::authority("/CN=rsa")
        },
    );
    let wish = |key, signature| Wish {
        key,
        signature,
        ..Wish::default()
    };
    let rsa = |signature| wish(RSA, signature);
    let pss = "-sigopt rsa_padding_mode:pss";
    let kinds = [
        (
            "RSA signed by ECDSA with SHA-384",
            made.issued("a", &rsa("-sha384"), &ca),
            true,
        ),
        (
            "RSA signed by ECDSA with SHA-512",
            made.issued("b", &rsa("-sha512"), &ca),
            true,
        ),
        (
            "ECDSA signed by RSA with SHA-512",
            made.issued("c", &wish(P384, "-sha512"), &rsa_ca),
            true,
        ),
        ("SHA-1", made.own("d", &rsa("-sha1")), true),
        ("SHA-224", made.own("e", &rsa("-sha224")), true),
        (
            "PSS with SHA-256",
            made.own("f", &rsa(&format!("-sha256 {pss}"))),
            true,
        ),
        (
            "PSS with SHA-384",
            made.own("g", &rsa(&format!("-sha384 {pss}"))),
            true,
        ),
        (
            "signed by Ed25519",
            made.issued("i", &wish(RSA, ""), &ed_ca),
            false,
        ),
    ];
    let bindings = [
        ChannelBinding::Disable,
        ChannelBinding::Prefer,
        ChannelBinding::Require,
    ];
    for (what, certificate, can) in &kinds {
        let server = Server::builder(Version::V17)
            .tls(certificate)
            .allow("host all scram all scram-sha-256")
            .allow("host all md5 all md5")
            .allow("host all clear all password")
            .start();
        sql(
            &server,
            "CREATE ROLE scram LOGIN PASSWORD 'p'; CREATE ROLE clear LOGIN PASSWORD 'p';
             CREATE ROLE trusted LOGIN; SET password_encryption = md5; CREATE ROLE md5 LOGIN PASSWORD 'p'",
        );
        for binding in bindings {
            for user in ["scram", "md5", "clear", "trusted"] {
                for mode in [SslMode::Disable, SslMode::Require] {
                    let asked = Asked {
                        user,
                        mode,
                        binding,
                        password: Some("p"),
                        ..Asked::default()
                    };
                    let outcome = asked.agreed(&server, &home, what).await;
                    let tls = mode == SslMode::Require;
                    let bound = user == "scram" && tls && *can;
                    let expected = match binding {
                        ChannelBinding::Require => bound,
                        ChannelBinding::Prefer => bound || !tls || user != "scram",
                        ChannelBinding::Disable => true,
                    };
                    assert_eq!(outcome, expected.then_some(tls), "{what} {asked:?}");
                }
            }
        }
    }
}
