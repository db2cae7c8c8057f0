//! One recording: a database, a few sessions that change it, and the stream of those changes.

use std::str::FromStr;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use testdata::capture::{Capture, Header, Streaming};
use testdata::{Client, ClientError, Next, Server, Version};

use crate::replay::Logical;

/// How a recording asks for the stream.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Leg {
    pub(crate) version: Version,
    pub(crate) protocol: u8,
    pub(crate) binary: bool,
}

impl Leg {
    /// Every way to ask this server.
    pub(crate) fn all(version: Version) -> impl Iterator<Item = Self> {
        (1..=version.max_protocol()).flat_map(move |protocol| {
            [false, true].map(|binary| Self {
                version,
                protocol,
                binary,
            })
        })
    }

    pub(crate) fn streaming(self) -> Streaming {
        match self.protocol {
            1 => Streaming::Off,
            4 => Streaming::Parallel,
            _ => Streaming::On,
        }
    }

    pub(crate) fn two_phase(self) -> bool {
        self.protocol >= 3
    }

    pub(crate) fn suffix(self) -> String {
        let format = if self.binary { "binary" } else { "text" };
        format!("v{}_{format}", self.protocol)
    }

    fn options(self, publications: &str) -> String {
        let mut options = format!(
            "proto_version '{}', publication_names '{publications}', messages 'true'",
            self.protocol
        );
        if self.binary {
            options += ", binary 'true'";
        }
        if self.streaming() != Streaming::Off {
            options += &format!(", streaming '{}'", self.streaming().as_str());
        }
        if self.two_phase() {
            options += ", two_phase 'true'";
        }
        options
    }
}

/// A logical message that a session has written.
#[derive(Clone, Debug)]
pub(crate) struct Emitted {
    pub(crate) message: Logical,
    /// Whether it took effect; one that did not may be streamed all the same.
    pub(crate) kept: bool,
}

/// What a scenario plays on.
#[derive(Debug)]
pub(crate) struct Scene {
    pub(crate) leg: Leg,
    pub(crate) emitted: Vec<Emitted>,
    sessions: Vec<Client>,
    outside: Client,
    stream: Client,
    header: Header,
    frames: Vec<Vec<u8>>,
    times: Vec<i64>,
}

/// Keepalives are asked for all the time; a capture keeps the first ones.
const KEEPALIVES: usize = 2;

impl Scene {
    /// Makes the database, runs `setup` in it and starts to stream.
    pub(crate) fn open(
        server: &Server,
        leg: Leg,
        database: &str,
        setup: &str,
        backlog: &[String],
        publications: &str,
        immediate: bool,
    ) -> Result<Self, ClientError> {
        let mut outside = Client::connect(server, "postgres")?;
        outside.batch(&format!("CREATE DATABASE {database}"))?;
        let mut sessions = Vec::new();
        for _ in 0..3 {
            sessions.push(Self::session(server, database)?);
        }
        sessions[0].batch(setup)?;
        let mut stream = Client::replication(server, database)?;
        if immediate {
            stream.batch("SET debug_logical_replication_streaming = immediate")?;
        } else {
            stream.batch("SET logical_decoding_work_mem = '64kB'")?;
        }
        stream.query(
            "CREATE_REPLICATION_SLOT capture TEMPORARY LOGICAL pgoutput NOEXPORT_SNAPSHOT",
        )?;
        for sql in backlog {
            sessions[0].batch(sql)?;
        }
        let options = leg.options(publications);
        let system = stream.query("IDENTIFY_SYSTEM")?;
        let system = system.into_iter().flatten().flatten();
        let [identifier, timeline, ..] = &system.collect::<Vec<_>>()[..] else {
            return Err(ClientError::Protocol("IDENTIFY_SYSTEM says little".into()));
        };
        let header = Header {
            time: now(),
            server_version_num: server.version_number(),
            system_identifier: number(identifier)?,
            timeline: number(timeline)?,
            start: 0,
            protocol: leg.protocol,
            binary: leg.binary,
            streaming: leg.streaming(),
            options: options.clone(),
            other: Vec::new(),
        };
        stream.start_replication(&format!(
            "START_REPLICATION SLOT capture LOGICAL 0/0 ({options})"
        ))?;
        Ok(Self {
            leg,
            emitted: Vec::new(),
            sessions,
            outside,
            stream,
            header,
            frames: Vec::new(),
            times: Vec::new(),
        })
    }

    /// A session whose text looks as that of [`Client::replication`] does.
    fn session(server: &Server, database: &str) -> Result<Client, ClientError> {
        let settings = [
            ("client_encoding", "UTF8"),
            ("DateStyle", "ISO"),
            ("IntervalStyle", "postgres"),
            ("TimeZone", "UTC"),
            ("extra_float_digits", "3"),
            ("bytea_output", "hex"),
        ];
        Client::connect_with(server, database, "postgres", &settings)
    }

    pub(crate) fn version(&self) -> Version {
        self.leg.version
    }

    /// Runs statements in the first session.
    pub(crate) fn sql(&mut self, sql: &str) -> Result<(), ClientError> {
        self.sessions[0].batch(sql)
    }

    /// Runs statements in one of the sessions 0, 1 and 2.
    pub(crate) fn in_session(&mut self, session: usize, sql: &str) -> Result<(), ClientError> {
        self.sessions[session].batch(sql)
    }

    /// Writes a logical message.
    pub(crate) fn message(
        &mut self,
        transactional: bool,
        prefix: &str,
        content: &[u8],
        kept: bool,
    ) -> Result<(), ClientError> {
        let hex: String = content.iter().map(|byte| format!("{byte:02x}")).collect();
        let position = self.sessions[0].value(&format!(
            "SELECT pg_logical_emit_message({transactional}, '{}', '\\x{hex}'::bytea)",
            prefix.replace('\'', "''")
        ))?;
        self.emitted.push(Emitted {
            message: Logical {
                lsn: position_of(&position)?,
                prefix: prefix.into(),
                content: content.into(),
            },
            kept,
        });
        Ok(())
    }

    /// Returns when the server has decoded, and we have received, everything written up to now.
    ///
    /// Scenarios call it where it matters that the server does not yet know how a transaction ends.
    pub(crate) fn settle(&mut self) -> Result<(), ClientError> {
        let target = self.outside.value("SELECT pg_current_wal_insert_lsn()")?;
        let target = position_of(&target)?;
        // The server decodes flushed WAL only. A commit flushes; one in another database sends nothing,
        // where 14 would send an empty transaction.
        self.outside
            .batch("CREATE TABLE IF NOT EXISTS tick (); INSERT INTO tick DEFAULT VALUES")?;
        let deadline = Instant::now() + Duration::from_secs(60);
        while Instant::now() < deadline {
            self.stream.status_update(0, 0, 0, true)?;
            if self.drain()? >= target {
                return Ok(());
            }
        }
        Err(ClientError::Protocol(
            "the server does not get there".into(),
        ))
    }

    /// Receives up to the next keepalive and returns its position.
    fn drain(&mut self) -> Result<u64, ClientError> {
        loop {
            match self.stream.next(Duration::from_secs(60))? {
                Next::Frame(frame) if frame.first() == Some(&b'k') => {
                    let position = frame.get(1..).and_then(|rest| rest.first_chunk());
                    let position = position.copied().map(u64::from_be_bytes);
                    let keepalives = self.frames.iter().filter(|frame| frame[0] == b'k');
                    if keepalives.count() < KEEPALIVES {
                        self.keep(frame);
                    }
                    return Ok(position.unwrap_or_default());
                }
                Next::Frame(frame) => self.keep(frame),
                other => return Err(ClientError::Protocol(format!("{other:?} while streaming"))),
            }
        }
    }

    fn keep(&mut self, frame: Vec<u8>) {
        self.frames.push(frame);
        self.times.push(now());
    }

    /// Ends the stream: the capture, and a session to ask for the truth.
    pub(crate) fn close(mut self, scenario: &str) -> Result<(Capture, Client), ClientError> {
        self.settle()?;
        self.stream.end_replication()?;
        self.header.other = vec![("scenario".into(), scenario.into())];
        let capture = Capture {
            header: self.header,
            frames: self.frames,
            times: self.times,
        };
        Ok((capture, self.sessions.remove(0)))
    }
}

/// Microseconds since 2000-01-01.
fn now() -> i64 {
    let since_1970 = SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .unwrap_or_default();
    let micros = i64::try_from(since_1970.as_micros()).unwrap_or(i64::MAX);
    micros.saturating_sub(946_684_800_000_000)
}

fn number<T: FromStr>(text: &str) -> Result<T, ClientError> {
    text.parse()
        .map_err(|_| ClientError::Protocol(format!("'{text}' is no number")))
}

fn position_of(text: &str) -> Result<u64, ClientError> {
    let broken = || ClientError::Protocol(format!("'{text}' is no position"));
    let (high, low) = text.split_once('/').ok_or_else(broken)?;
    let part = |part| u64::from_str_radix(part, 16).map_err(|_| broken());
    Ok(part(high)? << 32 | part(low)?)
}
