//! PostgreSQL's own subscriber applies what the encoder wrote: a made-up publisher answers a real subscription.

use std::io::{self, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::thread;
use std::time::{Duration, Instant};

use testdata::{Client, Server, Version};
use walproto::{
    Begin, BeginPrepare, Column, ColumnDef, ColumnDefs, Commit, CommitPrepared, Delete, Encoder,
    Feedback, Frame, Insert, Keepalive, Logical, Lsn, Message, Oid, OldRow, Origin, Prepare,
    Relation, RelationOids, ReplicaIdentity, RollbackPrepared, StreamAbort, StreamCommit,
    StreamPrepare, StreamStart, Timestamp, Truncate, Tuple, Type, Update, WalData, Xid,
};

const PATIENCE: Duration = Duration::from_secs(60);
const TABLE: Oid = Oid(77_777);

/// Writes messages at rising positions, each in a frame in CopyData.
struct Publisher {
    encoder: Encoder,
    lsn: Lsn,
    out: Vec<u8>,
}

impl Publisher {
    /// A position behind all before.
    fn next(&mut self) -> Lsn {
        self.lsn = Lsn(self.lsn.0 + 8);
        self.lsn
    }

    fn frame(&mut self, frame: &Frame<'_>) {
        let mut body = vec![0; frame.encoded_len().expect("a sound frame")];
        frame.encode(&mut body).expect("a sound frame");
        message(b'd', &body, &mut self.out);
    }

    fn send(&mut self, xid: Option<u32>, message: &Message<'_>) {
        let mut data = Vec::new();
        self.encoder
            .append(xid.map(Xid), message, &mut data)
            .unwrap_or_else(|error| panic!("{error}"));
        let position = self.next();
        self.frame(&Frame::WalData(WalData {
            start: position,
            end: position,
            sent_at: Timestamp(0),
            data: &data,
        }));
    }

    fn relation(&mut self, xid: Option<u32>) {
        let column = |key, name, oid| ColumnDef {
            key,
            name,
            type_oid: Oid(oid),
            typmod: -1,
        };
        let mut buffer = [0; 64];
        let columns = [column(true, "id", 23), column(false, "note", 25)];
        let (columns, _) = ColumnDefs::write(columns, &mut buffer).expect("two columns");
        self.send(
            xid,
            &Message::Relation(Relation {
                oid: TABLE,
                namespace: "public",
                name: "notes",
                identity: ReplicaIdentity::Default,
                columns,
            }),
        );
    }

    fn insert(&mut self, xid: Option<u32>, id: u32, note: &str) {
        let mut buffer = [0; 64];
        let (new, _) = walproto::TupleWriter::new(&mut buffer)
            .text(id)
            .column(Column::Text(note.as_bytes()))
            .finish()
            .expect("a row");
        self.send(
            xid,
            &Message::Insert(Insert {
                relation: TABLE,
                new,
            }),
        );
    }

    /// A transaction that is sent whole.
    fn transaction(&mut self, xid: u32, changes: impl FnOnce(&mut Self)) {
        let final_lsn = Lsn(self.lsn.0 + 4096);
        self.send(
            None,
            &Message::Begin(Begin {
                final_lsn,
                commit_time: Timestamp(1),
                xid: Xid(xid),
            }),
        );
        changes(self);
        self.lsn = Lsn(final_lsn.0 + 8);
        let end_lsn = self.lsn;
        self.send(
            None,
            &Message::Commit(Commit {
                commit_lsn: final_lsn,
                end_lsn,
                commit_time: Timestamp(1),
            }),
        );
    }

    /// A transaction that is prepared; gives the end of the prepare.
    fn prepared(&mut self, xid: u32, gid: &str, changes: impl FnOnce(&mut Self)) -> Lsn {
        let (prepare_lsn, end_lsn) = (Lsn(self.lsn.0 + 4096), Lsn(self.lsn.0 + 4104));
        let (prepare_time, xid) = (Timestamp(1), Xid(xid));
        self.send(
            None,
            &Message::BeginPrepare(BeginPrepare {
                prepare_lsn,
                end_lsn,
                prepare_time,
                xid,
                gid,
            }),
        );
        changes(self);
        self.lsn = end_lsn;
        self.send(
            None,
            &Message::Prepare(Prepare {
                prepare_lsn,
                end_lsn,
                prepare_time,
                xid,
                gid,
            }),
        );
        end_lsn
    }

    fn commit_prepared(&mut self, xid: u32, gid: &str) {
        let (commit_lsn, end_lsn) = (self.next(), self.next());
        self.send(
            None,
            &Message::CommitPrepared(CommitPrepared {
                commit_lsn,
                end_lsn,
                commit_time: Timestamp(1),
                xid: Xid(xid),
                gid,
            }),
        );
    }

    fn block(&mut self, xid: u32, first_segment: bool, changes: impl FnOnce(&mut Self)) {
        let xid = Xid(xid);
        self.send(
            None,
            &Message::StreamStart(StreamStart { xid, first_segment }),
        );
        changes(self);
        self.send(None, &Message::StreamStop);
    }

    fn abort(&mut self, xid: u32, subxid: u32) {
        let abort = StreamAbort {
            xid: Xid(xid),
            subxid: Xid(subxid),
            abort: None,
        };
        self.send(None, &Message::StreamAbort(abort));
    }

    /// Every kind of message; what is left of it all is in the test.
    fn everything(&mut self) {
        self.transaction(700, |p| {
            p.send(
                None,
                &Message::Origin(Origin {
                    commit_lsn: Lsn(5),
                    name: "elsewhere",
                }),
            );
            let r#type = Type {
                oid: Oid(88_888),
                namespace: "public",
                name: "mood",
            };
            p.send(None, &Message::Type(r#type));
            p.relation(None);
            for (id, note) in [(1, "one"), (2, "two"), (3, "three"), (4, "four")] {
                p.insert(None, id, note);
            }
            p.send(
                None,
                &Message::Logical(Logical {
                    transactional: true,
                    lsn: Lsn(9),
                    prefix: "p",
                    content: b"\0",
                }),
            );
        });
        self.transaction(701, |p| {
            let mut buffer = [0; 64];
            // One keeps its note, which is as if it were TOASTed, and gets another key.
            let (old, rest) =
                Tuple::write([Column::Text(b"1"), Column::Null], &mut buffer).expect("a key");
            let (new, _) =
                Tuple::write([Column::Text(b"10"), Column::Unchanged], rest).expect("a row");
            p.send(
                None,
                &Message::Update(Update {
                    relation: TABLE,
                    old: Some(OldRow::Key(old)),
                    new,
                }),
            );
            let (new, _) =
                Tuple::write([Column::Text(b"2"), Column::Null], &mut buffer).expect("a row");
            p.send(
                None,
                &Message::Update(Update {
                    relation: TABLE,
                    old: None,
                    new,
                }),
            );
            let (old, _) =
                Tuple::write([Column::Text(b"3"), Column::Null], &mut buffer).expect("a key");
            p.send(
                None,
                &Message::Delete(Delete {
                    relation: TABLE,
                    old: OldRow::Key(old),
                }),
            );
        });
        self.block(710, true, |p| {
            p.relation(Some(710));
            p.insert(Some(710), 20, "streamed");
            p.insert(Some(711), 21, "undone");
        });
        self.block(720, true, |p| p.insert(Some(720), 22, "all undone"));
        self.abort(710, 711);
        self.block(710, false, |p| p.insert(Some(712), 23, "streamed too"));
        self.abort(720, 720);
        let (commit_lsn, end_lsn) = (self.next(), self.next());
        self.send(
            None,
            &Message::StreamCommit(StreamCommit {
                xid: Xid(710),
                commit_lsn,
                end_lsn,
                commit_time: Timestamp(1),
            }),
        );
        self.prepared(730, "kept", |p| p.insert(None, 30, "prepared"));
        self.commit_prepared(730, "kept");
        let prepare_end_lsn = self.prepared(731, "lost", |p| p.insert(None, 31, "rolled back"));
        let rollback_end_lsn = self.next();
        self.send(
            None,
            &Message::RollbackPrepared(RollbackPrepared {
                prepare_end_lsn,
                rollback_end_lsn,
                prepare_time: Timestamp(1),
                rollback_time: Timestamp(2),
                xid: Xid(731),
                gid: "lost",
            }),
        );
        self.block(740, true, |p| p.insert(Some(740), 32, "streamed, prepared"));
        let (prepare_lsn, end_lsn) = (self.next(), self.next());
        self.send(
            None,
            &Message::StreamPrepare(StreamPrepare {
                prepare_lsn,
                end_lsn,
                prepare_time: Timestamp(1),
                xid: Xid(740),
                gid: "large",
            }),
        );
        self.commit_prepared(740, "large");
        self.transaction(750, |p| {
            let column = ColumnDef {
                key: true,
                name: "id",
                type_oid: Oid(23),
                typmod: -1,
            };
            let mut buffer = [0; 64];
            let (columns, rest) = ColumnDefs::write([column], &mut buffer).expect("a column");
            p.send(
                None,
                &Message::Relation(Relation {
                    oid: Oid(77_778),
                    namespace: "public",
                    name: "emptied",
                    identity: ReplicaIdentity::Full,
                    columns,
                }),
            );
            let (relations, _) = RelationOids::write([Oid(77_778)], rest).expect("an oid");
            p.send(
                None,
                &Message::Truncate(Truncate {
                    cascade: false,
                    restart_identity: false,
                    relations,
                }),
            );
        });
        let keepalive = Keepalive {
            wal_end: self.lsn,
            sent_at: Timestamp(0),
            reply_requested: true,
        };
        self.frame(&Frame::Keepalive(keepalive));
    }
}

/// Appends a message of PostgreSQL's frontend/backend protocol.
fn message(tag: u8, body: &[u8], out: &mut Vec<u8>) {
    let length = u32::try_from(body.len() + 4).expect("short");
    out.push(tag);
    out.extend(length.to_be_bytes());
    out.extend_from_slice(body);
}

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
    let mut publisher = Publisher {
        encoder: Encoder::new(),
        lsn: Lsn(0x200_0000),
        out: Vec::new(),
    };
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
