//! A moment of the source that several sessions see, and its place in the stream.

use walstream::walproto::Lsn;
use walstream::{Client, Config, SlotOptions, Snapshot as Taken};

use crate::error::{Error, Result};
use crate::source::{Source, temporary_slot};
use crate::start::make_slot;

/// What committed before [`lsn`](Self::lsn) is seen, and nothing else; the stream brings the rest.
///
/// It comes with a slot, because nothing else tells where in the stream a snapshot lies. It lives as long as its session,
/// whose transaction stays open.
#[derive(Debug)]
pub(crate) struct Snapshot {
    pub(crate) holder: Client,
    pub(crate) lsn: Lsn,
    pub(crate) id: SnapshotId,
}

/// For `SET TRANSACTION SNAPSHOT`, as long as its [`Snapshot`] lives.
#[derive(Clone, Debug)]
pub(crate) struct SnapshotId(String);

impl Snapshot {
    /// Makes the slot `name`, which goes with the session if it is `temporary`.
    pub(crate) async fn with_slot(
        mut holder: Client,
        source: &mut Source,
        name: &str,
        temporary: bool,
    ) -> Result<Self, walstream::Error> {
        holder
            .execute("BEGIN READ ONLY ISOLATION LEVEL REPEATABLE READ")
            .await?;
        let options = SlotOptions {
            snapshot: Taken::Use,
            temporary,
            ..SlotOptions::default()
        };
        let created = make_slot(source, &mut holder, name, &options).await?;
        let rows = holder.query("SELECT pg_export_snapshot()").await?;
        let id = rows.first().and_then(|row| row.get(0)).unwrap_or_default();
        Ok(Self {
            lsn: created.consistent_point,
            id: SnapshotId(id.to_owned()),
            holder,
        })
    }

    /// One of now, for copies that are begun while the slot `of` is followed.
    pub(crate) async fn now(connection: &Config, source: &mut Source, of: &str) -> Result<Self> {
        let mut holder = Client::connect_replication(connection).await?;
        let name = temporary_slot(&mut holder, of, "copy").await?;
        Self::with_slot(holder, source, &name, true)
            .await
            .map_err(Error::from)
    }
}

impl SnapshotId {
    /// Another session that sees it.
    pub(crate) async fn session(&self, connection: &Config) -> Result<Client> {
        let mut client = Client::connect(connection).await?;
        client
            .execute("BEGIN READ ONLY ISOLATION LEVEL REPEATABLE READ")
            .await?;
        // Without row security: a policy that would leave rows out is an error, and not a copy without them.
        let sql = format!(
            "SET TRANSACTION SNAPSHOT {}; SET LOCAL row_security = off",
            walstream::quote_literal(&self.0)
        );
        client.execute(&sql).await?;
        Ok(client)
    }
}

#[cfg(test)]
mod tests {
    use testdata::{Server, Version};

    use super::*;

    /// A server sees later than we do that a session has ended: its slot is still there when the next copy begins.
    #[tokio::test]
    async fn a_snapshot_of_before_that_is_still_there_is_in_nobodys_way() {
        let server = Server::start(Version::V18);
        let connection: Config = server.url("postgres").parse().unwrap();
        let client = Client::connect(&connection).await.unwrap();
        let mut source = Source::new(client);

        let before = Snapshot::now(&connection, &mut source, "replicator").await;
        let now = Snapshot::now(&connection, &mut source, "replicator").await;

        before.unwrap().id.session(&connection).await.unwrap();
        now.unwrap().id.session(&connection).await.unwrap();
    }
}
