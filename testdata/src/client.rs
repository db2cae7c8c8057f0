//! A small blocking client: SQL for tests, and raw replication frames.
//!
//! Written apart from `walstream`, so that the two check each other. It knows trust and clear-text passwords, no
//! TLS, and simple queries only.

use std::collections::BTreeMap;
use std::fmt;
use std::io::{self, Read, Write};
use std::net::TcpStream;
use std::os::unix::net::UnixStream;
use std::time::{Duration, Instant};

use bytes::BytesMut;
use postgres_protocol::message::frontend;

use crate::Server;

/// One result row: the text of each column, or NULL.
pub type Row = Vec<Option<String>>;

// Longer than any statement of a test; a hang ends in an error that says so.
const PATIENCE: Duration = Duration::from_secs(300);

/// Why a call failed.
#[derive(Debug)]
pub enum ClientError {
    /// The server sent an ErrorResponse.
    Server(ServerError),
    /// The connection failed, or the server closed it.
    Io(io::Error),
    /// The server sent something that has no place here.
    Protocol(String),
}

/// An ErrorResponse.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ServerError {
    /// The SQLSTATE, such as `42704`.
    pub sqlstate: String,
    /// The primary message, in the server's language.
    pub message: String,
    /// The detail, if any.
    pub detail: Option<String>,
    /// The context, if any.
    pub context: Option<String>,
}

impl ClientError {
    /// The SQLSTATE, if the server sent one.
    pub fn sqlstate(&self) -> Option<&str> {
        match self {
            Self::Server(error) => Some(&error.sqlstate),
            _ => None,
        }
    }
}

impl fmt::Display for ClientError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Server(error) => {
                write!(f, "{} ({})", error.message, error.sqlstate)?;
                match &error.detail {
                    Some(detail) => write!(f, ": {detail}"),
                    None => Ok(()),
                }
            }
            Self::Io(error) => error.fmt(f),
            Self::Protocol(what) => f.write_str(what),
        }
    }
}

impl std::error::Error for ClientError {}

impl From<io::Error> for ClientError {
    fn from(error: io::Error) -> Self {
        Self::Io(error)
    }
}

/// What a replication connection has to say next.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Next {
    /// The body of a CopyData message: a `w` or `k` frame.
    Frame(Vec<u8>),
    /// Nothing within the time given.
    Quiet,
    /// The server ended the copy: after [`Client::copy_done`], or because it shuts down.
    Done,
}

#[derive(Debug)]
enum Socket {
    Tcp(TcpStream),
    Unix(UnixStream),
}

/// A connection.
#[derive(Debug)]
pub struct Client {
    socket: Socket,
    received: BytesMut,
    parameters: BTreeMap<String, String>,
    process_id: i32,
}

struct Incoming {
    tag: u8,
    body: BytesMut,
}

impl Client {
    /// Connects over the Unix socket as the superuser `postgres`.
    pub fn connect(server: &Server, database: &str) -> Result<Self, ClientError> {
        Self::connect_with(server, database, "postgres", &[])
    }

    /// Connects over the Unix socket as `user`, with further startup parameters, such as `("options", "-c …")`.
    pub fn connect_with(
        server: &Server,
        database: &str,
        user: &str,
        parameters: &[(&str, &str)],
    ) -> Result<Self, ClientError> {
        let socket = Socket::Unix(UnixStream::connect(server.socket())?);
        Self::start_up(socket, database, user, None, parameters)
    }

    /// Connects over TCP as `user`, with a password if the server asks for it in clear text.
    pub fn connect_tcp(
        server: &Server,
        database: &str,
        user: &str,
        password: Option<&str>,
        parameters: &[(&str, &str)],
    ) -> Result<Self, ClientError> {
        Self::connect_port(server.port(), database, user, password, parameters)
    }

    /// Connects over TCP to whatever listens on a port of this machine, such as a proxy.
    pub fn connect_port(
        port: u16,
        database: &str,
        user: &str,
        password: Option<&str>,
        parameters: &[(&str, &str)],
    ) -> Result<Self, ClientError> {
        let socket = TcpStream::connect(("127.0.0.1", port))?;
        socket.set_nodelay(true)?;
        Self::start_up(Socket::Tcp(socket), database, user, password, parameters)
    }

    /// Connects for logical replication (`replication=database`), with the settings pinned that shape text.
    pub fn replication(server: &Server, database: &str) -> Result<Self, ClientError> {
        Self::connect_with(
            server,
            database,
            "postgres",
            &[
                ("replication", "database"),
                ("client_encoding", "UTF8"),
                ("DateStyle", "ISO"),
                ("IntervalStyle", "postgres"),
                ("TimeZone", "UTC"),
                ("extra_float_digits", "3"),
                ("bytea_output", "hex"),
            ],
        )
    }

    fn start_up(
        socket: Socket,
        database: &str,
        user: &str,
        password: Option<&str>,
        parameters: &[(&str, &str)],
    ) -> Result<Self, ClientError> {
        let mut client = Self {
            socket,
            received: BytesMut::new(),
            parameters: BTreeMap::new(),
            process_id: 0,
        };
        let all = [("user", user), ("database", database)];
        let all = all.into_iter().chain(parameters.iter().copied());
        client.send(|out| frontend::startup_message(all, out))?;
        loop {
            let message = client.receive()?;
            match message.tag {
                b'R' => match message.body.get(..4) {
                    Some([0, 0, 0, 0]) => {}
                    Some([0, 0, 0, 3]) => {
                        let password = password.unwrap_or_default();
                        client.send(|out| frontend::password_message(password.as_bytes(), out))?;
                    }
                    _ => {
                        return Err(ClientError::Protocol(
                            "the server asks for an authentication that this client lacks".into(),
                        ));
                    }
                },
                b'K' => {
                    if let Some(head) = message.body.first_chunk() {
                        client.process_id = i32::from_be_bytes(*head);
                    }
                }
                b'Z' => return Ok(client),
                tag => return Err(unexpected(tag, "start-up")),
            }
        }
    }

    /// A parameter that the server reported, such as `server_version`.
    pub fn parameter(&self, name: &str) -> Option<&str> {
        self.parameters.get(name).map(String::as_str)
    }

    /// The process id of the server's end.
    pub fn process_id(&self) -> i32 {
        self.process_id
    }

    /// Runs one or more statements and returns the rows of all of them.
    pub fn query(&mut self, sql: &str) -> Result<Vec<Row>, ClientError> {
        self.send(|out| frontend::query(sql, out))?;
        let mut rows = Vec::new();
        self.finish(|message| {
            if message.tag == b'D' {
                rows.push(row(&message.body)?);
            }
            Ok(())
        })?;
        Ok(rows)
    }

    /// Runs one or more statements and drops their rows.
    pub fn batch(&mut self, sql: &str) -> Result<(), ClientError> {
        self.send(|out| frontend::query(sql, out))?;
        self.finish(|_| Ok(()))
    }

    /// Runs a query that returns one value.
    pub fn value(&mut self, sql: &str) -> Result<String, ClientError> {
        let rows = self.query(sql)?;
        rows.into_iter()
            .flatten()
            .next()
            .flatten()
            .ok_or_else(|| ClientError::Protocol(format!("no value came back from: {sql}")))
    }

    /// Runs `COPY … FROM STDIN` with these bytes.
    pub fn copy_in(&mut self, sql: &str, data: &[u8]) -> Result<(), ClientError> {
        self.send(|out| frontend::query(sql, out))?;
        let message = self.receive()?;
        match message.tag {
            b'G' => {}
            b'E' => {
                self.finish(|_| Ok(()))?;
                return Err(ClientError::Server(server_error(&message.body)));
            }
            tag => return Err(unexpected(tag, "COPY")),
        }
        for chunk in data.chunks(1 << 16) {
            self.send_copy_data(chunk)?;
        }
        self.copy_done()?;
        self.finish(|_| Ok(()))
    }

    /// Runs `COPY … TO STDOUT` and returns what came.
    pub fn copy_out(&mut self, sql: &str) -> Result<Vec<u8>, ClientError> {
        self.send(|out| frontend::query(sql, out))?;
        let mut data = Vec::new();
        self.finish(|message| {
            if message.tag == b'd' {
                data.extend_from_slice(&message.body);
            }
            Ok(())
        })?;
        Ok(data)
    }

    /// Sends `START_REPLICATION …` and returns when the server has switched to streaming.
    pub fn start_replication(&mut self, command: &str) -> Result<(), ClientError> {
        self.send(|out| frontend::query(command, out))?;
        let message = self.receive()?;
        match message.tag {
            b'W' => Ok(()),
            b'E' => {
                let error = server_error(&message.body);
                self.finish(|_| Ok(()))?;
                Err(ClientError::Server(error))
            }
            tag => Err(unexpected(tag, "START_REPLICATION")),
        }
    }

    /// The next frame of the stream.
    pub fn next(&mut self, timeout: Duration) -> Result<Next, ClientError> {
        let Some(message) = self.receive_within(timeout)? else {
            return Ok(Next::Quiet);
        };
        match message.tag {
            b'd' => Ok(Next::Frame(message.body.to_vec())),
            // A server that shuts down says CommandComplete without CopyDone.
            b'c' | b'C' => Ok(Next::Done),
            b'E' => Err(ClientError::Server(server_error(&message.body))),
            tag => Err(unexpected(tag, "streaming")),
        }
    }

    /// Sends a status update: everything below `written`, `flushed` and `applied` is done.
    pub fn status_update(
        &mut self,
        written: u64,
        flushed: u64,
        applied: u64,
        reply: bool,
    ) -> Result<(), ClientError> {
        self.send_copy_data(&crate::writer::status_update(
            written, flushed, applied, 0, reply,
        ))
    }

    /// Sends the body of a CopyData message, whatever it is.
    pub fn send_copy_data(&mut self, body: &[u8]) -> Result<(), ClientError> {
        self.send(|out| {
            frontend::CopyData::new(body)?.write(out);
            Ok(())
        })
    }

    /// Sends CopyDone: ends a copy to the server, or asks for the end of a stream.
    pub fn copy_done(&mut self) -> Result<(), ClientError> {
        self.send(|out| {
            frontend::copy_done(out);
            Ok(())
        })
    }

    /// Ends a stream and returns when the connection is ready for commands; frames still on the way are dropped.
    pub fn end_replication(&mut self) -> Result<(), ClientError> {
        self.copy_done()?;
        self.finish(|_| Ok(()))
    }

    /// Receives up to ReadyForQuery and then reports the first error of the server or of `each`.
    fn finish(
        &mut self,
        mut each: impl FnMut(&Incoming) -> Result<(), ClientError>,
    ) -> Result<(), ClientError> {
        let mut outcome = Ok(());
        loop {
            let message = self.receive()?;
            match message.tag {
                b'Z' => return outcome,
                b'E' if outcome.is_ok() => {
                    outcome = Err(ClientError::Server(server_error(&message.body)));
                }
                _ if outcome.is_ok() => outcome = each(&message),
                _ => {}
            }
        }
    }

    fn send(
        &mut self,
        write: impl FnOnce(&mut BytesMut) -> io::Result<()>,
    ) -> Result<(), ClientError> {
        let mut out = BytesMut::new();
        write(&mut out)?;
        match &mut self.socket {
            Socket::Tcp(socket) => socket.write_all(&out)?,
            Socket::Unix(socket) => socket.write_all(&out)?,
        }
        Ok(())
    }

    fn receive(&mut self) -> Result<Incoming, ClientError> {
        self.receive_within(PATIENCE)?.ok_or_else(|| {
            let text = format!("the server said nothing for {PATIENCE:?}");
            io::Error::new(io::ErrorKind::TimedOut, text).into()
        })
    }

    /// The next message that is for us, if it is complete in time; a part of one is kept for the next call.
    fn receive_within(&mut self, timeout: Duration) -> Result<Option<Incoming>, ClientError> {
        let deadline = Instant::now() + timeout;
        loop {
            while let Some(message) = self.take()? {
                match message.tag {
                    b'S' => {
                        let mut parts = message.body[..].split(|&byte| byte == 0).map(text);
                        if let (Some(name), Some(value)) = (parts.next(), parts.next()) {
                            self.parameters.insert(name, value);
                        }
                    }
                    b'N' | b'A' => {}
                    // While starting up there is nobody else to report it.
                    b'E' if self.process_id == 0 => {
                        return Err(ClientError::Server(server_error(&message.body)));
                    }
                    _ => return Ok(Some(message)),
                }
            }
            let left = deadline.saturating_duration_since(Instant::now());
            // A timeout of zero would mean none at all.
            if !self.fill(left.max(Duration::from_micros(1)))? && left.is_zero() {
                return Ok(None);
            }
        }
    }

    /// Takes a complete message off the front of what was received.
    fn take(&mut self) -> Result<Option<Incoming>, ClientError> {
        let Some(&[tag, ref length @ ..]) = self.received.first_chunk::<5>() else {
            return Ok(None);
        };
        let length = usize::try_from(i32::from_be_bytes(*length))
            .ok()
            .filter(|&length| length >= 4)
            .ok_or_else(|| ClientError::Protocol("a message has an impossible length".into()))?;
        if self.received.len() <= length {
            return Ok(None);
        }
        let mut body = self.received.split_to(length + 1);
        let _ = body.split_to(5);
        Ok(Some(Incoming { tag, body }))
    }

    /// Reads once; `false` if nothing came in time.
    fn fill(&mut self, timeout: Duration) -> Result<bool, ClientError> {
        let mut chunk = [0; 1 << 16];
        let count = match &mut self.socket {
            Socket::Tcp(socket) => {
                socket.set_read_timeout(Some(timeout))?;
                socket.read(&mut chunk)
            }
            Socket::Unix(socket) => {
                socket.set_read_timeout(Some(timeout))?;
                socket.read(&mut chunk)
            }
        };
        match count {
            Ok(0) => {
                let text = "the server closed the connection";
                Err(io::Error::new(io::ErrorKind::UnexpectedEof, text).into())
            }
            Ok(count) => {
                self.received.extend_from_slice(&chunk[..count]);
                Ok(true)
            }
            Err(error)
                if matches!(
                    error.kind(),
                    io::ErrorKind::WouldBlock
                        | io::ErrorKind::TimedOut
                        | io::ErrorKind::Interrupted
                ) =>
            {
                Ok(false)
            }
            Err(error) => Err(error.into()),
        }
    }
}

impl Drop for Client {
    fn drop(&mut self) {
        let _ = self.send(|out| {
            frontend::terminate(out);
            Ok(())
        });
    }
}

fn row(body: &[u8]) -> Result<Row, ClientError> {
    let broken = || ClientError::Protocol("a DataRow is broken".into());
    let (count, mut rest) = body.split_first_chunk().ok_or_else(broken)?;
    let mut row = Vec::new();
    for _ in 0..u16::from_be_bytes(*count) {
        let (length, after) = rest.split_first_chunk().ok_or_else(broken)?;
        rest = after;
        let Ok(length) = usize::try_from(i32::from_be_bytes(*length)) else {
            row.push(None);
            continue;
        };
        let (value, after) = rest.split_at_checked(length).ok_or_else(broken)?;
        rest = after;
        let value = std::str::from_utf8(value)
            .map_err(|_| ClientError::Protocol("a value is not UTF-8".into()))?;
        row.push(Some(value.into()));
    }
    Ok(row)
}

fn server_error(body: &[u8]) -> ServerError {
    let mut error = ServerError::default();
    for field in body.split(|&byte| byte == 0) {
        let Some((&kind, value)) = field.split_first() else {
            continue;
        };
        match kind {
            b'C' => error.sqlstate = text(value),
            b'M' => error.message = text(value),
            b'D' => error.detail = Some(text(value)),
            b'W' => error.context = Some(text(value)),
            _ => {}
        }
    }
    error
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

fn unexpected(tag: u8, during: &str) -> ClientError {
    ClientError::Protocol(format!(
        "message '{}' from the server during {during}",
        char::from(tag).escape_default()
    ))
}
