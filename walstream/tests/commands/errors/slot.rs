//! The rows of slots and publications: making, altering, dropping, starting, streaming.

use std::time::Duration;

use testdata::Server;
use walstream::walproto::Lsn;
use walstream::{
    AlterSlot, Client, Error, ErrorKind, Event, Limits, SlotOptions, Stream, StreamOptions,
};

use super::{Row, Table, login, passes, person, user};
use crate::{config, refused, replication, sql};

pub(super) async fn at_the_slot(server: &Server, table: &mut Table) {
    use ErrorKind::{
        Config as Settings, PublicationMissing, Rights, SlotExists, SlotInUse, SlotMissing,
        SlotWrongDatabase, SlotWrongPlugin, TooManySlots, Unsupported,
    };
    let major = server.version().major();
    let p = |slot: &str| StreamOptions::new(slot, ["p"]);
    let usual = SlotOptions::default();
    let mut client = replication(server).await;
    client.execute("CREATE PUBLICATION p").await.unwrap();
    client.create_slot("one", &usual).await.unwrap();
    table.row(
        client.create_slot("one", &usual).await,
        &person(SlotExists, "42710", "another slot name"),
    );
    table.row(
        client.create_slot("O'ne", &usual).await,
        &person(Settings, "", "a-z"),
    );
    client.create_slot("two", &usual).await.unwrap();
    table.row(
        client.create_slot("three", &usual).await,
        &person(TooManySlots, "53400", "max_replication_slots"),
    );
    client.drop_slot("two", false).await.unwrap();

    let missing = person(SlotMissing, "", "copy the tables again");
    table.row(Err::<(), _>(refused(server, &p("absent")).await), &missing);
    table.row(
        client.drop_slot("absent", false).await,
        &person(SlotMissing, "42704", "copy the tables again"),
    );
    table.row(
        sql(server).await.drop_slot("absent", false).await,
        &person(SlotMissing, "42704", "copy the tables again"),
    );
    table.row(
        Err::<(), _>(refused(server, &StreamOptions::new("one", ["p", "absent"])).await),
        &person(PublicationMissing, "", "and the slot after it"),
    );

    let holder = replication(server).await;
    let pid = holder.process_id();
    let stream = Stream::start(holder, &p("one"), Lsn::ZERO, Limits::default())
        .await
        .unwrap();
    let in_use = passes(
        SlotInUse { pid: Some(pid) },
        "55006",
        "pg_terminate_backend(",
    );
    table.row(Err::<(), _>(refused(server, &p("one")).await), &in_use);
    table.row(client.drop_slot("one", false).await, &in_use);
    let on = AlterSlot {
        failover: Some(true),
        ..AlterSlot::default()
    };
    if major >= 17 {
        // The server would wait.
        table.row(
            client.alter_slot("one", &on).await,
            &Row {
                sqlstate: "",
                ..in_use
            },
        );
        table.row(
            client.alter_slot("absent", &on).await,
            &person(SlotMissing, "42704", "copy the tables again"),
        );
    } else {
        table.row(
            client.alter_slot("one", &on).await,
            &person(Unsupported, "", "version"),
        );
    }
    stream.finish().await.unwrap();

    let elsewhere = config(server).with_database("template1");
    let elsewhere = Client::connect_replication(&elsewhere).await.unwrap();
    table.row(
        Stream::start(elsewhere, &p("one"), Lsn::ZERO, Limits::default()).await,
        &person(SlotWrongDatabase, "", "slot's database"),
    );
    client
        .execute("SELECT pg_create_physical_replication_slot('physical')")
        .await
        .unwrap();
    table.row(
        Err::<(), _>(refused(server, &p("physical")).await),
        &person(SlotWrongPlugin, "", "pgoutput"),
    );
    client.drop_slot("physical", false).await.unwrap();
    client
        .execute("SELECT pg_create_logical_replication_slot('other', 'test_decoding')")
        .await
        .unwrap();
    table.row(
        Err::<(), _>(refused(server, &p("other")).await),
        &person(SlotWrongPlugin, "", "pgoutput"),
    );
    client.drop_slot("other", false).await.unwrap();

    // A WAL sender asks for the right when it begins, and never again.
    let mut plain = login(&user(server, "plain")).await.unwrap();
    table.row(
        plain.drop_slot("one", false).await,
        &person(Rights, "42501", "REPLICATION"),
    );
    client.drop_slot("one", true).await.unwrap();
}

/// A publication that goes while it is read: an error until 17, silence from 18 on, and told at the next start.
pub(super) async fn in_the_stream(server: &Server, table: &mut Table) {
    let mut client = replication(server).await;
    client
        .execute("CREATE TABLE public.t (id int); CREATE PUBLICATION gone FOR TABLE public.t")
        .await
        .unwrap();
    client
        .create_slot("reading", &SlotOptions::default())
        .await
        .unwrap();
    let options = StreamOptions::new("reading", ["gone"]);
    let start = Stream::start(
        replication(server).await,
        &options,
        Lsn::ZERO,
        Limits::default(),
    );
    let mut stream = start.await.unwrap();
    client
        .execute("DROP PUBLICATION gone; INSERT INTO public.t VALUES (1)")
        .await
        .unwrap();
    let end = async {
        loop {
            match stream.next_event().await? {
                Some(Event::Idle(idle)) => {
                    let rows = client.query("SELECT pg_current_wal_flush_lsn()").await?;
                    let flushed: Lsn = rows[0].get(0).unwrap_or_default().parse().unwrap();
                    let passed = idle.lsn() >= flushed;
                    idle.confirm();
                    if passed {
                        return Ok(());
                    }
                }
                Some(_) => {}
                None => panic!("the stream ended"),
            }
        }
    };
    let end: Result<(), Error> = tokio::time::timeout(Duration::from_secs(90), end)
        .await
        .unwrap();
    if server.version().major() < 18 {
        table.row(
            end,
            &person(
                ErrorKind::PublicationMissing,
                "42704",
                "Create the publication",
            ),
        );
        drop(stream);
    } else {
        end.unwrap();
        stream.finish().await.unwrap();
    }
    table.row(
        Err::<(), _>(refused(server, &options).await),
        &person(ErrorKind::PublicationMissing, "", "Create the publication"),
    );
    client.drop_slot("reading", true).await.unwrap();
}

pub(super) async fn in_the_settings(builder: impl Fn() -> testdata::Builder, table: &mut Table) {
    let server = builder().setting("wal_level", "replica").start();
    let mut client = replication(&server).await;
    table.row(
        client.create_slot("s", &SlotOptions::default()).await,
        &person(ErrorKind::WalLevel, "55000", "wal_level = logical"),
    );
    drop((client, server));
    let server = builder().setting("max_replication_slots", 0).start();
    let mut client = replication(&server).await;
    table.row(
        client.create_slot("s", &SlotOptions::default()).await,
        &person(ErrorKind::TooManySlots, "55000", "max_replication_slots"),
    );
}
