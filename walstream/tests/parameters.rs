//! Parameters of a connection: what each means, what stands for the usual, and what is refused with which hint.

use std::time::Duration;

use walstream::{
    AuthMethod, ChannelBinding, Client, Config, Endpoint, Environment, Error, ErrorKind, Host,
    LoadBalanceHosts, RootCertificates, SslCertMode, SslMode, SslNegotiation, TargetSessionAttrs,
    TlsVersion,
};

/// Without the variables and files of who runs the tests.
fn parse(text: &str) -> Result<Config, Error> {
    Config::parse_in(text, &Environment::empty().with_user("runner"))
}

fn read(text: &str) -> Config {
    parse(text).unwrap_or_else(|error| panic!("{text}: {error}"))
}

fn refusal(text: &str) -> String {
    let error = parse(text).expect_err(text);
    assert_eq!(error.kind(), ErrorKind::Config, "{text}");
    let words = error.to_string();
    assert!(
        !words.ends_with('.') && !words.starts_with(char::is_uppercase),
        "{words}"
    );
    words
}

#[test]
fn hosts_come_as_a_list_each_with_its_port_and_address() {
    let places = |text: &str| read(text).endpoints().to_vec();
    let (a, b) = (
        |port| Endpoint::new("a", port),
        |port| Endpoint::new("b", port),
    );
    assert_eq!(places("host=a,b"), [a(5432), b(5432)]);
    assert_eq!(places("host=a,b port=7"), [a(7), b(7)]);
    assert_eq!(places("host=a,b port=7,"), [a(7), b(5432)]);
    assert_eq!(
        places("postgres://a:1,[::1],%2Frun:3,%40x,/d"),
        [
            a(1),
            Endpoint::new("::1", 5432),
            Endpoint::new("/run", 3),
            Endpoint::new("@x", 5432),
            Endpoint::new("", 5432),
        ]
    );
    assert_eq!(
        read("host=@x").endpoints()[0].host(),
        &Host::Abstract("x".into())
    );
    assert_eq!(read("host=").endpoints()[0].host(), &Host::Default);
    let address = "192.0.2.1".parse().unwrap();
    assert_eq!(
        places("host=a,b hostaddr=192.0.2.1,"),
        [a(5432).with_address(address), b(5432)]
    );
    // Who gives no name is told apart by the address.
    assert_eq!(
        places("hostaddr=192.0.2.1"),
        [Endpoint::new("192.0.2.1", 5432).with_address(address)]
    );
    assert_eq!(
        read("user=u host=a,b port=1,2"),
        Config::new("x", "u").with_endpoints([a(1), b(2)])
    );

    assert!(refusal("host=a,b port=1,2,3").contains("host and port do not match: 2 and 3"));
    assert!(refusal("host=a,b hostaddr=::1").contains("host and hostaddr do not match: 2 and 1"));
    assert_eq!(
        refusal("hostaddr=db.example"),
        "connection parameter hostaddr is not an IP address, or several with commas between them"
    );
}

#[test]
fn what_a_string_can_say_a_setter_can() {
    let set = || Config::new("h", "u");
    let seconds = Duration::from_secs;
    for (text, set) in [
        ("password=p", set().with_password("p")),
        ("passfile=/f", set().with_passfile("/f")),
        ("dbname=d", set().with_database("d")),
        ("application_name=a", set().with_application_name("a")),
        (
            "fallback_application_name=a",
            set().with_application_name("a"),
        ),
        (
            "application_name=a fallback_application_name=b",
            set().with_application_name("a"),
        ),
        (
            "application_name='' fallback_application_name=b",
            set().with_application_name(""),
        ),
        ("options='-c a=b'", set().with_options("-c a=b")),
        ("connect_timeout=5", set().with_connect_timeout(seconds(5))),
        (
            "connect_timeout=0",
            set().with_connect_timeout(Duration::ZERO),
        ),
        (
            "connect_timeout=-1",
            set().with_connect_timeout(Duration::ZERO),
        ),
        ("keepalives=0", set().with_keepalives(false)),
        ("keepalives_idle=5", set().with_keepalives_idle(seconds(5))),
        (
            "keepalives_interval=5",
            set().with_keepalives_interval(seconds(5)),
        ),
        ("keepalives_count=5", set().with_keepalives_count(5)),
        (
            "tcp_user_timeout=1500",
            set().with_tcp_user_timeout(Duration::from_millis(1500)),
        ),
        ("sslmode=disable", set().with_sslmode(SslMode::Disable)),
        ("sslmode=allow", set().with_sslmode(SslMode::Allow)),
        ("sslmode=require", set().with_sslmode(SslMode::Require)),
        ("sslmode=verify-ca", set().with_sslmode(SslMode::VerifyCa)),
        (
            "sslmode=verify-full",
            set().with_sslmode(SslMode::VerifyFull),
        ),
        (
            "sslmode=require sslnegotiation=direct",
            set()
                .with_sslmode(SslMode::Require)
                .with_sslnegotiation(SslNegotiation::Direct),
        ),
        (
            "sslrootcert=/r",
            set().with_sslrootcert(RootCertificates::File("/r".into())),
        ),
        (
            "sslrootcert=system",
            set().with_sslrootcert(RootCertificates::System),
        ),
        (
            "sslcert=/c sslkey=/k",
            set().with_sslcert("/c").with_sslkey("/k"),
        ),
        ("sslpassword=p", set().with_sslpassword("p")),
        (
            "sslcertmode=require",
            set().with_sslcertmode(SslCertMode::Require),
        ),
        (
            "sslcertmode=disable",
            set().with_sslcertmode(SslCertMode::Disable),
        ),
        (
            "sslcrl=/l sslcrldir=/m",
            set().with_sslcrl("/l").with_sslcrldir("/m"),
        ),
        ("sslsni=0", set().with_sslsni(false)),
        (
            "ssl_min_protocol_version=TLSv1.3",
            set().with_ssl_min_protocol_version(TlsVersion::V1_3),
        ),
        (
            "ssl_max_protocol_version=tlsv1.2",
            set().with_ssl_max_protocol_version(TlsVersion::V1_2),
        ),
        (
            "channel_binding=disable",
            set().with_channel_binding(ChannelBinding::Disable),
        ),
        (
            "channel_binding=require",
            set().with_channel_binding(ChannelBinding::Require),
        ),
        (
            "require_auth=scram-sha-256,none",
            set().with_require_auth([AuthMethod::None, AuthMethod::ScramSha256]),
        ),
        (
            "require_auth=!password,!md5,!none",
            set().with_require_auth([
                AuthMethod::Gss,
                AuthMethod::Sspi,
                AuthMethod::ScramSha256,
                AuthMethod::OAuth,
            ]),
        ),
        ("requirepeer=postgres", set().with_requirepeer("postgres")),
        (
            "target_session_attrs=read-write",
            set().with_target_session_attrs(TargetSessionAttrs::ReadWrite),
        ),
        (
            "target_session_attrs=prefer-standby",
            set().with_target_session_attrs(TargetSessionAttrs::PreferStandby),
        ),
        (
            "load_balance_hosts=random",
            set().with_load_balance_hosts(LoadBalanceHosts::Random),
        ),
        (
            "wal_sender_timeout=1min",
            set().with_wal_sender_timeout(seconds(60)),
        ),
        (
            "max_message_size=64MB",
            set().with_max_message_size(64 << 20),
        ),
    ] {
        assert_eq!(read(&format!("host=h user=u {text}")), set, "{text}");
        assert_ne!(set, Config::new("h", "u"), "{text}");
    }
}

#[test]
fn what_asks_for_the_usual_changes_nothing() {
    for text in [
        "connect_timeout=''",
        "keepalives=1",
        "keepalives_idle=0",
        "keepalives_interval=-1",
        "keepalives_count=0",
        "tcp_user_timeout=0",
        "sslmode=prefer",
        "sslsni=1",
        "sslrootcert=''",
        "ssl_min_protocol_version=TLSv1",
        "require_auth=''",
        "options=''",
        "password=''",
        "gssencmode=disable",
        "gssencmode=prefer",
        "krbsrvname=x gsslib=x gssdelegation=1",
        "sslcompression=0",
        "client_encoding=auto",
        "client_encoding=utf-8",
        "min_protocol_version=3.0 max_protocol_version=latest",
        "replication='' oauth_scope='' sslkeylogfile=''",
    ] {
        assert_eq!(
            read(&format!("host=h user=u {text}")),
            Config::new("h", "u"),
            "{text}"
        );
    }
    let zero = Config::new("h", "u")
        .with_keepalives_idle(Duration::ZERO)
        .with_keepalives_interval(Duration::ZERO)
        .with_keepalives_count(0)
        .with_tcp_user_timeout(Duration::ZERO);
    assert_eq!(zero, Config::new("h", "u"));
}

#[test]
fn what_there_is_not_is_refused_by_name_with_a_way_out() {
    for (text, words) in [
        (
            "gssencmode=require",
            "gssencmode asks for encryption by Kerberos",
        ),
        ("client_encoding=LATIN1", "client_encoding is not UTF8"),
        ("replication=database", "replication does not belong"),
        (
            "min_protocol_version=3.2",
            "min_protocol_version asks for version 3.2",
        ),
        ("sslcompression=1", "sslcompression asks for compression"),
        ("sslkeylogfile=/f", "sslkeylogfile would give away"),
        ("scram_client_key=x", "scram_client_key is not supported"),
        ("scram_server_key=x", "scram_server_key is not supported"),
        ("oauth_issuer=x", "oauth_issuer is about OAuth"),
        ("oauth_client_id=x", "oauth_client_id is about OAuth"),
        (
            "oauth_client_secret=x",
            "oauth_client_secret is about OAuth",
        ),
        ("oauth_scope=x", "oauth_scope is about OAuth"),
        (
            "sslrootcert=system sslmode=require",
            "sslrootcert=system with an sslmode",
        ),
        (
            "sslnegotiation=direct",
            "sslnegotiation=direct with an sslmode",
        ),
        ("Host=h", "unknown connection parameter \"Host\""),
        ("service=x", "there is no service \"x\""),
    ] {
        assert!(refusal(text).contains(words), "{text}: {}", refusal(text));
        assert!(parse(text).unwrap_err().hint().is_some(), "{text}");
    }
    assert_eq!(
        refusal("sslmode=on"),
        "connection parameter sslmode is \"on\" instead of disable, allow, prefer, require, verify-ca or verify-full"
    );
    assert!(refusal("ssl_max_protocol_version=TLSv1.1").contains("nothing newer than TLS 1.1"));
    assert!(refusal("require_auth=md5,!none").contains("mixes methods"));
    assert!(refusal("require_auth=md5,md5").contains("lists md5 twice"));
    assert!(refusal("mysql://u@h").contains("not mysql://"));
}

#[test]
fn settings_that_are_ours_cannot_be_slipped_in_by_options() {
    for options in [
        "-c DateStyle=SQL",
        "-cdatestyle=SQL",
        "-c work_mem=1MB --DATESTYLE=SQL",
        r"-c\ datestyle=SQL",
        "--statement-timeout=5",
        "-c search_path=public",
        "-c transaction_timeout=5",
        "-c wal_sender_timeout=0",
    ] {
        let error = parse(&format!(
            "user=u options='{}'",
            options.replace('\\', "\\\\")
        ))
        .expect_err(options);
        assert!(
            error.to_string().starts_with("options sets "),
            "{options}: {error}"
        );
        assert!(error.hint().is_some());
    }
    for options in [
        "-c work_mem=1MB",
        "-e",
        "-c",
        "--",
        "-c a=datestyle",
        r"\",
        "",
    ] {
        read(&format!(
            "user=u options='{}'",
            options.replace('\\', "\\\\")
        ));
    }
}

#[tokio::test]
async fn what_only_setters_can_say_is_checked_too() {
    let set = || Config::new("/no/such/folder", "u");
    for (config, words) in [
        (set().with_host("a,b"), "a host contains a comma"),
        (set().with_host("a\0b"), "host contains a zero byte"),
        (set().with_port(0), "the port is 0"),
        (set().with_endpoints([]), "there is no host to connect to"),
        (
            set().with_sslpassword("a\0"),
            "sslpassword contains a zero byte",
        ),
        (
            set().with_requirepeer("a\0"),
            "requirepeer contains a zero byte",
        ),
        (
            set().with_sslnegotiation(SslNegotiation::Direct),
            "sslnegotiation=direct",
        ),
        (
            set()
                .with_sslrootcert(RootCertificates::System)
                .with_sslmode(SslMode::VerifyCa),
            "sslrootcert=system",
        ),
        (
            set()
                .with_ssl_min_protocol_version(TlsVersion::V1_3)
                .with_ssl_max_protocol_version(TlsVersion::V1_2),
            "ssl_min_protocol_version is above",
        ),
    ] {
        let error = Client::connect(&config).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Config, "{error}");
        assert!(error.to_string().contains(words), "{error}");
    }
}
