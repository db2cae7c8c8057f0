//! The pages of the manual: the one about setting up a source as an administrator would follow it, and the one about
//! options against the code.

use std::time::Duration;

use testdata::{Certificates, Client as Sql, Server, Version, Wish};
use walstream::walproto::Lsn;
use walstream::{
    Backoff, Client, Config, Event, Limits, Reconnect, SlotOptions, Stream, StreamOptions,
};

const PAGE: &str = include_str!("../docs/source.md");

/// The contents of the page's blocks of this kind, in order.
fn blocks(kind: &str) -> Vec<&'static str> {
    let opening = format!("```{kind}\n");
    PAGE.split(&*opening)
        .skip(1)
        .map(|rest| rest.split("```").next().expect("a closing fence"))
        .collect()
}

/// What the page says of each option is what one gets without a word.
#[test]
fn the_defaults_on_the_page_are_those_of_the_code() {
    let page = include_str!("../docs/options.md");
    let mut rows: Vec<(&str, &str)> = page
        .lines()
        .filter_map(|line| line.strip_prefix("| `"))
        .map(|row| {
            let (name, rest) = row.split_once("` | ").expect("a name");
            (name, rest.split(" |").next().expect("a default"))
        })
        .collect();
    let mut take = |name: &str| {
        let at = rows.iter().position(|(row, _)| *row == name);
        rows.remove(at.unwrap_or_else(|| panic!("no row for {name}")))
            .1
    };

    let config = Config::new("h", "u");
    assert_eq!(
        take("application_name"),
        format!("`{}`", config.application_name())
    );
    let shown = format!("{config:?}");
    for name in ["connect_timeout", "wal_sender_timeout"] {
        let value = take(name).replace(' ', "");
        assert!(
            shown.contains(&format!("{name}: {value}")),
            "{name}: {shown}"
        );
    }
    let (size, unit) = take("max_message_size").split_once(' ').expect("a unit");
    assert_eq!(unit, "MB");
    let size = size.parse::<usize>().expect("a size") << 20;
    assert!(
        shown.contains(&format!("max_message_size: {size}")),
        "{shown}"
    );

    let StreamOptions {
        slot: _,
        publications: _,
        protocol,
        streaming,
        binary,
        messages,
        origin_none,
        two_phase,
        slot_wait,
    } = StreamOptions::new("s", ["p"]);
    assert_eq!((take("slot"), take("publications")), ("none", "none"));
    assert_eq!((protocol, take("protocol")), (None, "the server's highest"));
    assert_eq!(take("streaming"), format!("`{streaming:?}`"));
    for (name, value) in [
        ("binary", binary),
        ("messages", messages),
        ("origin_none", origin_none),
        ("two_phase", two_phase),
    ] {
        assert_eq!(take(name), format!("`{value}`"));
    }
    assert_eq!(
        (slot_wait, take("slot_wait")),
        (None, "`wal_sender_timeout` and a second")
    );

    let Limits {
        memory,
        spool,
        folder,
        compression,
    } = Limits::default();
    assert_eq!(take("memory"), format!("{} MiB", memory >> 20));
    assert_eq!(take("spool"), format!("{} GiB", spool >> 30));
    assert_eq!(
        (folder, take("folder")),
        (std::env::temp_dir(), "the system's for temporary files")
    );
    assert_eq!(take("compression"), format!("`{compression:?}`"));

    let Reconnect { backoff, failover } = Reconnect::default();
    let Backoff {
        attempts,
        first_delay,
        largest_delay,
        multiplier,
        total_time,
    } = backoff;
    assert_eq!(take("failover"), format!("`{failover:?}`"));
    assert_eq!((attempts, take("attempts")), (None, "no limit"));
    assert_eq!(
        take("first_delay"),
        format!("{} ms", first_delay.as_millis())
    );
    assert_eq!(
        take("largest_delay"),
        format!("{} s", largest_delay.as_secs())
    );
    assert_eq!(take("multiplier"), multiplier.to_string());
    let total = total_time.expect("a limit");
    assert_eq!(take("total_time"), format!("{} s", total.as_secs()));

    let SlotOptions {
        temporary,
        snapshot,
        two_phase,
        failover,
    } = SlotOptions::default();
    assert_eq!(take("temporary"), format!("`{temporary}`"));
    assert_eq!(take("snapshot"), format!("`{snapshot:?}`"));
    assert_eq!(take("two_phase"), format!("`{two_phase}`"));
    assert_eq!(take("failover"), format!("`{failover}`"));
    assert!(rows.is_empty(), "nobody knows {rows:?}");
}

#[tokio::test]
async fn a_server_set_up_as_the_page_says_can_be_read_from() {
    let (conf, sql, hba) = (blocks("conf"), blocks("sql"), blocks("hba"));
    assert_eq!((conf.len(), sql.len(), hba.len()), (1, 2, 1));
    let made = Certificates::new();
    let authority = made.own("ca", &Wish::authority("/CN=root"));
    let certificate = made.issued("server", &Wish::default(), &authority);
    for version in Version::ALL {
        let mut builder = Server::builder(version).setting("wal_level", "replica");
        for line in conf[0].lines() {
            let (name, value) = line.split_once(" = ").expect("name = value");
            builder = builder.setting(name, value);
        }
        // Whoever is not let in by the page's line is not let in.
        let server = builder
            .tls(&certificate)
            .allow(hba[0].trim())
            .allow("host all all 127.0.0.1/32 reject")
            .start();
        let mut admin = Sql::connect(&server, "postgres").expect("a connection");
        admin.batch("CREATE DATABASE shop").expect("a database");
        let mut admin = Sql::connect(&server, "shop").expect("a connection");
        for block in &sql {
            admin
                .batch(block)
                .unwrap_or_else(|error| panic!("{block}: {error}"));
        }

        let config: Config = format!(
            "postgres://replicator:choose%20one@localhost:{}/shop?sslmode=verify-full&sslrootcert={}",
            server.port(),
            authority.file.display()
        )
        .parse()
        .expect("a connection string");
        let mut client = Client::connect_replication(&config)
            .await
            .expect("a connection");
        client
            .create_slot("shop", &SlotOptions::default())
            .await
            .expect("a slot");
        let options = StreamOptions::new("shop", ["shop"]);
        let mut stream = Stream::start(client, &options, Lsn::ZERO, Limits::default())
            .await
            .expect("a stream");
        admin
            .batch("INSERT INTO public.orders VALUES (1, 'cup')")
            .expect("a row");
        let arrived = async {
            loop {
                match stream.next_event().await.expect("no error") {
                    Some(Event::Transaction(transaction)) if !transaction.is_empty() => return,
                    Some(_) => {}
                    None => panic!("the stream ended"),
                }
            }
        };
        tokio::time::timeout(Duration::from_secs(60), arrived)
            .await
            .expect("the row arrives");
        stream.finish().await.expect("a proper end");

        let mut reader = Client::connect(&config).await.expect("a connection");
        let rows = reader
            .query("SELECT count(*) FROM public.orders")
            .await
            .expect("may read");
        assert_eq!(rows[0].get(0), Some("1"), "{version}");
    }
}
