//! Wakes a user on another's insert: each user's task sleeps until a row of the table `messages (id bigint PRIMARY KEY,
//! recipient text, body text)` is for that user. `wake_on_insert URL PUBLICATION USER…` ends when all were woken.
//!
//! As LISTEN and NOTIFY, without a trigger and without a limit on what is told. The slot is temporary and begins now.

use std::collections::HashMap;
use std::error::Error;

use tokio::sync::oneshot;
use tokio::task::JoinSet;
use walstream::{Client, Config, Router, RowChange, SlotOptions, Stream};

type Waiting = HashMap<String, oneshot::Sender<String>>;

#[derive(serde::Deserialize)]
struct Message {
    recipient: String,
    body: String,
}

/// Old rows are of no interest, so they are read into nothing.
async fn arrived(waiting: &mut Waiting, change: RowChange<Message, ()>) {
    if let RowChange::Insert(message) = change
        && let Some(user) = waiting.remove(&message.recipient)
    {
        // A user who has gone away needs no message.
        let _ = user.send(message.body);
    }
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [url, publication, users @ ..] = &*arguments else {
        return Err("usage: wake_on_insert URL PUBLICATION USER…".into());
    };
    let (mut waiting, mut tasks) = (Waiting::new(), JoinSet::new());
    for user in users {
        let (sender, receiver) = oneshot::channel();
        waiting.insert(user.clone(), sender);
        let user = user.clone();
        tasks.spawn(async move { println!("{user}: {}", receiver.await.unwrap_or_default()) });
    }

    let mut client = Client::connect_replication(&Config::parse(url)?).await?;
    let slot = format!("wake_on_insert_{}", client.process_id());
    client.create_slot(&slot, &SlotOptions::temporary()).await?;
    println!("waiting");
    let mut stream = Stream::on(client)
        .slot(slot)
        .publication(publication)
        .stop_when(async move { while tasks.join_next().await.is_some() {} })
        .start()
        .await?;
    let mut router = Router::new().on("public", "messages", arrived);
    router.run(&mut stream, &mut waiting).await?;
    Ok(stream.finish().await?)
}
