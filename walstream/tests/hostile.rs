//! A server that lies, floods and speaks out of turn: each time a clear error that names the message and its byte, and
//! a closed connection.

use std::time::Duration;

use testdata::writer;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{UnixListener, UnixStream};
use walstream::walproto::Lsn;
use walstream::{
    Client, Config, Error, ErrorKind, Event, Limits, RawStream, Stream, StreamOptions,
};

#[path = "../src/scripted.rs"]
mod scripted;
use scripted::{copy_data, insert, message, update, whole};

/// A message of the protocol.
fn backend(tag: u8, body: &[u8]) -> Vec<u8> {
    let length = i32::try_from(body.len() + 4).unwrap();
    [&header(tag, length), body].concat()
}

fn header(tag: u8, length: i32) -> Vec<u8> {
    [&[tag][..], &length.to_be_bytes()].concat()
}

/// An answer of one column per name and one row.
fn rows(names: &[&str], values: &[Option<&str>]) -> Vec<u8> {
    let count = u16::try_from(names.len()).unwrap().to_be_bytes();
    let mut description = count.to_vec();
    for name in names {
        description.extend([name.as_bytes(), &[0; 19]].concat());
    }
    let mut row = count.to_vec();
    for value in values {
        let length = value.map_or(-1, |value| i32::try_from(value.len()).unwrap());
        row.extend(length.to_be_bytes());
        row.extend(value.unwrap_or_default().as_bytes());
    }
    [backend(b'T', &description), backend(b'D', &row), end()].concat()
}

fn end() -> Vec<u8> {
    [backend(b'C', b"SELECT 1\0"), backend(b'Z', b"I")].concat()
}

/// Where the scripted server listens, and how to get there.
struct Place {
    listener: UnixListener,
    config: Config,
    _folder: tempfile::TempDir,
}

fn place() -> Place {
    let folder = tempfile::tempdir().unwrap();
    let listener = UnixListener::bind(folder.path().join(".s.PGSQL.5432")).unwrap();
    let config = Config::new(folder.path().to_str().unwrap(), "me")
        .with_connect_timeout(Duration::from_secs(2));
    Place {
        listener,
        config,
        _folder: folder,
    }
}

/// The server's end.
struct Peer {
    socket: UnixStream,
    sent: u64,
}

impl Peer {
    /// Takes a connection and its startup packet.
    async fn accept(place: &Place) -> Self {
        let (mut socket, _) = place.listener.accept().await.unwrap();
        let length = socket.read_u32().await.unwrap() as usize;
        socket.read_exact(&mut vec![0; length - 4]).await.unwrap();
        Self { socket, sent: 0 }
    }

    /// Sends; the client may have left in the middle.
    async fn send(&mut self, bytes: &[u8]) -> bool {
        self.sent += bytes.len() as u64;
        self.socket.write_all(bytes).await.is_ok()
    }

    async fn log_in(&mut self) {
        let login = [
            backend(b'R', &[0; 4]),
            backend(b'S', b"server_version\x0017.5\0"),
            backend(b'K', &[0, 0, 0, 7, 0, 0, 0, 9]),
            backend(b'Z', b"I"),
        ];
        self.send(&login.concat()).await;
        self.serve("transaction_timeout").await;
        self.send(&end()).await;
    }

    /// Answers what comes before a query with this in it.
    async fn serve(&mut self, until: &str) {
        loop {
            assert_eq!(self.socket.read_u8().await.unwrap(), b'Q');
            let length = self.socket.read_u32().await.unwrap() as usize;
            let mut text = vec![0; length - 4];
            self.socket.read_exact(&mut text).await.unwrap();
            let text = String::from_utf8(text).unwrap();
            if text.contains(until) {
                return;
            }
            let answer = if text.contains("pg_replication_slots") {
                rows(
                    &["slot_name", "plugin", "database"],
                    &[Some("s"), Some("pgoutput"), Some("me")],
                )
            } else {
                assert!(text.contains("pg_publication"), "{text}");
                rows(&["pubname"], &[Some("p")])
            };
            self.send(&answer).await;
        }
    }

    /// Up to the answer to `START_REPLICATION`.
    async fn streaming(place: &Place) -> Self {
        let mut peer = Self::accept(place).await;
        peer.log_in().await;
        peer.serve("START_REPLICATION").await;
        peer.send(&backend(b'W', &[0; 3])).await;
        peer
    }

    /// Whether the client closes the connection.
    async fn sees_the_end(mut self) -> bool {
        let mut rest = Vec::new();
        let read = self.socket.read_to_end(&mut rest);
        // An error is a connection that was closed with our bytes unread.
        tokio::time::timeout(Duration::from_secs(10), read)
            .await
            .is_ok()
    }
}

async fn start(place: &Place) -> Result<Stream, Error> {
    let client = Client::connect_replication(&place.config).await?;
    let options = StreamOptions::new("s", ["p"]);
    Stream::start(client, &options, Lsn::ZERO, Limits::default()).await
}

async fn start_raw(place: &Place) -> RawStream {
    let client = Client::connect_replication(&place.config).await.unwrap();
    let options = StreamOptions::new("s", ["p"]);
    let started = RawStream::start(client, &options, Lsn::ZERO, 1 << 20).await;
    started.unwrap()
}

async fn next(stream: &mut Stream) -> Result<Event, Error> {
    stream
        .next_event()
        .await
        .map(|event| event.expect("an event"))
}

/// An error with its causes, as it is to be printed.
fn printed(error: &Error) -> String {
    let source = std::error::Error::source(error);
    source.map_or_else(|| error.to_string(), |source| format!("{error}: {source}"))
}

/// What may never be sent while streaming, and what the error says of it.
fn lies() -> Vec<(Vec<u8>, &'static str)> {
    let mut all = vec![
        (header(0, 4), "unknown type '\\x00'"),
        (header(b'?', 4), "unknown type '?'"),
        (b"HTTP/1.1 200 OK\r\n".to_vec(), "message 'H' of"),
        (header(b'd', 3), "message 'd' of length 3"),
        (header(b'd', 0), "message 'd' of length 0"),
        (header(b'd', -1), "message 'd' of length -1"),
        (header(b'd', i32::MIN), "message 'd' of length -2147483648"),
        (header(b'd', i32::MAX), "message 'd' of 2147483647 bytes"),
        (header(b'E', i32::MAX), "message 'E' of 2147483647 bytes"),
        (header(b'S', 2 << 20), "message 'S' of 2097152 bytes"),
        (copy_data(b"w123"), "'w'"),
        (copy_data(&writer::keepalive(1, 0, 0)[..17]), "'k'"),
        (
            copy_data(&[&writer::keepalive(1, 0, 0)[..], b"x"].concat()),
            "'k'",
        ),
        (message(b"C\0\0"), "Commit ('C')"),
    ];
    let places = [
        (b'R', "'R' while streaming"),
        (b'Z', "'Z' while streaming"),
        (b'T', "'T' while streaming"),
        (b'D', "'D' while streaming"),
        (b'G', "'G' while streaming"),
        (b'H', "'H' while streaming"),
        (b'W', "'W' while streaming"),
        (b'I', "'I' while streaming"),
        (b'K', "'K' while streaming"),
        (b'1', "'1' while streaming"),
    ];
    all.extend(places.map(|(tag, text)| (backend(tag, &[0; 4]), text)));
    all
}

#[tokio::test]
async fn a_lie_in_the_stream_is_an_error_with_its_type_and_byte() {
    let only_whole = [
        (copy_data(b""), "empty message"),
        (copy_data(b"?"), "'?'"),
        (message(b"?"), "unknown message type '?'"),
        (message(b""), "empty message"),
        (
            message(&writer::commit(0, 1, 2, 0)),
            "a commit outside any transaction",
        ),
        (insert("1"), "a change outside any transaction"),
    ];
    for (lie, says) in lies().into_iter().chain(only_whole) {
        let place = place();
        let (mut peer, stream) = tokio::join!(Peer::streaming(&place), start(&place));
        let mut stream = stream.unwrap();
        peer.send(&whole(100, &[insert("1")])).await;
        let offset = peer.sent;
        peer.send(&lie).await;
        let first = next(&mut stream).await.unwrap();
        assert!(matches!(first, Event::Transaction(_)), "{says}: {first:?}");
        let error = next(&mut stream).await.unwrap_err();
        let text = printed(&error);
        assert!(text.contains(says), "{says}: {text}");
        assert_eq!(error.offset(), Some(offset), "{text}");
        assert!(text.contains(&format!("byte {offset} ")), "{text}");
        let limit = text.contains("and the limit is");
        assert_eq!(error.kind() == ErrorKind::Limit, limit, "{text}");
        assert!(error.needs_person() && peer.sees_the_end().await, "{text}");
    }
}

#[tokio::test]
async fn the_raw_stream_refuses_the_same() {
    for (lie, says) in lies() {
        let place = place();
        let (mut peer, mut stream) = tokio::join!(Peer::streaming(&place), start_raw(&place));
        peer.send(&whole(100, &[])).await;
        let offset = peer.sent;
        peer.send(&lie).await;
        for _ in 0..3 {
            assert!(stream.next().await.unwrap().is_some(), "{says}");
        }
        let error = stream.next().await.unwrap_err();
        let text = printed(&error);
        assert!(text.contains(says), "{says}: {text}");
        assert_eq!(error.offset(), Some(offset), "{text}");
        assert!(peer.sees_the_end().await, "{text}");
    }
}

#[tokio::test]
async fn what_comes_before_the_server_has_agreed_to_stream_is_refused() {
    for tag in [b'd', b'D', b'G', b'H', b'R', b'c'] {
        let place = place();
        let script = async {
            let mut peer = Peer::accept(&place).await;
            peer.log_in().await;
            peer.serve("START_REPLICATION").await;
            let offset = peer.sent;
            peer.send(&backend(tag, &[0; 4])).await;
            (peer, offset)
        };
        let ((peer, offset), started) = tokio::join!(script, start(&place));
        let error = started.unwrap_err();
        let says = format!("'{}' in the answer to START_REPLICATION", char::from(tag));
        assert!(error.to_string().contains(&says), "{error}");
        assert_eq!(error.offset(), Some(offset), "{error}");
        assert!(peer.sees_the_end().await);
    }
}

/// What a server answers to a query, and what the client makes of it.
async fn answered(answer: &[u8]) -> (u64, Error) {
    let place = place();
    let script = async {
        let mut peer = Peer::accept(&place).await;
        peer.log_in().await;
        peer.serve("SELECT 1").await;
        let offset = peer.sent;
        peer.send(answer).await;
        (peer, offset)
    };
    let ask = async {
        let mut client = Client::connect_replication(&place.config).await.unwrap();
        client.query("SELECT 1").await.unwrap_err()
    };
    let ((peer, offset), error) = tokio::join!(script, ask);
    assert!(peer.sees_the_end().await, "{error}");
    (offset, error)
}

#[tokio::test]
async fn an_answer_that_makes_no_sense_is_an_error_with_its_byte() {
    let one = [&1_u16.to_be_bytes()[..], b"a\0", &[0; 18]].concat();
    let one = backend(b'T', &one);
    let at_once = [
        backend(b'R', &[0; 4]),
        backend(b'K', &[0; 8]),
        backend(b'v', &[0; 8]),
        backend(b'T', b"\0"),
        // A count without names.
        backend(b'T', b"\xff\xff"),
        // A value without a description.
        backend(b'D', b"\0\x01\0\0\0\x01x"),
    ];
    for answer in at_once {
        let (offset, error) = answered(&answer).await;
        assert_eq!(error.kind(), ErrorKind::Protocol, "{error}");
        assert_eq!(error.offset(), Some(offset), "{error}");
    }
    let rows = [
        &b"\0\x02\0\0\0\x01x\0\0\0\x01y"[..],
        b"\0\x01\0\0\0\x02x",
        b"\0\x01\xff\xff\xff\xfex",
        b"\0\x01\x7f\xff\xff\xffx",
        b"\0\x01\0\0\0\x01xy",
        b"\0\x01\0\0\0\x01\xff",
        b"\0",
    ];
    for row in rows {
        let (offset, error) = answered(&[&one[..], &backend(b'D', row)].concat()).await;
        assert_eq!(error.kind(), ErrorKind::Protocol, "{error}");
        assert_eq!(error.offset(), Some(offset + one.len() as u64), "{error}");
    }
}

#[tokio::test]
async fn rows_without_end_reach_the_limit() {
    let mut place = place();
    place.config = place.config.with_max_message_size(1 << 20);
    let row = [&b"\0\x01\0\0\x40\0"[..], &[b'x'; 16 << 10]].concat();
    let row = backend(b'D', &row);
    let script = async {
        let mut peer = Peer::accept(&place).await;
        peer.log_in().await;
        peer.serve("SELECT 1").await;
        let names = [&1_u16.to_be_bytes()[..], b"a\0", &[0; 18]].concat();
        peer.send(&backend(b'T', &names)).await;
        while peer.send(&row).await {}
    };
    let ask = async {
        let mut client = Client::connect_replication(&place.config).await.unwrap();
        client.query("SELECT 1").await.unwrap_err()
    };
    let ((), error) = tokio::join!(script, ask);
    assert_eq!(error.kind(), ErrorKind::Limit, "{error}");
    assert!(
        error.hint().is_some() && error.offset().is_some(),
        "{error:?}"
    );

    // One that says beforehand that it is too large is not waited for.
    let (_, error) = answered(&header(b'D', i32::MAX)).await;
    assert_eq!(error.kind(), ErrorKind::Limit, "{error}");
}

#[tokio::test]
async fn a_copy_that_stops_without_its_end_is_not_taken_for_whole() {
    let ready = backend(b'Z', b"I");
    let complete = backend(b'C', b"COPY 1\0");
    for (end, whole) in [
        (ready.clone(), false),
        ([&complete[..], &ready].concat(), false),
        (backend(b'R', &[0; 4]), false),
        ([backend(b'c', b""), complete, ready].concat(), true),
    ] {
        let place = place();
        let script = async {
            let mut peer = Peer::accept(&place).await;
            peer.log_in().await;
            peer.serve("COPY").await;
            peer.send(&backend(b'H', &[0; 3])).await;
            peer.send(&backend(b'd', b"1\n")).await;
            peer.send(&end).await;
            peer
        };
        let copy = async {
            let mut client = Client::connect_replication(&place.config).await.unwrap();
            let mut copy = client.copy_out("COPY t TO STDOUT").await.unwrap();
            assert_eq!(copy.next().await.unwrap().unwrap(), &b"1\n"[..]);
            copy.next().await
        };
        let (_, last) = tokio::join!(script, copy);
        match last {
            Ok(None) => assert!(whole),
            Err(error) => assert!(!whole && error.kind() == ErrorKind::Protocol, "{error}"),
            Ok(Some(_)) => panic!("nothing more was sent"),
        }
    }
}

#[tokio::test]
async fn an_error_text_without_end_is_cut_and_still_says_its_kind() {
    let place = place();
    let script = async {
        let mut peer = Peer::accept(&place).await;
        peer.log_in().await;
        peer.serve("START_REPLICATION").await;
        peer.send(&header(b'E', 900 << 20)).await;
        peer.send(b"SERROR\0VERROR\0C42704\0M").await;
        peer.send(&vec![b'x'; 1 << 20]).await;
        // The rest never comes.
    };
    let ((), started) = tokio::join!(script, start(&place));
    let error = started.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::SlotMissing);
    let length = error.report().unwrap().message.len();
    assert!((60_000..=64 << 10).contains(&length), "{length}");
}

#[tokio::test]
async fn a_session_outlives_a_long_error_text() {
    let place = place();
    let script = async {
        let mut peer = Peer::accept(&place).await;
        peer.log_in().await;
        peer.serve("SELECT 1").await;
        let text = [
            &b"SERROR\0VERROR\0C22P02\0M"[..],
            &vec![b'x'; 3 << 20],
            b"\0\0",
        ]
        .concat();
        let notice = [
            backend(b'N', &text),
            backend(b'E', &text),
            backend(b'Z', b"I"),
        ];
        peer.send(&notice.concat()).await;
        peer.serve("SELECT 2").await;
        peer.send(&rows(&["a"], &[Some("2")])).await;
    };
    let ask = async {
        let mut client = Client::connect_replication(&place.config).await.unwrap();
        let error = client.query("SELECT 1").await.unwrap_err();
        assert_eq!(error.sqlstate(), Some("22P02"));
        let rows = client.query("SELECT 2").await.unwrap();
        assert_eq!(rows[0].get(0), Some("2"));
    };
    tokio::join!(script, ask);
}

/// Time is what ends a flood of what is allowed: of the connection attempt before the session, of nobody inside it.
#[tokio::test]
async fn floods_stop_neither_the_feedback_nor_what_comes_behind_them() {
    let notice = backend(b'N', b"SNOTICE\0VNOTICE\0C00000\0Mflood\0\0");
    let parameter = backend(b'S', b"application_name\0flood\0");
    let asking = copy_data(&writer::keepalive(50, 0, 1));
    let quiet = copy_data(&writer::keepalive(50, 0, 0));
    for flood in [notice, parameter, asking, quiet] {
        let mut place = place();
        place.config = place
            .config
            .with_wal_sender_timeout(Duration::from_millis(300));
        let (peer, stream) = tokio::join!(Peer::streaming(&place), start(&place));
        let mut stream = stream.unwrap();
        let (reading, mut writing) = peer.socket.into_split();
        let (stop, mut stopped) = tokio::sync::oneshot::channel();
        let script = tokio::spawn(async move {
            let lot = flood.repeat(1000);
            while stopped.try_recv().is_err() {
                writing.write_all(&lot).await.unwrap();
            }
            writing
                .write_all(&whole(100, &[insert("1")]))
                .await
                .unwrap();
            writing
        });
        // As many as come in a second without a flood.
        let mut reading = tokio::io::BufReader::new(reading);
        for _ in 0..10 {
            assert_eq!(update(&mut reading).await.0, 0);
        }
        stop.send(()).unwrap();
        loop {
            match next(&mut stream).await.unwrap() {
                Event::Transaction(transaction) => break transaction.confirm(),
                Event::Idle(idle) => idle.confirm(),
                other => panic!("{other:?}"),
            }
        }
        while update(&mut reading).await.0 != 108 {}
        drop(script.await.unwrap());
    }
}

#[tokio::test]
async fn a_flood_before_the_session_ends_with_the_time_for_connecting() {
    let notice = backend(b'N', b"SNOTICE\0VNOTICE\0C00000\0Mflood\0\0");
    let parameter = backend(b'S', b"application_name\0flood\0");
    for flood in [notice, parameter] {
        let place = place();
        let script = async {
            let mut peer = Peer::accept(&place).await;
            peer.send(&backend(b'R', &[0; 4])).await;
            let lot = flood.repeat(100);
            while peer.send(&lot).await {}
        };
        let connect = Client::connect(&place.config);
        let ((), connected) = tokio::join!(script, connect);
        let error = connected.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Connect, "{error}");
    }
}
