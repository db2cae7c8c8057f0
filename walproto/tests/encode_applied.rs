//! PostgreSQL's own subscriber applies what the encoder wrote: a made-up publisher answers a real subscription.

mod publisher;

use std::io::{self, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::thread;
use std::time::{Duration, Instant};

use publisher::{Publisher, message};
use testdata::{Client, Server, Version};
use walproto::Feedback;

const PATIENCE: Duration = Duration::from_secs(60);

/// Appends the answer to a query: one row.
fn row(values: &[(&str, &str)], out: &mut Vec<u8>) {
    let count = u16::try_from(values.len()).expect("few").to_be_bytes();
    let (mut names, mut data) = (count.to_vec(), count.to_vec());
    for (name, value) in values {
        names.extend_from_slice(name.as_bytes());
        // No table, type text, any length, text form.
        names.extend([
            0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 25, 255, 255, 255, 255, 255, 255, 0, 0,
        ]);
        data.extend(u32::try_from(value.len()).expect("short").to_be_bytes());
        data.extend_from_slice(value.as_bytes());
    }
    message(b'T', &names, out);
    message(b'D', &data, out);
    message(b'C', b"SELECT 1\0", out);
    message(b'Z', b"I", out);
}

fn receive(socket: &mut TcpStream) -> io::Result<(u8, Vec<u8>)> {
    let mut head = [0; 5];
    socket.read_exact(&mut head)?;
    let [tag, length @ ..] = head;
    let mut body = vec![0; u32::from_be_bytes(length) as usize - 4];
    socket.read_exact(&mut body)?;
    Ok((tag, body))
}

/// Serves one connection of the subscription until all was applied; gives the command that started the stream, or
/// nothing if the worker left before.
fn serve(mut socket: TcpStream, version: Version) -> io::Result<Option<String>> {
    socket.set_read_timeout(Some(PATIENCE))?;
    let mut length = [0; 4];
    socket.read_exact(&mut length)?;
    let mut startup = vec![0; u32::from_be_bytes(length) as usize - 4];
    socket.read_exact(&mut startup)?;

    let mut out = Vec::new();
    message(b'R', &[0; 4], &mut out);
    let number = format!("server_version\0{}.0\0", version.major());
    for parameter in [
        &number,
        "client_encoding\0UTF8\0",
        "standard_conforming_strings\0on\0",
    ] {
        message(b'S', parameter.as_bytes(), &mut out);
    }
    message(b'Z', b"I", &mut out);
    loop {
        socket.write_all(&out)?;
        out.clear();
        let (tag, body) = receive(&mut socket)?;
        let query = String::from_utf8_lossy(&body);
        match tag {
            b'Q' if query.starts_with("IDENTIFY_SYSTEM") => row(
                &[
                    ("systemid", "7000000000000000000"),
                    ("timeline", "1"),
                    ("xlogpos", "0/1000000"),
                    ("dbname", "postgres"),
                ],
                &mut out,
            ),
            b'Q' if query.starts_with("START_REPLICATION") => {
                let command = query.trim_end_matches('\0').to_owned();
                let done = stream(&mut socket, &command)?;
                return Ok(done.then_some(command));
            }
            b'Q' if query.starts_with("SELECT") => row(&[("set_config", "")], &mut out),
            b'X' => return Ok(None),
            _ => panic!("unexpected: {} {query}", char::from(tag)),
        }
    }
}

/// Sends everything; true once the subscriber says that all of it is flushed.
fn stream(socket: &mut TcpStream, command: &str) -> io::Result<bool> {
    let mut out = Vec::new();
    message(b'W', &[0, 0, 0], &mut out);
    // Before it asks for two-phase commit, the worker finds out that all tables are ready, and starts again.
    let two_phase = command.contains("two_phase");
    let mut publisher = Publisher::new();
    if two_phase {
        publisher.everything();
    }
    out.append(&mut publisher.out);
    socket.write_all(&out)?;
    loop {
        let (tag, body) = match receive(socket) {
            Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => return Ok(false),
            received => received?,
        };
        match (tag, Feedback::parse(&body)) {
            (b'd', Ok(Feedback::StatusUpdate(update))) => {
                if two_phase && update.flushed >= publisher.lsn {
                    return Ok(true);
                }
            }
            (b'd', other) => panic!("{other:?}"),
            _ => return Ok(false),
        }
    }
}

fn applies(version: Version) {
    let server = Server::builder(version)
        .setting("max_prepared_transactions", 10)
        .setting("allow_system_table_mods", "on")
        .start();
    let mut client = Client::connect(&server, "postgres").unwrap();
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    client
        .batch(&format!(
            "CREATE TABLE notes (id int PRIMARY KEY, note text);
             CREATE TABLE emptied (id int);
             INSERT INTO emptied VALUES (1);
             CREATE SUBSCRIPTION s CONNECTION
                 'host=127.0.0.1 port={port} user=u dbname=postgres sslmode=disable gssencmode=disable'
                 PUBLICATION p WITH (connect = false, slot_name = 's', enabled = false,
                                     streaming = on, two_phase = true);
             -- The publisher has no catalog to ask which tables there are.
             INSERT INTO pg_subscription_rel
                 SELECT s.oid, t.oid, 'r', NULL FROM pg_subscription s, pg_class t
                 WHERE t.relname IN ('notes', 'emptied');
             "
        ))
        .unwrap();
    client.batch("ALTER SUBSCRIPTION s ENABLE").unwrap();

    let publisher = thread::spawn(move || {
        let deadline = Instant::now() + PATIENCE;
        while Instant::now() < deadline {
            let (socket, _) = listener.accept().expect("the worker connects");
            if let Ok(Some(command)) = serve(socket, version) {
                return command;
            }
        }
        panic!("the subscriber did not apply what was sent");
    });
    let command = publisher
        .join()
        .unwrap_or_else(|_| panic!("{}", server.log()));
    assert!(command.contains("streaming 'on'"), "{command}");

    let rows = client
        .query("SELECT id, note FROM notes ORDER BY id")
        .unwrap();
    let rows: Vec<_> = rows
        .iter()
        .map(|row| (row[0].as_deref().unwrap_or_default(), row[1].as_deref()))
        .collect();
    assert_eq!(
        rows,
        [
            ("2", None),
            ("4", Some("four")),
            ("10", Some("one")),
            ("20", Some("streamed")),
            ("23", Some("streamed too")),
            ("30", Some("prepared")),
            ("32", Some("streamed, prepared")),
        ]
    );
    assert_eq!(client.value("SELECT count(*) FROM emptied").unwrap(), "0");
    assert_eq!(
        client
            .value("SELECT count(*) FROM pg_prepared_xacts")
            .unwrap(),
        "0"
    );
    client
        .batch("ALTER SUBSCRIPTION s DISABLE; ALTER SUBSCRIPTION s SET (slot_name = NONE)")
        .unwrap();
}

#[test]
fn the_subscriber_of_15_applies_what_the_encoder_wrote() {
    applies(Version::V15);
}

#[test]
fn the_subscriber_of_18_applies_what_the_encoder_wrote() {
    applies(Version::V18);
}
