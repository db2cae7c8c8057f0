//! A walsender that floods: it says what a client must hear before streaming, and then runs a script on a thread.

use std::io::{self, BufWriter, Read, Write};
use std::os::unix::net::{UnixListener, UnixStream};
use std::thread::JoinHandle;

use testdata::writer::{self, Column, Value};
use walstream::Config;

/// A server for one connection.
pub(crate) struct Walsender {
    pub(crate) config: Config,
    thread: JoinHandle<io::Result<()>>,
    _folder: tempfile::TempDir,
}

impl Walsender {
    /// Runs `script` once a client streams, and then stays until the client has left. Rows have a text of so many
    /// characters.
    pub(crate) fn run(
        text: usize,
        script: impl FnOnce(&mut Wire) -> io::Result<()> + Send + 'static,
    ) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let listener = UnixListener::bind(folder.path().join(".s.PGSQL.5432")).unwrap();
        let config = Config::new(folder.path().to_str().unwrap(), "me");
        let thread = std::thread::spawn(move || {
            let (socket, _) = listener.accept()?;
            log_in(&socket)?;
            let mut hearing = socket.try_clone()?;
            let feedback = std::thread::spawn(move || {
                // As it is with a client that leaves without a goodbye.
                let _ = io::copy(&mut hearing, &mut io::sink());
            });
            let mut wire = Wire {
                socket: BufWriter::with_capacity(256 << 10, socket),
                text,
            };
            script(&mut wire)?;
            wire.socket.flush()?;
            feedback.join().expect("it only reads");
            Ok(())
        });
        Self {
            config,
            thread,
            _folder: folder,
        }
    }

    /// After the client has left: whether everything was sent.
    pub(crate) fn join(self) {
        self.thread.join().unwrap().unwrap();
    }
}

fn log_in(mut socket: &UnixStream) -> io::Result<()> {
    read(socket)?;
    let login = [
        backend(b'R', &[0; 4]),
        backend(b'S', b"server_version\x0017.5\0"),
        backend(b'K', &[0, 0, 0, 7, 0, 0, 0, 9]),
        backend(b'Z', b"I"),
    ];
    socket.write_all(&login.concat())?;
    loop {
        socket.read_exact(&mut [0])?;
        let text = String::from_utf8(read(socket)?).unwrap();
        if text.contains("START_REPLICATION") {
            return socket.write_all(&backend(b'W', &[0; 3]));
        }
        let answer = if text.contains("pg_replication_slots") {
            rows(
                &["slot_name", "plugin", "database"],
                &["s", "pgoutput", "me"],
            )
        } else if text.contains("pg_publication") {
            rows(&["pubname"], &["p"])
        } else {
            end()
        };
        socket.write_all(&answer)?;
    }
}

/// What follows a length that counts itself.
fn read(mut socket: &UnixStream) -> io::Result<Vec<u8>> {
    let mut length = [0; 4];
    socket.read_exact(&mut length)?;
    let mut text = vec![0; u32::from_be_bytes(length) as usize - 4];
    socket.read_exact(&mut text)?;
    Ok(text)
}

fn backend(tag: u8, body: &[u8]) -> Vec<u8> {
    let length = u32::try_from(body.len() + 4).unwrap().to_be_bytes();
    [&[tag], &length[..], body].concat()
}

/// An answer of one row.
fn rows(names: &[&str], values: &[&str]) -> Vec<u8> {
    let count = u16::try_from(names.len()).unwrap().to_be_bytes();
    let (mut description, mut row) = (count.to_vec(), count.to_vec());
    for (name, value) in names.iter().zip(values) {
        description.extend([name.as_bytes(), &[0; 19]].concat());
        row.extend(u32::try_from(value.len()).unwrap().to_be_bytes());
        row.extend(value.as_bytes());
    }
    [backend(b'T', &description), backend(b'D', &row), end()].concat()
}

fn end() -> Vec<u8> {
    [backend(b'C', b"SELECT 1\0"), backend(b'Z', b"I")].concat()
}

/// Where a script writes.
pub(crate) struct Wire {
    socket: BufWriter<UnixStream>,
    text: usize,
}

impl Wire {
    pub(crate) fn send(&mut self, message: &[u8]) -> io::Result<()> {
        let frame = writer::wal_data(0, 0, 0, message);
        self.socket.write_all(&backend(b'd', &frame))
    }

    pub(crate) fn relation(&mut self, xid: Option<u32>) -> io::Result<()> {
        let column = |name| Column {
            flags: 1,
            name,
            type_oid: 25,
            typmod: -1,
        };
        let columns = [column("id"), column("v")];
        self.send(&writer::relation(xid, 1, "public", "t", b'd', &columns))
    }

    /// Rows with these ids.
    pub(crate) fn rows(&mut self, xid: Option<u32>, ids: std::ops::Range<u32>) -> io::Result<()> {
        let text = "x".repeat(self.text);
        let values = [Value::text("00000000"), Value::text(&text)];
        let message = writer::wal_data(0, 0, 0, &writer::insert(xid, 1, &values));
        let mut row = backend(b'd', &message);
        // The last column has a header of five bytes, and the id lies before it.
        let at = row.len() - text.len() - 5 - 8;
        for id in ids {
            write!(&mut row[at..], "{id:08}")?;
            self.socket.write_all(&row)?;
        }
        Ok(())
    }
}
