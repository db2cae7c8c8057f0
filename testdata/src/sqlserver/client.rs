//! A small blocking client of SQL Server: SQL for tests.
//!
//! Written apart from the driver that the replicator uses, so that the two check each other. It knows no TLS, and of
//! types the numbers, texts and bytes: all else is to be converted to a text where it is asked for.
#![expect(clippy::little_endian_bytes, reason = "this server counts so")]

use std::io::{Read, Write};
use std::net::{TcpStream, ToSocketAddrs};
use std::time::Duration;

use crate::client::ServerError;
use crate::{ClientError, Row};

// Longer than any statement of a test; a hang ends in an error that says so.
const PATIENCE: Duration = Duration::from_secs(300);

/// What precedes a packet's content.
const HEAD: usize = 8;

/// A packet of ours at most, which every server takes.
const PACKET: usize = 4096;

/// A connection.
#[derive(Debug)]
pub struct SqlServerClient {
    socket: TcpStream,
}

/// How the values of a column come.
#[derive(Clone, Copy, Debug)]
enum Kind {
    /// An integer of so many bytes; 0 if each says how many.
    Integer(usize),
    /// The same of a floating point number.
    Float(usize),
    Decimal {
        scale: usize,
    },
    /// Whether in UTF-16, and whether in pieces.
    Text {
        wide: bool,
        long: bool,
    },
    Bytes {
        long: bool,
    },
}

impl SqlServerClient {
    pub(super) fn connect(
        place: impl ToSocketAddrs,
        user: &str,
        password: &str,
        database: &str,
    ) -> Result<Self, ClientError> {
        let socket = TcpStream::connect(place)?;
        socket.set_nodelay(true)?;
        socket.set_read_timeout(Some(PATIENCE))?;
        let mut client = Self { socket };
        // A version, and that there is no TLS; where each stands, then they themselves.
        let hello = [0, 0, 11, 0, 6, 1, 0, 17, 0, 1, 0xff, 0, 0, 0, 0, 0, 0, 2];
        client.send(0x12, &hello)?;
        client.receive()?;
        client.send(0x10, &login(user, password, database))?;
        client.rows().map(|_| client)
    }

    /// Runs statements and drops their rows.
    pub fn batch(&mut self, sql: &str) -> Result<(), ClientError> {
        self.query(sql).map(drop)
    }

    /// Runs statements; the rows of all of them.
    pub fn query(&mut self, sql: &str) -> Result<Vec<Row>, ClientError> {
        // Outside of any transaction but those that the statements begin and end.
        let mut request = vec![22, 0, 0, 0, 18, 0, 0, 0, 2, 0];
        request.extend([0; 8]);
        request.extend([1, 0, 0, 0]);
        request.extend(units(sql));
        self.send(1, &request)?;
        self.rows()
    }

    fn send(&mut self, kind: u8, body: &[u8]) -> Result<(), ClientError> {
        let mut parts = body.chunks(PACKET - HEAD).peekable();
        let mut number = 1_u8;
        while let Some(part) = parts.next() {
            let length = u16::try_from(part.len() + HEAD).unwrap_or(u16::MAX);
            let [high, low] = length.to_be_bytes();
            let last = u8::from(parts.peek().is_none());
            self.socket
                .write_all(&[kind, last, high, low, 0, 0, number, 0])?;
            self.socket.write_all(part)?;
            number = number.wrapping_add(1);
        }
        Ok(())
    }

    /// All packets of an answer.
    fn receive(&mut self) -> Result<Vec<u8>, ClientError> {
        let mut body = Vec::new();
        loop {
            let mut head = [0; HEAD];
            self.socket.read_exact(&mut head)?;
            let length = usize::from(u16::from_be_bytes([head[2], head[3]]));
            let start = body.len();
            body.resize(start + length.saturating_sub(HEAD), 0);
            self.socket.read_exact(&mut body[start..])?;
            if head[1] & 1 != 0 {
                return Ok(body);
            }
        }
    }

    /// The rows of an answer, or its first error.
    fn rows(&mut self) -> Result<Vec<Row>, ClientError> {
        let body = self.receive()?;
        let mut rest = Rest(&body);
        let (mut columns, mut rows, mut failed) = (Vec::new(), Vec::new(), None);
        while !rest.0.is_empty() {
            match rest.byte()? {
                0x81 => columns = rest.columns()?,
                0xd1 => {
                    let row = columns.iter().map(|kind| rest.value(*kind));
                    rows.push(row.collect::<Result<Row, _>>()?);
                }
                // Which of them are NULL stands before them.
                0xd2 => {
                    let nulls = rest.take(columns.len().div_ceil(8))?;
                    let row = columns.iter().enumerate().map(|(at, kind)| {
                        if nulls[at / 8] >> (at % 8) & 1 == 1 {
                            Ok(None)
                        } else {
                            rest.value(*kind)
                        }
                    });
                    rows.push(row.collect::<Result<Row, _>>()?);
                }
                0xaa => {
                    let error = rest.error()?;
                    failed.get_or_insert(error);
                }
                // What was done, and how many rows it had.
                0xfd..=0xff => drop(rest.take(12)?),
                0x79 => drop(rest.take(4)?),
                // News of the session, and what orders or names columns.
                0xa4 | 0xa5 | 0xa9 | 0xab | 0xad | 0xe3 => {
                    let length = rest.short()?;
                    rest.take(length)?;
                }
                token => return Err(foreign(format!("token {token:#x}"))),
            }
        }
        failed.map_or(Ok(rows), |error| Err(ClientError::Server(error)))
    }
}

/// Who we are: numbers, then where each text stands and how long it is, then the texts.
fn login(user: &str, password: &str, database: &str) -> Vec<u8> {
    const FIXED: usize = 94;
    // Names of machine, user, password, program, server, nothing, library, language, database.
    let texts = [
        "test", user, password, "testdata", "", "", "testdata", "", database,
    ];
    let (mut places, mut all) = (Vec::new(), Vec::new());
    let short = |number: usize| u16::try_from(number).unwrap_or(u16::MAX).to_le_bytes();
    for (at, text) in texts.iter().enumerate() {
        let mut text = units(text);
        places.extend(short(FIXED + all.len()));
        places.extend(short(text.len() / 2));
        if at == 2 {
            for byte in &mut text {
                *byte = byte.rotate_left(4) ^ 0xa5;
            }
        }
        all.extend(text);
        if at == 8 {
            places.extend([0; 6]);
        }
    }
    // Two names and a file that are not given, and a long password that is not either.
    for _ in 0..3 {
        places.extend(short(FIXED + all.len()));
        places.extend([0, 0]);
    }
    places.extend([0; 4]);
    let mut body = Vec::new();
    let length = u32::try_from(FIXED + all.len()).unwrap_or(u32::MAX);
    body.extend(length.to_le_bytes());
    // Protocol 7.4, the packets' size, and our own version, process and connection.
    body.extend(0x7400_0004_u32.to_le_bytes());
    body.extend(u32::try_from(PACKET).unwrap_or(4096).to_le_bytes());
    body.extend([0; 12]);
    // Errors for a database that is not there; ANSI settings; an ordinary client; and no zone or locale.
    body.extend([0xe0, 0x03, 0, 0]);
    body.extend([0; 8]);
    body.extend(places);
    body.extend(all);
    body
}

fn units(text: &str) -> Vec<u8> {
    text.encode_utf16().flat_map(u16::to_le_bytes).collect()
}

/// What is left of an answer.
struct Rest<'a>(&'a [u8]);

impl<'a> Rest<'a> {
    fn take(&mut self, count: usize) -> Result<&'a [u8], ClientError> {
        let (taken, rest) = self
            .0
            .split_at_checked(count)
            .ok_or_else(|| foreign("an answer that is cut short".to_owned()))?;
        self.0 = rest;
        Ok(taken)
    }

    fn byte(&mut self) -> Result<u8, ClientError> {
        Ok(self.take(1)?[0])
    }

    fn short(&mut self) -> Result<usize, ClientError> {
        self.number(2)
    }

    /// An unsigned number of so many bytes.
    fn number(&mut self, count: usize) -> Result<usize, ClientError> {
        let bytes = self.take(count)?;
        let number = bytes
            .iter()
            .rev()
            .fold(0_u64, |all, byte| all << 8 | u64::from(*byte));
        usize::try_from(number).map_err(|_| foreign("a length past all memory".to_owned()))
    }

    /// A text with its length, of so many bytes, in units before it.
    fn text(&mut self, count: usize) -> Result<String, ClientError> {
        let length = self.number(count)?;
        wide(self.take(length * 2)?)
    }

    fn error(&mut self) -> Result<ServerError, ClientError> {
        let length = self.short()?;
        let mut rest = Rest(self.take(length)?);
        let number = rest.number(4)?;
        let _state_and_class = rest.take(2)?;
        Ok(ServerError {
            sqlstate: number.to_string(),
            message: rest.text(2)?,
            ..ServerError::default()
        })
    }

    fn columns(&mut self) -> Result<Vec<Kind>, ClientError> {
        let count = match self.short()? {
            0xffff => 0,
            count => count,
        };
        let column = |_| {
            let _user_type_and_flags = self.take(6)?;
            let kind = self.kind()?;
            let _name = self.text(1)?;
            Ok(kind)
        };
        (0..count).map(column).collect()
    }

    fn kind(&mut self) -> Result<Kind, ClientError> {
        let kind = self.byte()?;
        Ok(match kind {
            0x30 | 0x32 => Kind::Integer(1),
            0x34 => Kind::Integer(2),
            0x38 => Kind::Integer(4),
            0x7f => Kind::Integer(8),
            0x3e => Kind::Float(8),
            // Those that may be NULL, or have a length of their own.
            0x26 | 0x68 => {
                self.byte()?;
                Kind::Integer(0)
            }
            0x6d => {
                self.byte()?;
                Kind::Float(0)
            }
            0x6a | 0x6c => {
                let _length_and_precision = self.take(2)?;
                let scale = self.byte()?.into();
                Kind::Decimal { scale }
            }
            0xa7 | 0xaf | 0xe7 | 0xef => {
                let long = self.short()? == 0xffff;
                let _collation = self.take(5)?;
                let wide = kind >= 0xe7;
                Kind::Text { wide, long }
            }
            0xa5 | 0xad => {
                let long = self.short()? == 0xffff;
                Kind::Bytes { long }
            }
            kind => {
                return Err(foreign(format!(
                    "type {kind:#x}: convert it to a text there"
                )));
            }
        })
    }

    /// A value as text; `None` is NULL.
    fn value(&mut self, kind: Kind) -> Result<Option<String>, ClientError> {
        let length = match kind {
            Kind::Integer(0) | Kind::Float(0) | Kind::Decimal { .. } => match self.byte()? {
                0 => return Ok(None),
                length => length.into(),
            },
            Kind::Integer(length) | Kind::Float(length) => length,
            Kind::Text { wide, long } => {
                let bytes = self.bytes(long)?;
                return bytes
                    .map(|bytes| {
                        if wide {
                            self::wide(&bytes)
                        } else {
                            narrow(bytes)
                        }
                    })
                    .transpose();
            }
            Kind::Bytes { long } => {
                let bytes = self.bytes(long)?;
                let hex = |bytes: Vec<u8>| bytes.iter().map(|byte| format!("{byte:02x}")).collect();
                return Ok(bytes.map(hex));
            }
        };
        let bytes = self.take(length)?;
        let wrong = || foreign(format!("a number of {length} bytes"));
        Ok(Some(match (kind, bytes) {
            (Kind::Float(_), bytes) => {
                f64::from_le_bytes(bytes.try_into().map_err(|_| wrong())?).to_string()
            }
            (Kind::Decimal { scale }, [sign, digits @ ..]) => decimal(*sign, digits, scale),
            (_, [byte]) => byte.to_string(),
            (_, [a, b]) => i16::from_le_bytes([*a, *b]).to_string(),
            (_, bytes) if length == 4 => {
                i32::from_le_bytes(bytes.try_into().map_err(|_| wrong())?).to_string()
            }
            (_, bytes) => i64::from_le_bytes(bytes.try_into().map_err(|_| wrong())?).to_string(),
        }))
    }

    /// Bytes with their length before them, or in pieces each with its own.
    fn bytes(&mut self, long: bool) -> Result<Option<Vec<u8>>, ClientError> {
        if !long {
            return match self.short()? {
                0xffff => Ok(None),
                length => Ok(Some(self.take(length)?.to_vec())),
            };
        }
        if self.take(8)? == [0xff; 8] {
            return Ok(None);
        }
        let mut all = Vec::new();
        loop {
            match self.number(4)? {
                0 => return Ok(Some(all)),
                length => all.extend(self.take(length)?),
            }
        }
    }
}

fn decimal(sign: u8, digits: &[u8], scale: usize) -> String {
    let number = digits
        .iter()
        .rev()
        .fold(0_u128, |all, byte| all << 8 | u128::from(*byte));
    let mut text = format!("{number:0width$}", width = scale + 1);
    if scale > 0 {
        text.insert(text.len() - scale, '.');
    }
    if sign == 0 {
        text.insert(0, '-');
    }
    text
}

fn wide(bytes: &[u8]) -> Result<String, ClientError> {
    let units = bytes
        .chunks_exact(2)
        .map(|pair| u16::from_le_bytes([pair[0], pair[1]]));
    let text: Result<String, _> = char::decode_utf16(units).collect();
    text.map_err(|_| foreign("a text that is no UTF-16".to_owned()))
}

fn narrow(bytes: Vec<u8>) -> Result<String, ClientError> {
    String::from_utf8(bytes).map_err(|_| foreign("a varchar that is no UTF-8".to_owned()))
}

fn foreign(what: String) -> ClientError {
    ClientError::Protocol(what)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_login_says_where_its_texts_stand() {
        let body = login("sa", "pw", "shop");
        assert_eq!(body.len(), usize::from(body[0]));
        let place = |at: usize| usize::from(body[36 + at * 4]);
        assert_eq!(body[place(1)..place(1) + 4], *b"s\0a\0");
        // p is 0x70: its halves change places, and half of its bits.
        assert_eq!(body[place(2)], 0xa2);
        assert_eq!(body[place(8)..][..8], *b"s\0h\0o\0p\0");
    }

    #[test]
    fn rows_are_texts_and_errors_have_numbers() {
        let answer = [
            0x81, 2, 0, // two columns
            0, 0, 0, 0, 9, 0, 0x26, 4, 1, b'a', 0, // an int
            0, 0, 0, 0, 9, 0, 0xe7, 40, 0, 9, 4, 208, 0, 52, 0, // an nvarchar
            0xd1, 4, 0xff, 0xff, 0xff, 0xff, 2, 0, b'x', 0, // -1, x
            0xd2, 2, 4, 7, 0, 0, 0, // 7, NULL
            0xfd, 0x10, 0, 0, 0, 2, 0, 0, 0, 0, 0, 0, 0,
        ];
        let mut rest = Rest(&answer[1..]);
        let columns = rest.columns().unwrap();
        assert_eq!(rest.byte().unwrap(), 0xd1);
        let row: Vec<_> = columns
            .iter()
            .map(|kind| rest.value(*kind).unwrap())
            .collect();
        assert_eq!(row, [Some("-1".to_owned()), Some("x".to_owned())]);
        assert_eq!(decimal(0, &[0x39, 0x30], 3), "-12.345");
        assert_eq!(decimal(1, &[5], 2), "0.05");
    }
}
