//! A server that does not answer: at work, or gone without a word?
//!
//! A network that swallows everything ends no connection: whoever waits for an answer waits for ever, and the driver
//! sets no TCP keepalive. A limit for each statement would end what only takes long. So after a while the server
//! itself is asked, over another connection, what our session is doing there.

use std::io;
use std::time::Duration;

use sqlx::postgres::{PgConnectOptions, PgConnection};
use sqlx::{ConnectOptions, Connection, Row};

use super::session::report;

/// A session, as another one finds it.
#[derive(Debug)]
pub(super) struct Watch {
    options: PgConnectOptions,
    /// Its server process, and since when that is.
    pub(super) backend: i32,
    pub(super) since: String,
    timeout: Duration,
}

/// What the server says of a session that owes us an answer.
enum Doing {
    /// It runs a statement, or waits for a lock; or the server would not say.
    Work,
    /// It is gone, or waits for us.
    Nothing,
}

impl Watch {
    pub(super) const fn new(options: PgConnectOptions, timeout: Duration) -> Self {
        Self {
            options,
            backend: 0,
            since: String::new(),
            timeout,
        }
    }

    /// The answer to `work`, or an error once there is none to be expected; whether it was carried out is unknown then.
    pub(super) async fn over<T>(
        &self,
        work: impl Future<Output = Result<T, sqlx::Error>>,
    ) -> Result<T, sqlx::Error> {
        tokio::select! {
            biased;
            done = work => done,
            why = self.given_up() => Err(silent(why)),
        }
    }

    /// Makes a connection, within the time that an answer may take.
    pub(super) async fn connect(&self) -> Result<PgConnection, sqlx::Error> {
        tokio::time::timeout(self.timeout, self.options.connect())
            .await
            .unwrap_or_else(|_| Err(silent("it does not answer a new connection")))
    }

    /// Returns when it is clear that no answer will come.
    async fn given_up(&self) -> &'static str {
        // An answer may be on its way while we ask, so once is not enough.
        let mut idle = 0;
        while idle < 2 {
            tokio::time::sleep(self.timeout).await;
            match tokio::time::timeout(self.timeout, self.ask()).await {
                Ok(Ok(Doing::Nothing)) => idle += 1,
                Ok(Ok(Doing::Work)) => idle = 0,
                // It is there, and does not let us in: too many clients, perhaps.
                Ok(Err(error)) if report(&error).is_some() => idle = 0,
                Ok(Err(_)) | Err(_) => return "it does not answer a new connection either",
            }
        }
        "it says itself that our session has nothing to do"
    }

    async fn ask(&self) -> Result<Doing, sqlx::Error> {
        // What waits for the client has either answered or not heard the whole of the question; a network that passes
        // so little in twice the timeout is as good as none.
        let sql = "SELECT state = 'active' AND wait_event_type IS DISTINCT FROM 'Client'
                   FROM pg_stat_get_activity($1) WHERE backend_start::text = $2";
        let mut other = self.options.connect().await?;
        let found = sqlx::query(sql)
            .bind(self.backend)
            .bind(self.since.clone())
            .fetch_optional(&mut other)
            .await?;
        let _ = other.close().await;
        let Some(row) = found else {
            return Ok(Doing::Nothing);
        };
        Ok(match row.try_get(0)? {
            // What is not told counts as work.
            Some(true) | None => Doing::Work,
            Some(false) => Doing::Nothing,
        })
    }
}

fn silent(why: &str) -> sqlx::Error {
    let text = format!("the server does not answer: {why}");
    sqlx::Error::Io(io::Error::new(io::ErrorKind::TimedOut, text))
}
