//! By which method a server may let us in, and passwords that have to be normalised first.

use testdata::{Certificates, Server, Version, Wish};
use walstream::{AuthMethod, Client, ErrorKind, SslMode};

use super::{Asked, direct, over_tls, refused, sql};

#[tokio::test]
async fn require_auth_lets_a_server_in_by_nothing_else() {
    let made = Certificates::new();
    let ca = made.own("ca", &Wish::authority("/CN=root"));
    let server = Server::builder(Version::V17)
        .tls(&made.issued("server", &Wish::default(), &ca))
        .file("ca.crt", &ca.file)
        .setting("ssl_ca_file", "ca.crt")
        .allow("host all scram all scram-sha-256")
        .allow("host all md5 all md5")
        .allow("host all clear all password")
        .allow("hostssl all app all cert")
        .start();
    sql(
        &server,
        "CREATE ROLE scram LOGIN PASSWORD 'p'; CREATE ROLE clear LOGIN PASSWORD 'p'; CREATE ROLE app LOGIN;
         SET password_encryption = md5; CREATE ROLE md5 LOGIN PASSWORD 'p'",
    );
    let client = made.issued("app", &Wish::client("/CN=app"), &ca);
    let users = [
        ("scram", AuthMethod::ScramSha256),
        ("md5", AuthMethod::Md5),
        ("clear", AuthMethod::Password),
        // Neither a certificate nor trust is asked for in the protocol.
        ("app", AuthMethod::None),
        ("postgres", AuthMethod::None),
    ];
    let all = [
        AuthMethod::ScramSha256,
        AuthMethod::Md5,
        AuthMethod::Password,
        AuthMethod::None,
        AuthMethod::Gss,
    ];
    for (user, method) in users {
        let asked = Asked {
            user,
            password: Some("p"),
            mode: SslMode::Require,
            identity: (user == "app").then(|| (client.file.clone(), client.key.clone())),
            ..Asked::default()
        };
        let config = asked.config(&server);
        for allowed in all {
            let config = config.clone().with_require_auth([allowed]);
            if allowed == method {
                Client::connect(&config).await.unwrap();
                continue;
            }
            let error = refused(&config).await;
            assert_eq!(
                error.kind(),
                ErrorKind::Authentication,
                "{user} {allowed:?}: {error:?}"
            );
            assert!(error.to_string().contains("require_auth") && error.sqlstate().is_none());
        }
        let others = all.map(|other| {
            if other == method {
                AuthMethod::OAuth
            } else {
                other
            }
        });
        refused(&config.clone().with_require_auth(others)).await;
        Client::connect(&config.with_require_auth(all))
            .await
            .unwrap();
    }
}

#[tokio::test]
async fn a_password_is_normalised_as_the_server_did_it() {
    let server = Server::builder(Version::NEWEST)
        .allow("host all odd all scram-sha-256")
        .start();
    // A soft hyphen vanishes, the feminine ordinal is an a, the roman nine is IX.
    sql(
        &server,
        "CREATE ROLE odd LOGIN PASSWORD 'I\u{ad}X\u{aa}\u{2168}'",
    );
    for password in ["I\u{ad}X\u{aa}\u{2168}", "IXaIX", "IX\u{aa}IX"] {
        let asked = Asked {
            user: "odd",
            password: Some(password),
            ..Asked::default()
        };
        assert!(!asked.ours(&server).await.unwrap(), "{password}");
    }
    for password in ["ixaix", "IXIX"] {
        let asked = Asked {
            user: "odd",
            password: Some(password),
            ..Asked::default()
        };
        asked.ours(&server).await.unwrap_err();
    }
}

#[tokio::test]
async fn direct_tls_reaches_servers_since_17_and_says_so_about_others() {
    let made = Certificates::new();
    let certificate = made.own("server", &Wish::default());
    for version in Version::ALL {
        let server = Server::builder(version)
            .tls(&certificate)
            .allow("host all scram all scram-sha-256")
            .start();
        sql(&server, "CREATE ROLE scram LOGIN PASSWORD 'p'");
        let asked = Asked {
            user: "scram",
            password: Some("p"),
            ..Asked::default()
        };
        let config = direct(asked.config(&server));
        if version >= Version::V17 {
            assert!(over_tls(&config).await.unwrap());
            continue;
        }
        let error = refused(&config).await;
        assert_eq!(error.kind(), ErrorKind::Tls, "{error:?}");
        assert!(error.hint().unwrap().contains("17"), "{error:?}");
    }
}
