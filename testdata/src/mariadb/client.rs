//! A small blocking client of MariaDB and MySQL: SQL for tests.
//!
//! Written apart from the driver that the replicator uses, so that the two check each other. It knows users without a
//! password, no TLS, and text results only, in which NULL and `NULL`, tabs and line ends are what they are.
#![expect(clippy::little_endian_bytes, reason = "these servers count so")]

use std::io::{self, Read, Write};
use std::net::TcpStream;
use std::time::Duration;

use crate::client::ServerError;
use crate::{ClientError, Row};

// Longer than any statement of a test; a hang ends in an error that says so.
const PATIENCE: Duration = Duration::from_secs(300);

/// A packet of this length goes on in the next.
const FULL: usize = 0xFF_FFFF;

/// What we say that we can: 4.1's protocol and its kind of authentication, several statements at once, and rows
/// counted that an UPDATE finds, changed or not.
const CAPABILITIES: u32 = LONG_PASSWORD
    | FOUND_ROWS
    | CONNECT_WITH_DB
    | PROTOCOL_41
    | TRANSACTIONS
    | SECURE_CONNECTION
    | MULTI_STATEMENTS
    | MULTI_RESULTS
    | PLUGIN_AUTH;
const LONG_PASSWORD: u32 = 1;
const FOUND_ROWS: u32 = 1 << 1;
const CONNECT_WITH_DB: u32 = 1 << 3;
const PROTOCOL_41: u32 = 1 << 9;
const TRANSACTIONS: u32 = 1 << 13;
const SECURE_CONNECTION: u32 = 1 << 15;
const MULTI_STATEMENTS: u32 = 1 << 16;
const MULTI_RESULTS: u32 = 1 << 17;
const PLUGIN_AUTH: u32 = 1 << 19;

/// A status flag: another result follows.
const MORE_RESULTS: u16 = 8;

/// `utf8mb4_general_ci`, known to every server from 5.5 on.
const UTF8MB4: u8 = 45;

/// A connection.
#[derive(Debug)]
pub struct MariaDbClient {
    socket: TcpStream,
    /// Of the packet that comes or goes next.
    sequence: u8,
    version: String,
}

impl MariaDbClient {
    /// Connects over TCP to whatever listens on a port of this machine; without a database if its name is empty.
    pub fn connect(port: u16, user: &str, database: &str) -> Result<Self, ClientError> {
        let socket = TcpStream::connect(("127.0.0.1", port))?;
        socket.set_nodelay(true)?;
        socket.set_read_timeout(Some(PATIENCE))?;
        let mut client = Self {
            socket,
            sequence: 0,
            version: String::new(),
        };
        let greeting = client.receive()?;
        // Protocol 10, the version, and much that matters to passwords.
        client.version = match greeting.split_first() {
            Some((10, rest)) => text(rest.split(|&byte| byte == 0).next().unwrap_or_default())?,
            _ => return Err(unexpected("greeting", &greeting)),
        };
        let mut login = Vec::new();
        login.extend(CAPABILITIES.to_le_bytes());
        login.extend((1_u32 << 30).to_le_bytes());
        login.push(UTF8MB4);
        login.extend([0; 23]);
        login.extend(user.as_bytes());
        // The user's name ends, and there is no password.
        login.extend([0, 0]);
        login.extend(database.as_bytes());
        login.push(0);
        login.extend(b"mysql_native_password\0");
        client.send(&login)?;
        loop {
            let answer = client.receive()?;
            match answer.first() {
                Some(0) => return Ok(client),
                // Another kind of authentication: no password is nothing here, and an empty string elsewhere.
                Some(0xFE) if answer[1..].starts_with(b"mysql_native_password\0") => {
                    client.send(&[])?
                }
                Some(0xFE) => client.send(&[0])?,
                // Nothing more is asked of who has no password.
                Some(1) => {}
                _ => return Err(unexpected("answer to the login", &answer)),
            }
        }
    }

    /// What the server says it is.
    pub fn version(&self) -> &str {
        &self.version
    }

    /// Runs statements and drops their rows.
    pub fn batch(&mut self, sql: &str) -> Result<(), ClientError> {
        self.query(sql).map(drop)
    }

    /// Runs statements; the rows of all of them, whose values must be text.
    pub fn query(&mut self, sql: &str) -> Result<Vec<Row>, ClientError> {
        self.sequence = 0;
        let mut command = vec![3];
        command.extend(sql.as_bytes());
        self.send(&command)?;
        let mut rows = Vec::new();
        loop {
            let head = self.receive()?;
            let status = match head.first() {
                Some(0) => {
                    let mut rest = Fields(&head[1..]);
                    let (_affected, _inserted) = (rest.number()?, rest.number()?);
                    rest.status()?
                }
                Some(1..=0xFA | 0xFC) => {
                    let width = Fields(&head).number()?;
                    self.result(width, &mut rows)?
                }
                _ => return Err(unexpected("answer to a query", &head)),
            };
            if status & MORE_RESULTS == 0 {
                return Ok(rows);
            }
        }
    }

    /// The only column of the only row.
    pub fn value(&mut self, sql: &str) -> Result<String, ClientError> {
        let rows = self.query(sql)?;
        match <[Row; 1]>::try_from(rows) {
            Ok([row]) => match <[Option<String>; 1]>::try_from(row) {
                Ok([Some(value)]) => Ok(value),
                other => Err(ClientError::Protocol(format!("not one value: {other:?}"))),
            },
            Err(rows) => Err(ClientError::Protocol(format!("{} rows", rows.len()))),
        }
    }

    /// Descriptions of columns, an end, rows, an end with the status.
    fn result(&mut self, width: u64, rows: &mut Vec<Row>) -> Result<u16, ClientError> {
        for _ in 0..width {
            self.receive()?;
        }
        self.receive()?;
        // A value that is no text spoils its result, not the session.
        let mut outcome = Ok(());
        loop {
            let packet = self.receive()?;
            // A row that begins with a value of 16 MB or more begins the same.
            if packet.first() == Some(&0xFE) && packet.len() < 9 {
                return outcome.and_then(|()| Fields(&packet[3..]).status());
            }
            let mut fields = Fields(&packet);
            let row: Result<Row, _> = (0..width).map(|_| fields.value()).collect();
            outcome = outcome.and_then(|()| row.map(|row| rows.push(row)));
        }
    }

    fn send(&mut self, payload: &[u8]) -> Result<(), ClientError> {
        let mut rest = payload;
        loop {
            let (packet, after) = rest.split_at(rest.len().min(FULL));
            let length = u32::try_from(packet.len()).unwrap_or(u32::MAX);
            let [a, b, c, _] = length.to_le_bytes();
            self.socket.write_all(&[a, b, c, self.sequence])?;
            self.socket.write_all(packet)?;
            self.sequence = self.sequence.wrapping_add(1);
            rest = after;
            if packet.len() < FULL {
                return Ok(());
            }
        }
    }

    fn receive(&mut self) -> Result<Vec<u8>, ClientError> {
        let mut payload = Vec::new();
        loop {
            let mut head = [0; 4];
            self.socket.read_exact(&mut head)?;
            let [a, b, c, sequence] = head;
            self.sequence = sequence.wrapping_add(1);
            let length = u32::from_le_bytes([a, b, c, 0]) as usize;
            let start = payload.len();
            payload.resize(start + length, 0);
            self.socket.read_exact(&mut payload[start..])?;
            if length < FULL {
                return match payload.first() {
                    Some(0xFF) => Err(refused(&payload)),
                    _ => Ok(payload),
                };
            }
        }
    }
}

/// What is left of a packet.
struct Fields<'a>(&'a [u8]);

impl<'a> Fields<'a> {
    fn take(&mut self, length: usize) -> Result<&'a [u8], ClientError> {
        let (field, rest) = self.0.split_at_checked(length).ok_or_else(short)?;
        self.0 = rest;
        Ok(field)
    }

    /// A number that says itself how long it is.
    fn number(&mut self) -> Result<u64, ClientError> {
        let length = match self.take(1)? {
            [0xFC] => 2,
            [0xFD] => 3,
            [0xFE] => 8,
            [small] => return Ok(u64::from(*small)),
            _ => return Err(short()),
        };
        let mut bytes = [0; 8];
        bytes[..length].copy_from_slice(self.take(length)?);
        Ok(u64::from_le_bytes(bytes))
    }

    fn value(&mut self) -> Result<Option<String>, ClientError> {
        if self.0.first() == Some(&0xFB) {
            self.take(1)?;
            return Ok(None);
        }
        let length = usize::try_from(self.number()?).map_err(|_| short())?;
        text(self.take(length)?).map(Some)
    }

    fn status(&mut self) -> Result<u16, ClientError> {
        let field = self.take(2)?;
        Ok(field
            .iter()
            .rev()
            .fold(0, |all, &byte| all << 8 | u16::from(byte)))
    }
}

fn text(bytes: &[u8]) -> Result<String, ClientError> {
    let text = String::from_utf8(bytes.to_vec());
    text.map_err(|_| ClientError::Protocol(format!("no text; ask for HEX(): {bytes:x?}")))
}

/// `FF`, a number, `#` and SQLSTATE, the message.
fn refused(packet: &[u8]) -> ClientError {
    let number = match packet {
        [_, low, high, ..] => u16::from_le_bytes([*low, *high]),
        _ => 0,
    };
    let (sqlstate, message) = match packet.get(3..) {
        Some([b'#', rest @ ..]) if rest.len() >= 5 => rest.split_at(5),
        rest => (&b"HY000"[..], rest.unwrap_or_default()),
    };
    ClientError::Server(ServerError {
        sqlstate: String::from_utf8_lossy(sqlstate).into_owned(),
        message: format!("{number}: {}", String::from_utf8_lossy(message)),
        ..ServerError::default()
    })
}

fn unexpected(place: &str, packet: &[u8]) -> ClientError {
    let head = &packet[..packet.len().min(40)];
    ClientError::Protocol(format!("a {place} that this client lacks: {head:x?}"))
}

fn short() -> ClientError {
    io::Error::from(io::ErrorKind::UnexpectedEof).into()
}
