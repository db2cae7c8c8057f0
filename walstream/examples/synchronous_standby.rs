//! A synchronous standby: a commit on the source returns once it is in our file: `synchronous_standby URL SLOT
//! PUBLICATION FILE`.
//!
//! On the source: `ALTER SYSTEM SET synchronous_standby_names = 'walstream_copy'; SELECT pg_reload_conf()`. While this
//! does not run, commits wait; so do those of other databases.

use std::error::Error;
use std::fs::File;
use std::io::Write;

use walstream::{Change, Config, Stream};

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [url, slot, publication, file] = &*arguments else {
        return Err("usage: synchronous_standby URL SLOT PUBLICATION FILE".into());
    };
    let mut file = File::options().create(true).append(true).open(file)?;
    let mut stream = Stream::connect(Config::parse(url)?.with_application_name("walstream_copy"))
        .slot(slot)
        .publication(publication)
        .start()
        .await?;
    while let Some(mut transaction) = stream.next().await? {
        let (xid, mut rows) = (transaction.xid(), 0);
        let mut changes = transaction.changes()?;
        while let Some((_, change)) = changes.next()? {
            rows += usize::from(!matches!(change, Change::Relation(_) | Change::Type(_)));
        }
        writeln!(file, "transaction {xid}: {rows} changes")?;
        file.sync_data()?;
        // The server hears of it at once, and lets the commit return.
        transaction.confirm();
    }
    Ok(())
}
