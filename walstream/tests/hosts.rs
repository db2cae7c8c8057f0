//! Several servers: which is tried, in which order, which is taken, and what is said when none is.

use std::collections::BTreeSet;
use std::io::{Read, Write};
use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::process::Command;
use std::time::Duration;

use testdata::{Certificates, Server, Version, Wish};
use walstream::{
    Client, Config, Endpoint, Error, ErrorKind, LoadBalanceHosts, SslMode, TargetSessionAttrs,
};

fn tcp(port: u16) -> Endpoint {
    Endpoint::new("127.0.0.1", port)
}

fn config(endpoints: &[Endpoint]) -> Config {
    Config::new("127.0.0.1", "postgres")
        .with_database("postgres")
        .with_endpoints(endpoints.iter().cloned())
}

async fn port(config: &Config) -> Result<u16, Error> {
    let mut client = Client::connect(config).await?;
    let rows = client.query("SHOW port").await?;
    Ok(rows[0].get(0).unwrap().parse().unwrap())
}

async fn refused(config: &Config) -> Error {
    match Client::connect(config).await {
        Ok(_) => panic!("{config} let us in"),
        Err(error) => error,
    }
}

/// A port where nobody listens as long as the listener is not dropped: bound elsewhere.
fn nobody() -> (Endpoint, TcpListener) {
    let held = TcpListener::bind("127.0.0.2:0").unwrap();
    (tcp(held.local_addr().unwrap().port()), held)
}

/// A server made a standby of nobody: it recovers for ever, and answers.
fn standby(version: Version) -> Server {
    let mut server = Server::start(version);
    server.stop();
    std::fs::write(server.data().join("standby.signal"), "").unwrap();
    server.start_again();
    server
}

#[tokio::test]
async fn the_first_that_can_be_reached_is_taken() {
    let (first, second) = (Server::start(Version::V14), Server::start(Version::NEWEST));
    let (gone, _held) = nobody();
    let (one, two) = (tcp(first.port()), tcp(second.port()));
    for (endpoints, taken) in [
        (vec![one.clone(), two.clone()], &first),
        (vec![two.clone(), one.clone()], &second),
        (vec![gone.clone(), two.clone(), one.clone()], &second),
        (
            vec![
                Endpoint::new("no-such-host.invalid", 5432),
                Endpoint::new("/nowhere", 5432),
                one.clone(),
            ],
            &first,
        ),
        (
            vec![
                Endpoint::new("no-such-host.invalid", first.port())
                    .with_address(Ipv4Addr::LOCALHOST.into()),
            ],
            &first,
        ),
    ] {
        assert_eq!(
            port(&config(&endpoints)).await.unwrap(),
            taken.port(),
            "{endpoints:?}"
        );
    }
    let both = config(&[one, two]);
    let random = both.with_load_balance_hosts(LoadBalanceHosts::Random);
    let mut taken = BTreeSet::new();
    // That one of two is never drawn happens once in 2^59.
    for _ in 0..60 {
        taken.insert(port(&random).await.unwrap());
    }
    assert_eq!(taken.len(), 2);
}

#[tokio::test]
async fn one_error_names_every_place_and_its_reason() {
    let (gone, _held) = nobody();
    let socket = Endpoint::new("/nowhere", 5432);
    let name = Endpoint::new("no-such-host.invalid", 5433);
    let all = config(&[gone.clone(), socket.clone(), name]);
    let error = refused(&all).await;
    assert_eq!(error.kind(), ErrorKind::Connect);
    assert!(error.is_transient());
    let text = error.to_string();
    let port = gone.port();
    for part in [
        "no session at any of the places tried: ",
        &format!("127.0.0.1:{port}: cannot connect to 127.0.0.1:{port}: Connection refused"),
        "; /nowhere/.s.PGSQL.5432: cannot connect to /nowhere/.s.PGSQL.5432: No such file",
        "; no-such-host.invalid:5433: cannot find the address",
    ] {
        assert!(text.contains(part), "{text}");
    }

    // One that somebody has to do something about tells more than those that may be back soon.
    let server = Server::start(Version::NEWEST);
    let all = config(&[gone, tcp(server.port()), socket]).with_database("absent");
    let error = refused(&all).await;
    assert_eq!(error.kind(), ErrorKind::DatabaseMissing, "{error:?}");
    assert_eq!(error.sqlstate(), Some("3D000"));
    assert!(
        !error.is_transient() && error.to_string().contains("Connection refused"),
        "{error}"
    );
}

#[tokio::test]
async fn a_refused_login_is_the_end_as_with_psql() {
    let (first, second) = (
        Server::builder(Version::NEWEST)
            .allow("host all all all scram-sha-256")
            .start(),
        Server::start(Version::NEWEST),
    );
    testdata::Client::connect_with(&second, "postgres", "postgres", &[]).unwrap();
    let psql = |text: &str| {
        let output = Command::new(testdata::program("psql"))
            .args(["-XAtwc", "SHOW port", text])
            .env_clear()
            .env("LC_ALL", "C")
            .output()
            .unwrap();
        output.status.success()
    };
    let ports = format!("{},{}", first.port(), second.port());
    let error =
        refused(&config(&[tcp(first.port()), tcp(second.port())]).with_password("wrong")).await;
    assert_eq!(error.kind(), ErrorKind::Authentication, "{error:?}");
    assert!(!psql(&format!(
        "host=127.0.0.1,127.0.0.1 port={ports} user=postgres dbname=postgres password=wrong"
    )));

    // A server that is shutting down lets nobody in, and the next is tried.
    let mut holder = testdata::Client::connect(&second, "postgres").unwrap();
    second.signal("TERM");
    let third = Server::start(Version::V14);
    let ports = [tcp(second.port()), tcp(third.port())];
    let deadline = std::time::Instant::now() + Duration::from_secs(20);
    while port(&config(&ports)).await.unwrap() != third.port() {
        assert!(
            std::time::Instant::now() < deadline,
            "it does not shut down"
        );
    }
    let error = refused(&config(&ports[..1])).await;
    assert_eq!(
        (error.kind(), error.is_transient()),
        (ErrorKind::ServerShutdown, true)
    );
    assert!(psql(&format!(
        "host=127.0.0.1,127.0.0.1 port={},{} user=postgres dbname=postgres",
        second.port(),
        third.port()
    )));
    assert_eq!(holder.value("SELECT 1").unwrap(), "1");
}

#[tokio::test]
async fn places_are_gone_through_as_psql_goes_through_them() {
    let made = Certificates::new();
    let plain = Server::start(Version::NEWEST);
    let covered = Server::builder(Version::NEWEST)
        .tls(&made.own("server", &Wish::default()))
        .start();
    let strict = Server::builder(Version::V17)
        .tls(&made.own("strict", &Wish::default()))
        .allow("host all all all reject")
        .start();
    let (gone, _held) = nobody();
    let at = |host: &'static str, port: u16| (host, port);
    let gone = at("127.0.0.1", gone.port());
    let plain = at("127.0.0.1", plain.port());
    let covered = at("127.0.0.1", covered.port());
    let strict = at("127.0.0.1", strict.port());
    let unknown = at("no-such-host.invalid", 5432);
    let nowhere = at("/nowhere", 5432);
    let mut met = BTreeSet::new();
    for places in [
        [gone, covered],
        [unknown, covered],
        [nowhere, plain],
        [plain, covered],
        [covered, plain],
        [strict, covered],
        [covered, strict],
    ] {
        for (mode, name) in [(SslMode::Prefer, "prefer"), (SslMode::Require, "require")] {
            let endpoints = places.map(|(host, port)| match host {
                "/nowhere" => Endpoint::new(host, port),
                _ => Endpoint::new(host, port),
            });
            let ours = port(&config(&endpoints).with_sslmode(mode)).await;
            let psqls = Command::new(testdata::program("psql"))
                .args(["-XAtwc", "SHOW port"])
                .arg(format!(
                    "host={},{} port={},{} user=postgres dbname=postgres sslmode={name}",
                    places[0].0, places[1].0, places[0].1, places[1].1
                ))
                .env_clear()
                .env("HOME", "/nowhere")
                .output()
                .unwrap();
            let psqls = String::from_utf8_lossy(&psqls.stdout).trim().parse().ok();
            assert_eq!(
                ours.as_ref().ok(),
                psqls.as_ref(),
                "{places:?} {name}: {ours:?}"
            );
            met.insert(psqls.map(|port: u16| places.iter().position(|place| place.1 == port)));
        }
    }
    assert_eq!(met.len(), 3, "the first, the second and none: {met:?}");
}

#[tokio::test]
async fn each_address_has_its_own_time() {
    // Takes the connection and says nothing.
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let silent = tcp(listener.local_addr().unwrap().port());
    let server = Server::start(Version::NEWEST);
    let both = config(&[silent.clone(), silent, tcp(server.port())])
        .with_connect_timeout(Duration::from_secs(3));
    // More than one limit passes before the one that answers.
    assert_eq!(port(&both).await.unwrap(), server.port());
}

const ALL: [TargetSessionAttrs; 6] = [
    TargetSessionAttrs::Any,
    TargetSessionAttrs::ReadWrite,
    TargetSessionAttrs::ReadOnly,
    TargetSessionAttrs::Primary,
    TargetSessionAttrs::Standby,
    TargetSessionAttrs::PreferStandby,
];

const NAMES: [&str; 6] = [
    "any",
    "read-write",
    "read-only",
    "primary",
    "standby",
    "prefer-standby",
];

#[tokio::test]
async fn the_server_that_is_taken_is_of_the_kind_that_is_wanted_as_with_psql() {
    for version in Version::ALL {
        let primary = Server::start(version);
        let read_only = Server::builder(version)
            .setting("default_transaction_read_only", "on")
            .start();
        let standby = standby(version);
        let orders: [&[&Server]; 5] = [
            &[&primary, &read_only, &standby],
            &[&standby, &read_only, &primary],
            &[&read_only, &standby],
            &[&primary, &read_only],
            &[&standby],
        ];
        for servers in orders {
            let endpoints: Vec<_> = servers.iter().map(|server| tcp(server.port())).collect();
            for (target, name) in ALL.into_iter().zip(NAMES) {
                let config = config(&endpoints).with_target_session_attrs(target);
                let taken = port(&config).await;
                let list = |what: &dyn Fn(&Server) -> String| {
                    servers
                        .iter()
                        .map(|server| what(server))
                        .collect::<Vec<_>>()
                        .join(",")
                };
                let output = Command::new(testdata::program("psql"))
                    .args(["-XAtwc", "SHOW port"])
                    .arg(format!(
                        "host={} port={} user=postgres dbname=postgres target_session_attrs={name}",
                        list(&|_| "127.0.0.1".into()),
                        list(&|server| server.port().to_string())
                    ))
                    .env_clear()
                    .output()
                    .unwrap();
                let psqls = String::from_utf8_lossy(&output.stdout).trim().parse().ok();
                assert_eq!(
                    taken.as_ref().ok(),
                    psqls.as_ref(),
                    "{version} {name}: {taken:?}"
                );
                if let Err(error) = taken {
                    // A failover may be under way.
                    assert!(error.is_transient() && error.hint().is_some(), "{error:?}");
                }
                if target == TargetSessionAttrs::Primary && psqls.is_some() {
                    Client::connect_replication(&config).await.unwrap();
                }
            }
        }
    }
}

/// A way to a server on which what it says of itself is lost, as some poolers lose it.
fn mute(server: &Server) -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let (own, port) = (listener.local_addr().unwrap().port(), server.port());
    std::thread::spawn(move || {
        for socket in listener.incoming() {
            let (mut ours, mut theirs) = (
                socket.unwrap(),
                TcpStream::connect(("127.0.0.1", port)).unwrap(),
            );
            let (mut up, mut down) = (ours.try_clone().unwrap(), theirs.try_clone().unwrap());
            std::thread::spawn(move || std::io::copy(&mut up, &mut theirs));
            std::thread::spawn(move || {
                // A message each, so that no name is cut in two.
                let mut head = [0; 5];
                while down.read_exact(&mut head).is_ok() {
                    let length = u32::from_be_bytes(head[1..].try_into().unwrap()) as usize;
                    let mut body = vec![0; length - 4];
                    down.read_exact(&mut body).unwrap();
                    let lost = [&b"in_hot_standby\0"[..], b"default_transaction_read_only\0"];
                    let is_lost = head[0] == b'S' && lost.iter().any(|name| body.starts_with(name));
                    if !is_lost && ours.write_all(&[&head[..], &body].concat()).is_err() {
                        break;
                    }
                }
            });
        }
    });
    own
}

#[tokio::test]
async fn a_server_that_does_not_say_what_it_is_is_asked() {
    let primary = Server::start(Version::NEWEST);
    let read_only = Server::builder(Version::V14)
        .setting("default_transaction_read_only", "on")
        .start();
    let standby = standby(Version::NEWEST);
    let servers = [
        ("primary", &primary),
        ("read only", &read_only),
        ("standby", &standby),
    ];
    for (what, server) in servers {
        let (shown, hidden) = (config(&[tcp(server.port())]), config(&[tcp(mute(server))]));
        for replication in [false, true] {
            for target in ALL {
                let connects = async |config: &Config| {
                    let config = config
                        .clone()
                        .with_target_session_attrs(target)
                        .with_sslmode(SslMode::Disable);
                    match replication {
                        true => Client::connect_replication(&config).await.is_ok(),
                        false => Client::connect(&config).await.is_ok(),
                    }
                };
                assert_eq!(
                    connects(&shown).await,
                    connects(&hidden).await,
                    "{what} {target:?}"
                );
            }
        }
    }
}

#[tokio::test]
async fn abstract_sockets_are_reached_by_name() {
    let name = format!("walstream-{}", std::process::id());
    let server = Server::builder(Version::V17)
        .socket(&format!("@{name}"))
        .start();
    let endpoint = |name: &str| Endpoint::new(&format!("@{name}"), server.port());
    let config_of = |name: &str| config(&[endpoint(name)]);
    let mut client = Client::connect(&config_of(&name)).await.unwrap();
    let rows = client
        .query("SELECT inet_client_addr() IS NULL")
        .await
        .unwrap();
    assert_eq!(rows[0].get(0), Some("t"));
    let error = refused(&config_of("absent")).await;
    assert!(error.to_string().contains("@absent/.s.PGSQL."), "{error}");
}

#[tokio::test]
async fn the_user_behind_a_unix_socket_has_to_be_the_required_one() {
    let server = Server::start(Version::NEWEST);
    let uid = std::os::unix::fs::MetadataExt::uid(&std::fs::metadata(server.socket()).unwrap());
    let passwd = std::fs::read_to_string("/etc/passwd").unwrap();
    let user = passwd
        .lines()
        .find(|line| line.split(':').nth(2) == Some(&uid.to_string()))
        .and_then(|line| line.split(':').next())
        .unwrap();
    let folder = server.socket_folder().to_str().unwrap();
    let socket = config(&[Endpoint::new(folder, server.port())]);
    Client::connect(&socket.clone().with_requirepeer(user))
        .await
        .unwrap();
    let error = refused(&socket.with_requirepeer("somebody")).await;
    assert_eq!(error.kind(), ErrorKind::Authentication);
    let what = format!("the server runs as the user \"{user}\", and requirepeer says \"somebody\"");
    let place = server.socket().display().to_string();
    assert_eq!(error.to_string(), format!("{place}: {what}"));
    // Over TCP there is nobody to look at, as in libpq.
    Client::connect(&config(&[tcp(server.port())]).with_requirepeer("somebody"))
        .await
        .unwrap();
}
