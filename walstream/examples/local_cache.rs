//! Keeps the table `settings (name text PRIMARY KEY, value text NOT NULL)` in memory, in step with the server, and
//! prints it after each transaction: `local_cache URL PUBLICATION`.
//!
//! It is read in the snapshot of a temporary slot and followed from there, so no change is missed or seen twice. The slot
//! ends with its connection: nothing is left behind, and who loses the connection begins anew.

use std::collections::BTreeMap;
use std::error::Error;

use walstream::walproto::Sent;
use walstream::{Client, Config, Router, Row, RowChange, SlotOptions, Snapshot, Stream};

type Cache = BTreeMap<String, String>;

#[derive(serde::Deserialize)]
struct Setting {
    name: String,
    value: Sent<String>,
}

async fn changed(cache: &mut Cache, change: RowChange<Setting>) {
    let (old, new) = match change {
        RowChange::Truncate => return cache.clear(),
        RowChange::Insert(row) => (None, Some(row)),
        RowChange::Update { old, new } => (old, Some(new)),
        RowChange::Delete(row) => (Some(row), None),
    };
    let before = old.and_then(|row| cache.remove(&row.name));
    if let Some(Setting { name, value }) = new {
        // A large value that did not change is not sent, and here already.
        cache.extend(value.value().or(before).map(|value| (name, value)));
    }
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [url, publication] = &*arguments else {
        return Err("usage: local_cache URL PUBLICATION".into());
    };
    let mut client = Client::connect_replication(&Config::parse(url)?).await?;
    let slot = format!("local_cache_{}", client.process_id());
    let begin = "BEGIN READ ONLY ISOLATION LEVEL REPEATABLE READ";
    client.execute(begin).await?;
    let mut options = SlotOptions::temporary();
    options.snapshot = Snapshot::Use;
    client.create_slot(&slot, &options).await?;
    let rows = client.query("SELECT name, value FROM public.settings");
    let pair = |row: &Row| Some((row.get(0)?.to_owned(), row.get(1)?.to_owned()));
    let mut cache: Cache = rows.await?.iter().filter_map(pair).collect();
    client.execute("COMMIT").await?;
    println!("{cache:?}");
    let stream = Stream::on(client).slot(slot).publication(publication);
    Router::new()
        .on("public", "settings", changed)
        .at_commit(async |cache: &mut Cache, _| println!("{cache:?}"))
        .run(&mut stream.start().await?, &mut cache)
        .await?;
    Err("the server ended the stream".into())
}
