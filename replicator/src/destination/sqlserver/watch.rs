//! A server that does not answer: at work, or gone without a word?
//!
//! A limit for each statement would end what only takes long. So after a while the server itself is asked, over another
//! connection, what our session is doing there.

use std::future::Future;
use std::time::Duration;

use tiberius::error::Error as Driver;

use super::failure::silent;
use super::login::connect;
use super::session::{Connection, column, query};
use super::url::Address;
use super::values::{number, text};
use crate::error::Result;

/// A session, as another one finds it.
#[derive(Clone, Debug)]
pub(super) struct Watch {
    pub(super) address: Address,
    /// Its number, and since when it has it.
    pub(super) session: i32,
    pub(super) since: String,
    pub(super) timeout: Duration,
}

/// What the server says of a session that owes us an answer.
enum Doing {
    /// It runs a statement, or waits for a lock; or the server would not say.
    Work,
    /// It is gone, or waits for us.
    Nothing,
}

/// A login that may not see other sessions sees none; in a database of Azure's (5) its own right is what counts.
/// `ASYNC_NETWORK_IO` waits for the client.
const ASK: &str = "SELECT CASE WHEN HAS_PERMS_BY_NAME(NULL, NULL, 'VIEW SERVER STATE') = 1 \
    OR CAST(SERVERPROPERTY('EngineEdition') AS int) = 5 \
    AND HAS_PERMS_BY_NAME(QUOTENAME(DB_NAME()), 'DATABASE', 'VIEW DATABASE STATE') = 1 THEN 1 ELSE 0 END, \
    (SELECT COUNT(*) FROM [sys].[dm_exec_sessions] AS s \
     INNER JOIN [sys].[dm_exec_requests] AS r ON r.[session_id] = s.[session_id] \
     WHERE s.[session_id] = @P1 AND CONVERT(nvarchar(40), s.[login_time], 126) = @P2 \
     AND (r.[wait_type] IS NULL OR r.[wait_type] <> N'ASYNC_NETWORK_IO'))";

/// How often a server may say that our session does nothing: an answer may be on its way while we ask.
const ENOUGH: u32 = 2;

impl Watch {
    /// The answer to `work`, or an error once there is none to be expected; whether it was carried out is unknown then.
    pub(super) async fn over<T>(
        &self,
        work: impl Future<Output = Result<T, Driver>>,
    ) -> Result<T, Driver> {
        tokio::select! {
            biased;
            done = work => done,
            why = self.given_up() => Err(silent(why)),
        }
    }

    /// Returns when it is clear that no answer will come.
    async fn given_up(&self) -> &'static str {
        let mut idle = 0;
        while idle < ENOUGH {
            tokio::time::sleep(self.timeout).await;
            match tokio::time::timeout(self.timeout, self.ask()).await {
                Ok(Ok(Doing::Nothing)) => idle += 1,
                Ok(Ok(Doing::Work)) => idle = 0,
                // It is there, and does not let us in or tell us.
                Ok(Err(Some(_))) => idle = 0,
                Ok(Err(None)) | Err(_) => return "it does not answer a new connection either",
            }
        }
        "it says itself that our session has nothing to do"
    }

    /// `None` where nobody is there.
    async fn ask(&self) -> Result<Doing, Option<Driver>> {
        let server = |error| match error {
            Driver::Server(_) => Some(error),
            _ => None,
        };
        let (mut other, _) = connect(&self.address).await.map_err(|_| None)?;
        let values = vec![number(self.session.into()), text(self.since.clone())];
        let rows = query(&mut other, ASK, values).await.map_err(server)?;
        close(other).await;
        let told = |at| {
            rows.first()
                .and_then(|row| column::<Option<i32>>(row, at).ok().flatten())
        };
        Ok(match (told(0), told(1)) {
            (Some(1), Some(0)) => Doing::Nothing,
            _ => Doing::Work,
        })
    }
}

async fn close(other: Connection) {
    // The server notices the end of a connection in any case.
    let _ = other.close().await;
}
