//! A proxy that prints the replication messages passing between a client and a server.
//!
//! `cargo run -p walproto --example proxy 127.0.0.1:6432 127.0.0.1:5432`, then point the client at port 6432. It
//! changes nothing and reads nothing but replication; the connection must not be encrypted, so the proxy declines TLS.

use std::io::{self, Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::sync::Mutex;
use std::{env, thread};

use walproto::{Decoder, Feedback, Frame};

fn main() -> io::Result<()> {
    let mut arguments = env::args().skip(1);
    let (Some(here), Some(server)) = (arguments.next(), arguments.next()) else {
        return Err(io::Error::other(
            "usage: proxy LISTEN-ADDRESS SERVER-ADDRESS",
        ));
    };
    let listener = TcpListener::bind(here)?;
    println!("listening on {}", listener.local_addr()?);
    thread::scope(|scope| {
        for client in listener.incoming() {
            let server = &server;
            scope.spawn(move || {
                if let Err(error) = client.and_then(|client| serve(client, server)) {
                    println!("connection failed: {error}");
                }
            });
        }
    });
    Ok(())
}

/// One connection, until both sides are done.
fn serve(mut client: TcpStream, address: &str) -> io::Result<()> {
    let startup = startup(&mut client)?;
    let mut server = TcpStream::connect(address)?;
    server.write_all(&startup)?;
    client.set_nodelay(true)?;
    server.set_nodelay(true)?;

    // What the client asks for decides how the server's messages are to be read.
    let asked = Mutex::new(Decoder::new());
    let asked = || asked.lock().expect("nobody panics while holding it");
    thread::scope(|scope| {
        let to_server = scope.spawn(|| {
            relay(&client, &server, |tag, body| match tag {
                b'Q' if body.starts_with(b"START_REPLICATION") => {
                    let command = String::from_utf8_lossy(body);
                    println!("client: {}", command.trim_end_matches('\0'));
                    *asked() = decoder(&command);
                }
                b'd' => match Feedback::parse(body) {
                    Ok(feedback) => println!("client: {feedback:?}"),
                    Err(error) => println!("client: {error}"),
                },
                _ => {}
            })
        });
        // Ordinary COPY uses the same message type, before replication has begun.
        let mut replication = None;
        let to_client = relay(&server, &client, |tag, body| {
            match (tag, &mut replication) {
                // CopyBothResponse
                (b'W', _) => replication = Some(*asked()),
                (b'd', Some(decoder)) => print(decoder, body),
                // ReadyForQuery
                (b'Z', _) => replication = None,
                _ => {}
            }
        });
        let to_server = to_server.join().expect("relays do not panic");
        to_client.and(to_server)
    })
}

/// Prints the content of one CopyData message of the server.
fn print(decoder: &mut Decoder, body: &[u8]) {
    match Frame::parse(body) {
        Ok(Frame::WalData(wal)) => match decoder.decode(wal.data) {
            Ok(decoded) => {
                let xid = decoded
                    .xid
                    .map(|xid| format!("[{xid}] "))
                    .unwrap_or_default();
                println!("server: {} {xid}{:?}", wal.start, decoded.message);
            }
            Err(error) => println!("server: {error}"),
        },
        Ok(other) => println!("server: {other:?}"),
        Err(error) => println!("server: {error}"),
    }
}

/// The first message of the client; it has no type byte. Before it, a client may ask for encryption.
fn startup(client: &mut TcpStream) -> io::Result<Vec<u8>> {
    const SSL_REQUEST: [u8; 4] = 80_877_103_u32.to_be_bytes();
    const GSSENC_REQUEST: [u8; 4] = 80_877_104_u32.to_be_bytes();
    loop {
        let (length, body) = body(client)?;
        if body == SSL_REQUEST || body == GSSENC_REQUEST {
            client.write_all(b"N")?;
        } else {
            return Ok([&length[..], &body].concat());
        }
    }
}

/// Passes messages on until `from` ends. Each is shown first: what was asked for must be known before the answer comes.
fn relay(
    mut from: &TcpStream,
    mut to: &TcpStream,
    mut show: impl FnMut(u8, &[u8]),
) -> io::Result<()> {
    let mut pass = || {
        let mut tag = [0];
        while from.read(&mut tag)? == 1 {
            let (length, body) = body(&mut from)?;
            show(tag[0], &body);
            to.write_all(&[&tag[..], &length, &body].concat())?;
        }
        Ok(())
    };
    let outcome = pass();
    // However it ended, nothing more comes this way.
    let _ = to.shutdown(Shutdown::Write);
    outcome
}

/// A length that counts itself, and what it announces.
fn body(from: &mut impl Read) -> io::Result<([u8; 4], Vec<u8>)> {
    let mut length = [0; 4];
    from.read_exact(&mut length)?;
    let announced = u64::from(u32::from_be_bytes(length).saturating_sub(4));
    let mut body = Vec::new();
    // No memory for bytes that never come.
    if from.take(announced).read_to_end(&mut body)? as u64 == announced {
        Ok((length, body))
    } else {
        Err(io::ErrorKind::UnexpectedEof.into())
    }
}

/// As START_REPLICATION asks: `… (proto_version '4', streaming 'parallel', binary 'true')`.
fn decoder(command: &str) -> Decoder {
    let command = command.to_lowercase();
    let option = |name| {
        let (_, rest) = command.split_once(name)?;
        rest.split('\'').nth(1)
    };
    Decoder::new()
        .parallel(option("streaming") == Some("parallel"))
        .binary(matches!(
            option("binary"),
            Some("true" | "on" | "yes" | "1" | "t")
        ))
}
