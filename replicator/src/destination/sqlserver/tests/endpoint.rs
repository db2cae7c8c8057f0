//! A server of the protocol that stores nothing: it hears what is sent, and answers as a test says.

use std::sync::{Arc, Mutex};

use bytes::{Buf, BufMut, BytesMut};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::ServerConfig;

use crate::destination::sqlserver::wire::{ANSWER, Envelope, HEAD, LAST, packet};

/// What was sent.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Heard {
    /// User, password and database.
    Login(String, String, String),
    /// Statements without parameters.
    Batch(String),
    /// A statement, how its parameters are declared, and these.
    Call(String, String, Vec<Cell>),
    /// Rows in bulk: all of the message.
    Rows(Vec<u8>),
}

/// A value of a parameter or of a row.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Cell {
    /// Without a type, as the driver sends most.
    Null,
    /// Of a type of its own.
    TypedNull,
    Int(i32),
    Number(i64),
    Float(f64),
    Text(String),
    Bytes(Vec<u8>),
}

/// What is answered.
#[derive(Clone, Debug)]
pub(crate) enum Answer {
    /// Statements ran.
    Done,
    /// Rows of columns that are numbers or texts, as the first of each that is not NULL.
    Rows(Vec<Vec<Cell>>),
    /// Number, severity and words of an error.
    Error(u32, u8, String),
    /// Columns of a table: a type as the protocol writes it, and a name.
    Columns(Vec<(Vec<u8>, &'static str)>),
    /// So many rows were taken.
    Took(u64),
    /// Half an answer, and the end of the connection.
    Cut,
    /// Nothing, for ever.
    Silence,
    /// Somewhere else.
    Routed(String, u16),
}

impl Answer {
    pub(crate) fn error(number: u32, words: &str) -> Self {
        Self::Error(number, 16, words.to_owned())
    }
}

/// What answers to what was heard.
type Reply = dyn Fn(&Heard) -> Answer + Send + Sync;

/// How much TLS the server has: none, or only that.
#[derive(Clone)]
pub(crate) enum Encryption {
    None,
    Wanted(Arc<ServerConfig>),
}

/// A running server.
#[derive(Debug)]
pub(crate) struct Endpoint {
    pub(crate) port: u16,
    heard: Arc<Mutex<Vec<Heard>>>,
}

impl Endpoint {
    pub(crate) async fn start(
        encryption: Encryption,
        reply: impl Fn(&Heard) -> Answer + Send + Sync + 'static,
    ) -> Self {
        let listener = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let heard: Arc<Mutex<Vec<Heard>>> = Arc::default();
        let (all, reply): (_, Arc<Reply>) = (Arc::clone(&heard), Arc::new(reply));
        tokio::spawn(async move {
            while let Ok((socket, _)) = listener.accept().await {
                let (all, reply) = (Arc::clone(&all), Arc::clone(&reply));
                let encryption = encryption.clone();
                tokio::spawn(async move {
                    // Clients that leave are what some tests are about.
                    let _ = greet(socket, encryption, &all, &*reply).await;
                });
            }
        });
        Self { port, heard }
    }

    /// Where it is, for a user with a password.
    pub(crate) fn url(&self, parameters: &str) -> String {
        let port = self.port;
        format!("sqlserver://sa:p%40ss@127.0.0.1:{port}/shop?{parameters}")
    }

    /// All that was heard.
    pub(crate) fn heard(&self) -> Vec<Heard> {
        self.heard.lock().unwrap().clone()
    }

    /// The texts of statements from the `first` on.
    pub(crate) fn since(&self, first: usize) -> Vec<String> {
        self.statements().split_off(first)
    }

    /// The texts of all statements.
    pub(crate) fn statements(&self) -> Vec<String> {
        let texts = self.heard().into_iter().filter_map(|heard| match heard {
            Heard::Batch(sql) | Heard::Call(sql, ..) => Some(sql),
            _ => None,
        });
        texts.collect()
    }
}

async fn greet(
    mut socket: TcpStream,
    encryption: Encryption,
    heard: &Mutex<Vec<Heard>>,
    reply: &Reply,
) -> std::io::Result<()> {
    let (_, hello) = message(&mut socket).await?;
    // Version, then encryption: its place stands in bytes 6 and 7.
    let place = usize::from(hello[6]) << 8 | usize::from(hello[7]);
    let wanted = hello[place];
    let offered = match (&encryption, wanted) {
        (Encryption::None, _) => 2,
        // Wanted by both, or required of the client.
        (Encryption::Wanted(_), 1) => 1,
        (Encryption::Wanted(_), _) => 3,
    };
    let answer = [
        0, 0, 11, 0, 6, 1, 0, 17, 0, 1, 0xff, 16, 0, 3, 232, 0, 0, offered,
    ];
    socket.write_all(&packet(ANSWER, LAST, &answer)).await?;
    match encryption {
        Encryption::Wanted(config) => {
            let mut stream = TlsAcceptor::from(config)
                .accept(Envelope::new(socket))
                .await?;
            stream.get_mut().0.open();
            serve(stream, heard, reply).await
        }
        Encryption::None => serve(socket, heard, reply).await,
    }
}

async fn serve(
    mut stream: impl AsyncRead + AsyncWrite + Unpin,
    all: &Mutex<Vec<Heard>>,
    reply: &Reply,
) -> std::io::Result<()> {
    loop {
        let (kind, body) = message(&mut stream).await?;
        let heard = match kind {
            0x10 => login(&body),
            0x01 => Heard::Batch(batch(&body)),
            0x03 => call(&body),
            0x07 => Heard::Rows(body),
            kind => panic!("a packet of kind {kind}"),
        };
        all.lock().unwrap().push(heard.clone());
        let is_call = matches!(heard, Heard::Call(..));
        let (tokens, goes_on) = match reply(&heard) {
            Answer::Silence => std::future::pending().await,
            Answer::Done if matches!(heard, Heard::Login(..)) => (acknowledged(), true),
            answer => tokens(answer, is_call),
        };
        stream
            .write_all(&packet(ANSWER, u8::from(goes_on), &tokens))
            .await?;
        stream.flush().await?;
        if !goes_on {
            return Ok(());
        }
    }
}

/// All packets of a message, and their kind.
async fn message(stream: &mut (impl AsyncRead + Unpin)) -> std::io::Result<(u8, Vec<u8>)> {
    let mut body = Vec::new();
    loop {
        let mut head = [0; HEAD];
        stream.read_exact(&mut head).await?;
        let length = usize::from(head[2]) << 8 | usize::from(head[3]);
        let start = body.len();
        body.resize(start + length - HEAD, 0);
        stream.read_exact(&mut body[start..]).await?;
        if head[1] & LAST != 0 {
            return Ok((head[0], body));
        }
    }
}

fn units(bytes: &[u8]) -> String {
    let mut bytes = bytes;
    let mut units = Vec::new();
    while bytes.remaining() >= 2 {
        units.push(bytes.get_u16_le());
    }
    String::from_utf16(&units).unwrap()
}

fn login(body: &[u8]) -> Heard {
    // Behind 36 bytes of numbers: where each text is, and how many units it has.
    let text = |at: usize| {
        let mut table = &body[36 + at * 4..];
        let (place, length) = (table.get_u16_le().into(), usize::from(table.get_u16_le()));
        let place: usize = place;
        body[place..place + length * 2].to_vec()
    };
    let password: Vec<u8> = text(2)
        .iter()
        .map(|byte| (byte ^ 0xa5).rotate_left(4))
        .collect();
    Heard::Login(units(&text(1)), units(&password), units(&text(8)))
}

/// Behind the headers.
fn headless(body: &[u8]) -> &[u8] {
    let mut rest = body;
    let length = usize::try_from(rest.get_u32_le()).unwrap();
    &body[length..]
}

fn batch(body: &[u8]) -> String {
    units(headless(body))
}

fn call(body: &[u8]) -> Heard {
    let mut body = headless(body);
    // A procedure by number, which is that of sp_executesql; no flags.
    assert_eq!(
        (body.get_u16_le(), body.get_u16_le(), body.get_u16_le()),
        (0xffff, 10, 0)
    );
    let mut cells = Vec::new();
    while body.has_remaining() {
        let name = usize::from(body.get_u8()) * 2;
        body.advance(name + 1);
        cells.push(cell(&mut body));
    }
    let mut cells = cells.into_iter();
    let mut text = || match cells.next() {
        Some(Cell::Text(text)) => text,
        Some(Cell::Int(0)) | None => String::new(),
        other => panic!("{other:?}"),
    };
    let (sql, declared) = (text(), text());
    Heard::Call(sql, declared, cells.collect())
}

/// A type and its value.
fn cell(body: &mut &[u8]) -> Cell {
    let kind = body.get_u8();
    match kind {
        0x1f => Cell::Null,
        0x68 => {
            let (_longest, length) = (body.get_u8(), body.get_u8());
            assert_eq!(length, 0, "no parameter is a bit");
            Cell::TypedNull
        }
        // Integers, floats.
        0x26 | 0x6d => {
            let _longest = body.get_u8();
            match (kind, body.get_u8()) {
                (0x26, 8) => Cell::Number(body.get_i64_le()),
                (0x26, 4) => Cell::Int(body.get_i32_le()),
                (0x6d, 8) => Cell::Float(body.get_f64_le()),
                other => panic!("{other:?}"),
            }
        }
        // Texts have a collation.
        0xe7 => {
            let longest = body.get_u16_le();
            body.advance(5);
            Cell::Text(units(&bytes(body, longest)))
        }
        0xa5 => {
            let longest = body.get_u16_le();
            Cell::Bytes(bytes(body, longest))
        }
        other => panic!("a parameter of type {other:#x}"),
    }
}

fn bytes(body: &mut &[u8], longest: u16) -> Vec<u8> {
    if longest != 0xffff {
        let length = body.get_u16_le().into();
        return body.copy_to_bytes(length).to_vec();
    }
    let mut all = Vec::new();
    let _unknown = body.get_u64_le();
    loop {
        let length = usize::try_from(body.get_u32_le()).unwrap();
        if length == 0 {
            return all;
        }
        all.extend_from_slice(&body.copy_to_bytes(length));
    }
}

fn put_text(out: &mut BytesMut, text: &str) {
    for unit in text.encode_utf16() {
        out.put_u16_le(unit);
    }
}

/// With a length of one byte before it.
fn put_name(out: &mut BytesMut, text: &str) {
    out.put_u8(u8::try_from(text.encode_utf16().count()).unwrap());
    put_text(out, text);
}

fn put_done(out: &mut BytesMut, token: u8, status: u16, rows: u64) {
    out.put_u8(token);
    out.put_u16_le(status);
    out.put_u16_le(0);
    out.put_u64_le(rows);
}

fn acknowledged() -> BytesMut {
    let mut out = BytesMut::new();
    let mut body = BytesMut::new();
    body.put_u8(1);
    body.put_u32(0x7400_0004);
    put_name(&mut body, "Endpoint");
    body.put_u32(0x1000_03e8);
    out.put_u8(0xad);
    out.put_u16_le(u16::try_from(body.len()).unwrap());
    out.extend_from_slice(&body);
    put_done(&mut out, 0xfd, 0, 0);
    out
}

const COUNT: u16 = 0x10;
const ERROR: u16 = 0x02;

/// An answer in tokens, and whether the connection goes on.
fn tokens(answer: Answer, is_call: bool) -> (BytesMut, bool) {
    let mut out = BytesMut::new();
    let (mut status, mut rows, mut goes_on) = (0, 0, true);
    match answer {
        Answer::Done => {}
        Answer::Rows(all) => {
            let like = like(&all);
            columns(&mut out, &like);
            for row in &all {
                out.put_u8(0xd1);
                let cells = row.iter().zip(&like);
                cells.for_each(|(cell, like)| put_cell(&mut out, cell, like));
            }
            (status, rows) = (COUNT, u64::try_from(all.len()).unwrap());
        }
        Answer::Error(number, severity, words) => {
            let mut body = BytesMut::new();
            body.put_u32_le(number);
            body.put_u8(1);
            body.put_u8(severity);
            body.put_u16_le(u16::try_from(words.encode_utf16().count()).unwrap());
            put_text(&mut body, &words);
            put_name(&mut body, "endpoint");
            put_name(&mut body, "");
            body.put_u32_le(1);
            out.put_u8(0xaa);
            out.put_u16_le(u16::try_from(body.len()).unwrap());
            out.extend_from_slice(&body);
            status = ERROR;
        }
        Answer::Columns(all) => {
            out.put_u8(0x81);
            out.put_u16_le(u16::try_from(all.len()).unwrap());
            for (kind, name) in all {
                out.put_u32_le(0);
                // May be NULL, and may be written.
                out.put_u16_le(0x09);
                out.extend_from_slice(&kind);
                put_name(&mut out, name);
            }
        }
        Answer::Took(count) => (status, rows) = (COUNT, count),
        Answer::Cut => {
            columns(&mut out, &[Cell::Text(String::new())]);
            out.put_u8(0xd1);
            out.put_u8(40);
            return (out, false);
        }
        Answer::Routed(host, port) => {
            let mut body = BytesMut::new();
            body.put_u8(20);
            body.put_u16_le(u16::try_from(5 + host.len() * 2).unwrap());
            body.put_u8(0);
            body.put_u16_le(port);
            body.put_u16_le(u16::try_from(host.len()).unwrap());
            put_text(&mut body, &host);
            body.put_u16_le(0);
            out.put_u8(0xe3);
            out.put_u16_le(u16::try_from(body.len()).unwrap());
            out.extend_from_slice(&body);
            out.extend_from_slice(&acknowledged());
            return (out, true);
        }
        Answer::Silence => goes_on = false,
    }
    if is_call {
        put_done(&mut out, 0xff, status | 1, rows);
        out.put_u8(0x79);
        out.put_u32_le(0);
        put_done(&mut out, 0xfe, status & ERROR, 0);
    } else {
        put_done(&mut out, 0xfd, status, rows);
    }
    (out, goes_on)
}

/// A cell of each column that tells its type.
fn like(all: &[Vec<Cell>]) -> Vec<Cell> {
    let width = all.first().map_or(0, Vec::len);
    let of = |at: usize| {
        let mut cells = all.iter().map(|row| &row[at]);
        cells.find(|cell| **cell != Cell::Null).cloned()
    };
    (0..width).map(|at| of(at).unwrap_or(Cell::Null)).collect()
}

fn columns(out: &mut BytesMut, like: &[Cell]) {
    out.put_u8(0x81);
    out.put_u16_le(u16::try_from(like.len()).unwrap());
    for cell in like {
        out.put_u32_le(0);
        out.put_u16_le(0x09);
        match cell {
            Cell::Number(_) => out.extend_from_slice(&[0x26, 8]),
            Cell::Int(_) => out.extend_from_slice(&[0x26, 4]),
            _ => out.extend_from_slice(&[0xe7, 0x40, 0x1f, 9, 4, 208, 0, 52]),
        }
        put_name(out, "");
    }
}

fn put_cell(out: &mut BytesMut, cell: &Cell, like: &Cell) {
    match cell {
        Cell::Null if matches!(like, Cell::Number(_) | Cell::Int(_)) => out.put_u8(0),
        Cell::Number(number) => {
            out.put_u8(8);
            out.put_i64_le(*number);
        }
        Cell::Int(number) => {
            out.put_u8(4);
            out.put_i32_le(*number);
        }
        Cell::Text(text) => {
            out.put_u16_le(u16::try_from(text.encode_utf16().count() * 2).unwrap());
            put_text(out, text);
        }
        Cell::Null | Cell::TypedNull => out.put_u16_le(0xffff),
        other => panic!("{other:?} is not answered"),
    }
}
