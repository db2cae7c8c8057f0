//! A session: simple queries, COPY out, and on a replication connection its commands.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use postgres_protocol::message::frontend;

use crate::channel::{BackendMessage, Channel};
use crate::config::{Config, Endpoint};
use crate::connect::{self, Purpose, Ready};
use crate::error::{Doing, Error, ErrorKind, Result};
use crate::row::{self, Row};
use crate::server_error::ServerError;
use crate::version::ServerVersion;

/// A session with a server.
///
/// An error that the server reports leaves the session usable; one of the connection does not.
#[derive(Debug)]
pub struct Client {
    channel: Channel,
    version: ServerVersion,
    process_id: i32,
    endpoint: Endpoint,
    database: String,
    purpose: Purpose,
    wal_sender_timeout: Duration,
    /// Queries sent whose ReadyForQuery has not come.
    owed: usize,
}

impl Client {
    /// Opens a session for SQL.
    ///
    /// Whatever role and database are set to, values come as UTF-8 text in one form: ISO dates, `postgres` intervals,
    /// hexadecimal bytea, shortest exact floats, UTC, base64 in XML, money in the C locale. The search path is
    /// `pg_catalog`, so names of other schemas are to be written in full and come in full. Row security raises an
    /// error instead of hiding rows. No statement, lock or idle time ends the session.
    ///
    /// # Errors
    ///
    /// No connection within the configured time, no TLS as asked for, no login, a server before 14: see
    /// [`Error::kind`]. Where several places were tried, the text names each and its reason.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future closes the connection.
    pub async fn connect(config: &Config) -> Result<Self> {
        Self::open(config, Purpose::Sql).await
    }

    /// Opens a session for replication, which takes SQL too; the role needs the attribute `REPLICATION`.
    ///
    /// The settings are those of [`connect`](Self::connect), and shape the values of the stream.
    ///
    /// # Errors
    ///
    /// As [`connect`](Self::connect).
    ///
    /// # Cancel safety
    ///
    /// Dropping the future closes the connection.
    pub async fn connect_replication(config: &Config) -> Result<Self> {
        Self::open(config, Purpose::Replication).await
    }

    async fn open(config: &Config, purpose: Purpose) -> Result<Self> {
        let Ready {
            channel,
            version,
            process_id,
            endpoint,
        } = connect::connect(config, purpose)
            .await
            .map_err(|error| match purpose {
                Purpose::Replication => error.of_replication(),
                Purpose::Sql => error,
            })?;
        let mut client = Self {
            channel,
            version,
            process_id,
            endpoint,
            database: config.database().to_owned(),
            purpose,
            wal_sender_timeout: config.wal_sender_timeout,
            owed: 0,
        };
        if version.major() >= 17 {
            // Older servers do not know it and would refuse the startup packet.
            client.execute("SET transaction_timeout = 0").await?;
        }
        Ok(client)
    }

    /// The server's version.
    pub const fn server_version(&self) -> ServerVersion {
        self.version
    }

    /// The server process of this session, as `pg_stat_activity` and `pg_replication_slots` name it.
    pub const fn process_id(&self) -> i32 {
        self.process_id
    }

    /// Which of the configuration's servers this is.
    pub const fn endpoint(&self) -> &Endpoint {
        &self.endpoint
    }

    /// The database of this session.
    pub fn database(&self) -> &str {
        &self.database
    }

    /// After how much silence of ours the server ends replication in this session; zero for never.
    pub const fn wal_sender_timeout(&self) -> Duration {
        self.wal_sender_timeout
    }

    /// Runs one or more statements and returns the rows of all of them.
    ///
    /// # Errors
    ///
    /// What the server refused; statements before it in the same text are then undone, except where the text
    /// itself commits.
    ///
    /// # Cancel safety
    ///
    /// When the future is dropped, the statement may run to its end or not run; the next call on this client waits for
    /// it first.
    pub async fn query(&mut self, sql: &str) -> Result<Vec<Row>> {
        self.run(sql, Doing::Querying).await
    }

    /// Runs one or more statements whose rows do not matter.
    ///
    /// # Errors
    ///
    /// As [`query`](Self::query).
    ///
    /// # Cancel safety
    ///
    /// As [`query`](Self::query).
    pub async fn execute(&mut self, sql: &str) -> Result<()> {
        self.send(sql).await?;
        while let Some(message) = self.answer(Doing::Querying).await? {
            self.unblock(&message)?;
        }
        Ok(())
    }

    /// Runs a `COPY … TO STDOUT`.
    ///
    /// # Errors
    ///
    /// What the server refused, or a statement of another kind.
    ///
    /// # Cancel safety
    ///
    /// As [`query`](Self::query). A [`CopyOut`] that is dropped half-way is received to its end by the next call on
    /// this client; to end a large one at once, drop the client.
    pub async fn copy_out(&mut self, sql: &str) -> Result<CopyOut<'_>> {
        self.send(sql).await?;
        while let Some(message) = self.answer(Doing::Querying).await? {
            if message.tag == b'H' {
                return Ok(CopyOut {
                    client: self,
                    whole: false,
                    done: false,
                });
            }
            self.unblock(&message)?;
        }
        Err(Error::config("the statement is no COPY … TO STDOUT"))
    }

    /// Says goodbye and closes the connection.
    ///
    /// # Errors
    ///
    /// When the connection is broken already.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future closes the connection without the goodbye.
    pub async fn close(mut self) -> Result<()> {
        self.channel.writer().terminate();
        self.channel.writer().flush().await
    }

    pub(crate) async fn run(&mut self, sql: &str, doing: Doing<'_>) -> Result<Vec<Row>> {
        self.send(sql).await?;
        let mut columns: Arc<[String]> = Arc::default();
        let mut rows = Vec::new();
        let mut held = 0;
        while let Some(message) = self.answer(doing).await? {
            let offset = message.offset;
            match message.tag {
                b'T' => {
                    columns = row::columns(message.body).map_err(|error| error.at_byte(offset))?
                }
                b'D' => {
                    held += message.body.len();
                    if held > self.channel.limit() {
                        return Err(too_many_rows(self.channel.limit()).at_byte(offset));
                    }
                    let row = Row::read(&columns, message.body);
                    rows.push(row.map_err(|error| error.at_byte(offset))?);
                }
                _ => self.unblock(&message)?,
            }
        }
        Ok(rows)
    }

    /// Puts a query on its way, once the answers to abandoned ones are out of it.
    pub(crate) async fn send(&mut self, sql: &str) -> Result<()> {
        while self.owed > 0 {
            let message = self.channel.recv().await?;
            match message.tag {
                b'Z' => self.owed -= 1,
                _ => self.unblock(&message)?,
            }
        }
        self.channel.writer().put(|buf| frontend::query(sql, buf))?;
        self.owed += 1;
        Ok(())
    }

    /// The next message of the answer; `None` at its end. An error is returned once the answer has ended, so that the
    /// session can go on.
    pub(crate) async fn answer(&mut self, doing: Doing<'_>) -> Result<Option<BackendMessage>> {
        let mut failed = None;
        loop {
            let message = match self.channel.recv().await {
                Ok(message) => message,
                // A fatal error is the last thing a server says.
                Err(closed) => return Err(failed.unwrap_or(closed)),
            };
            match message.tag {
                b'Z' => {
                    self.owed -= 1;
                    return failed.map_or(Ok(None), Err);
                }
                b'E' => failed = Some(Error::reported(ServerError::read(&message.body), doing)),
                b'S' | b'A' => {}
                _ if failed.is_none() => return Ok(Some(message)),
                _ => {}
            }
        }
    }

    /// Ends copy modes that nobody asked for and that would wait for us.
    fn unblock(&mut self, message: &BackendMessage) -> Result<()> {
        match message.tag {
            b'G' => self
                .channel
                .writer()
                .put(|buf| frontend::copy_fail("COPY FROM STDIN is not supported", buf)),
            b'W' => {
                self.channel.writer().copy_done();
                Ok(())
            }
            b'T' | b'D' | b'C' | b'I' | b'H' | b'd' | b'c' | b'E' | b'S' | b'A' => Ok(()),
            tag => Err(Error::out_of_place(
                tag,
                "in the answer to a query",
                message.offset,
            )),
        }
    }

    /// Whether replication commands are understood.
    pub(crate) fn is_replication(&self) -> bool {
        matches!(self.purpose, Purpose::Replication)
    }

    /// The channel, after the server has agreed to stream.
    pub(crate) fn into_channel(self) -> Channel {
        self.channel
    }

    pub(crate) async fn one_row(&mut self, sql: &str, doing: Doing<'_>) -> Result<Row> {
        let mut rows = self.run(sql, doing).await?;
        match (rows.pop(), rows.is_empty()) {
            (Some(row), true) => Ok(row),
            _ => Err(Error::new(
                ErrorKind::Protocol,
                "the server answered with another number of rows than one",
            )),
        }
    }
}

fn too_many_rows(limit: usize) -> Error {
    let what = format!("the rows of an answer take more than {limit} bytes");
    Error::new(ErrorKind::Limit, what)
        .with_hint("Ask for fewer rows, take them with copy_out, or raise max_message_size.")
}

/// What a `COPY … TO STDOUT` yields.
#[derive(Debug)]
pub struct CopyOut<'a> {
    client: &'a mut Client,
    /// The server said that nothing follows.
    whole: bool,
    done: bool,
}

impl CopyOut<'_> {
    /// The next piece; for the text and CSV formats a row with its line end. `None` at the end.
    ///
    /// Pieces are slices of a read buffer of 128 kB, which lives as long as any of them: copy what is kept for long.
    ///
    /// # Errors
    ///
    /// When the server gave up in the middle. What came before is then not the whole.
    ///
    /// # Cancel safety
    ///
    /// Nothing is lost when the future is dropped; call it again.
    pub async fn next(&mut self) -> Result<Option<Bytes>> {
        while !self.done {
            match self.client.answer(Doing::Querying).await {
                Ok(Some(message)) => match message.tag {
                    b'd' => return Ok(Some(message.body)),
                    b'c' => self.whole = true,
                    b'C' if self.whole => {}
                    tag => {
                        self.done = true;
                        return Err(Error::out_of_place(tag, "inside a COPY", message.offset));
                    }
                },
                Ok(None) => {
                    self.done = true;
                    if !self.whole {
                        return Err(Error::protocol("the server ended a COPY without saying so"));
                    }
                }
                Err(error) => {
                    self.done = true;
                    return Err(error);
                }
            }
        }
        Ok(None)
    }
}
