//! Connection strings: what is understood, what is refused and by which words, and that nothing panics.

use std::path::PathBuf;
use std::time::Duration;

use proptest::prelude::*;
use walstream::{Config, Environment, Error, ErrorKind, Host};

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
fn a_url_is_read_part_by_part() {
    let config = read(
        "postgres://app:p%40ss@db.example:5433/my%20shop?application_name=a%26b&connect_timeout=5",
    );
    assert_eq!(
        config.endpoints()[0].host(),
        &Host::Tcp("db.example".into())
    );
    assert_eq!(
        (
            config.endpoints()[0].port(),
            config.user(),
            config.database()
        ),
        (5433, "app", "my shop")
    );
    assert_eq!(config.application_name(), "a&b");
    assert_eq!(
        config,
        read(
            "postgresql://app:p%40ss@db.example:5433/my%20shop?application_name=a%26b&connect_timeout=5"
        )
    );
    assert_eq!(
        config,
        read(
            r"host=db.example port=5433 user=app password=p@ss dbname = 'my shop' application_name=a&b connect_timeout=5"
        )
    );
    let set = Config::new("db.example", "app")
        .with_port(5433)
        .with_password("p@ss")
        .with_database("my shop");
    let set = set
        .with_application_name("a&b")
        .with_connect_timeout(Duration::from_secs(5));
    assert_eq!(config, set);
}

#[test]
fn what_is_left_out_has_a_default() {
    let config = read("postgres://u@");
    assert_eq!(
        (
            config.endpoints()[0].host(),
            config.endpoints()[0].port(),
            config.database()
        ),
        (&Host::Default, 5432, "u")
    );
    assert_eq!(read("postgres://u@h").database(), "u");
    assert_eq!(read("postgres://u@h/").database(), "u");
    assert_eq!(read("user=u host=h"), read("postgres://u@h"));
    assert_eq!(read("host=h").user(), "runner");
    assert_eq!(read(""), read("user=runner"));
    let error = Config::parse_in("host=h", &Environment::empty()).unwrap_err();
    assert_eq!(error.to_string(), "the connection string names no user");
}

#[test]
fn a_unix_socket_is_a_folder_and_an_ipv6_address_stands_in_brackets() {
    let folder = Host::Unix(PathBuf::from("/run/my pg"));
    for text in [
        "postgres://u@/d?host=/run/my%20pg",
        "postgres://u@%2Frun%2Fmy%20pg/d",
        "postgres://u@ignored/d?host=/run/my%20pg",
        r"host='/run/my pg' user=u dbname=d",
        r"host=/run/my\ pg user=u dbname=d",
    ] {
        assert_eq!(read(text).endpoints()[0].host(), &folder, "{text}");
    }
    assert_eq!(
        Config::new("/run/my pg", "u").endpoints()[0].host(),
        &folder
    );
    for text in ["postgres://u@[::1]:5433/d", "host=::1 port=5433 user=u"] {
        assert_eq!(
            (
                read(text).endpoints()[0].host(),
                read(text).endpoints()[0].port()
            ),
            (&Host::Tcp("::1".into()), 5433)
        );
    }
}

#[test]
fn quotes_and_backslashes_work_as_in_libpq() {
    let config = read(r"user='it\'s' dbname = 'a\\b' application_name='' password=a\'b");
    assert_eq!(
        (config.user(), config.database(), config.application_name()),
        ("it's", r"a\b", "")
    );
    assert_eq!(
        config,
        read(r"user=it\'s dbname=a\\b application_name='' password='a\'b'")
    );
}

#[test]
fn what_is_malformed_is_named() {
    for (text, words) in [
        ("postgres://u@h:0/d", "port"),
        ("postgres://u@h:65536/d", "port"),
        (
            "postgres://u@h:/d?connect_timeout=1s",
            "connect_timeout is \"1s\"",
        ),
        ("postgres://u@[::1/d", "["),
        ("postgres://u@[::1]x/d", "]"),
        ("postgres://u@[]/d", "nothing inside []"),
        ("postgres://u@x[::1]/d", "port"),
        ("postgres://u@a@b/d", "an @ too many"),
        ("postgres://u@h d", "%20"),
        ("postgres://u%0@h", "in user"),
        ("postgres://u@h/%zz", "in dbname"),
        ("postgres://u@h/d?password=%ff", "in password"),
        (
            "postgres://u%00replication%00true@h",
            "a zero byte is in user",
        ),
        ("postgres://u@h?options%00=x", "a zero byte"),
        ("postgres://u@h?options", "behind the ?"),
        ("user=u options='x", "options"),
        ("user=u password", "name=value"),
        ("user=u shop port=1", "behind the value of user"),
        ("=x", "at its beginning"),
        ("just text", "neither"),
        ("user=a\0b", "zero byte"),
        ("user=u wal_sender_timeout=1year", "wal_sender_timeout"),
        ("user=u wal_sender_timeout=597h", "wal_sender_timeout"),
        ("user=u max_message_size=1kB", "max_message_size"),
        (
            "user=u max_message_size=99999999999999999999",
            "max_message_size",
        ),
    ] {
        let refusal = refusal(text);
        assert!(refusal.contains(words), "{text:?}: {refusal}");
    }
    read("user=u wal_sender_timeout=1min max_message_size=256MB");
    read("user=u wal_sender_timeout=0");
}

#[test]
fn a_password_is_never_shown() {
    for text in [
        "postgres://u:hunter2@h/d",
        "user=u password=hunter2 host=/x",
        "postgres://u:hunter2@[::1]/d?options=-c%20a%3Db",
        "user=u sslpassword=hunter2",
    ] {
        let config = read(text);
        assert!(
            !format!("{config:?} {config}").contains("hunter2"),
            "{config:?}"
        );
        assert!(!format!("{config:#?}").contains("hunter2"));
    }
    // Neither where an unencoded character makes a part of it look like something else.
    for text in [
        "postgres://u:/hunter2@h/d",
        "postgres://u:h/hunter2@h/d",
        "postgres://u:hunter2/x@h/d",
        "postgres://u:x?hunter2@h/d",
        "postgres://u:x%hunter2@h/d",
        "user=u password='hunter2",
        "user=u password=x hunter2",
        "user=u password=x hunter2 port=1",
        "user=u password=x hunter2=y port=1",
        "user=u sslpassword=x hunter2=y port=1",
        "postgres://u:x@hunter2@h/d",
        "postgres://u:5/hunter2@h/d",
        "postgres://u:5/x?hunter2=y@h/d",
        "postgres://u:5/x@hunter2/d",
        "postgres://u:p@x/hunter2@h/d",
        "host=h port=hunter2",
        "host=h hostaddr=hunter2",
    ] {
        let shown = match parse(text) {
            Ok(config) => format!("{config} {config:?}"),
            Err(error) => format!("{error:?} {error} {:?}", error.hint()),
        };
        assert!(!shown.contains("hunter2"), "{text}: {shown}");
    }
    let environment = Environment::empty().with_variable("PGPASSWORD", "hunter2");
    assert!(!format!("{environment:?}").contains("hunter2"));
}

#[test]
fn what_is_shown_of_a_configuration_can_be_read_again() {
    for text in [
        "postgres://a%20b@h:1/my%2Fshop",
        "postgres://u@[::1]:5433/d",
        "postgres://u@/d?host=/run/my%20pg&port=7",
        "postgres://u@/d?port=5432",
        "postgres://u@a:1,,[::2]:3,%2Frun:4,%40x:5/d",
        "host=a,b hostaddr=192.0.2.1,::1 user=u",
        "hostaddr=192.0.2.1,::1 user=u",
        "host='fe80::1%eth0,a b,[c],x@y' user=u",
    ] {
        assert_eq!(
            read(&read(text).to_string()).with_database("x"),
            read(text).with_database("x")
        );
    }
    assert_eq!(read("user=u host=h").to_string(), "postgres://u@h:5432/u");
}

proptest! {
    #[test]
    fn arbitrary_text_is_read_or_refused(text in ".{0,80}") {
        let _ = parse(&text);
        let _ = parse(&format!("postgres://{text}"));
        let _ = parse(&format!("postgres://u@h/d?{text}"));
        let _ = parse(&format!("user=u options='{text}'"));
    }

    #[test]
    fn text_of_the_right_characters_is_read_or_refused(text in r"[a-c:/@?&=%0-2\[\]' \\,]{0,40}") {
        let _ = parse(&text);
        let _ = parse(&format!("postgres://{text}"));
        let _ = parse(&format!("host={text}"));
    }

    #[test]
    fn encoded_values_come_back(user in "[^\0]{1,20}", database in "[^\0]{1,20}") {
        let encode = |text: &str| text.bytes().map(|byte| format!("%{byte:02x}")).collect::<String>();
        let config = parse(&format!("postgres://{}@h/{}", encode(&user), encode(&database))).unwrap();
        prop_assert_eq!(config.user(), &user);
        prop_assert_eq!(config.database(), &database);
        let shown = parse(&config.to_string()).unwrap();
        prop_assert_eq!(shown.database(), &database);

        let quote = |text: &str| format!("'{}'", text.replace('\\', r"\\").replace('\'', r"\'"));
        let config = parse(&format!("user={} dbname={}", quote(&user), quote(&database))).unwrap();
        prop_assert_eq!((config.user(), config.database()), (&*user, &*database));
    }
}
