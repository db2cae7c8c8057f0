//! A scripted server: what clients ask before they stream, and then a flow from memory.

use std::io::{self, Read, Write};
use std::net::TcpStream;

use testdata::writer;

use crate::shape::{Flow, copy_data};

/// The name of a slot from which nothing comes: what a run costs without any row.
pub const EMPTY: &str = "empty";

/// A connection to somebody who wants to stream.
#[derive(Debug)]
pub struct Peer(TcpStream);

impl Peer {
    /// On a connection that was just accepted.
    pub const fn new(socket: TcpStream) -> Self {
        Self(socket)
    }

    /// Sends the flow to who asks for it and a keepalive behind it, then waits until the client leaves.
    ///
    /// # Errors
    ///
    /// When the client leaves, sooner or later.
    pub fn stream(&mut self, flow: &Flow) -> io::Result<()> {
        self.0.set_nodelay(true)?;
        self.log_in()?;
        let start = loop {
            let (tag, text) = self.message()?;
            let text = String::from_utf8_lossy(&text).into_owned();
            if tag != b'Q' {
                return Ok(());
            }
            if text.contains("START_REPLICATION") {
                break text;
            }
            self.0.write_all(&answer(&text))?;
        };
        self.0.write_all(&backend(b'W', &[0; 3]))?;
        if !start.contains(EMPTY) {
            self.0.write_all(&flow.bytes)?;
        }
        let mut keepalive = Vec::new();
        copy_data(&writer::keepalive(flow.end, 0, 0), &mut keepalive);
        self.0.write_all(&keepalive)?;
        loop {
            if self.message()?.0 == b'c' {
                let done = backend(b'C', b"COPY 0\0");
                let end = [&backend(b'c', b"")[..], &done, &done, &backend(b'Z', b"I")];
                self.0.write_all(&end.concat())?;
            }
        }
    }

    fn log_in(&mut self) -> io::Result<()> {
        loop {
            let startup = self.body()?;
            match startup.first_chunk() {
                // TLS, encryption by GSSAPI: neither.
                Some([0x04, 0xd2, 0x16, 0x2f | 0x30]) => self.0.write_all(b"N")?,
                _ => break,
            }
        }
        let parameters = [
            &b"server_version\x0017.5\0"[..],
            b"integer_datetimes\0on\0",
            b"client_encoding\0UTF8\0",
            b"standard_conforming_strings\0on\0",
        ];
        let mut login = backend(b'R', &[0; 4]);
        for parameter in parameters {
            login.extend(backend(b'S', parameter));
        }
        login.extend(backend(b'K', &[0, 0, 0, 7, 0, 0, 0, 9]));
        login.extend(backend(b'Z', b"I"));
        self.0.write_all(&login)
    }

    fn message(&mut self) -> io::Result<(u8, Vec<u8>)> {
        let mut tag = [0];
        self.0.read_exact(&mut tag)?;
        Ok((tag[0], self.body()?))
    }

    fn body(&mut self) -> io::Result<Vec<u8>> {
        let mut length = [0; 4];
        self.0.read_exact(&mut length)?;
        let mut body = vec![0; (u32::from_be_bytes(length) as usize).saturating_sub(4)];
        self.0.read_exact(&mut body)?;
        Ok(body)
    }
}

/// What the contestants ask before they stream.
fn answer(query: &str) -> Vec<u8> {
    if query.contains("IDENTIFY_SYSTEM") {
        rows(&[
            ("systemid", "7000000000000000001"),
            ("timeline", "1"),
            ("xlogpos", "0/1000000"),
            ("dbname", "postgres"),
        ])
    } else if query.contains("CREATE_REPLICATION_SLOT") {
        let fields = b"SERROR\0VERROR\0C42710\0Mreplication slot \"s\" already exists\0\0";
        [backend(b'E', fields), backend(b'Z', b"I")].concat()
    } else if query.contains("pg_replication_slots") {
        rows(&[
            ("slot_name", "s"),
            ("plugin", "pgoutput"),
            ("database", "postgres"),
        ])
    } else if query.contains("pg_publication") {
        rows(&[("pubname", "p")])
    } else if query.contains("data_directory_mode") {
        rows(&[("data_directory_mode", "0700")])
    } else {
        rows(&[("set_config", "")])
    }
}

/// One row.
fn rows(columns: &[(&str, &str)]) -> Vec<u8> {
    let count = (columns.len() as u16).to_be_bytes();
    let (mut description, mut row) = (count.to_vec(), count.to_vec());
    for (name, value) in columns {
        description.extend([name.as_bytes(), &[0; 19]].concat());
        row.extend((value.len() as u32).to_be_bytes());
        row.extend(value.as_bytes());
    }
    [
        backend(b'T', &description),
        backend(b'D', &row),
        backend(b'C', b"SELECT 1\0"),
        backend(b'Z', b"I"),
    ]
    .concat()
}

fn backend(tag: u8, body: &[u8]) -> Vec<u8> {
    [&[tag], &(body.len() as u32 + 4).to_be_bytes()[..], body].concat()
}
