//! What a scripted server in a test sends and hears.

use testdata::writer::{self, Value};
use tokio::io::{AsyncRead, AsyncReadExt};

pub(crate) fn copy_data(frame: &[u8]) -> Vec<u8> {
    let length = u32::try_from(frame.len() + 4).unwrap();
    [b"d", &length.to_be_bytes()[..], frame].concat()
}

pub(crate) fn message(message: &[u8]) -> Vec<u8> {
    copy_data(&writer::wal_data(0, 0, 0, message))
}

fn relation() -> Vec<u8> {
    let column = writer::Column {
        flags: 1,
        name: "id",
        type_oid: 25,
        typmod: -1,
    };
    message(&writer::relation(None, 1, "public", "t", b'd', &[column]))
}

pub(crate) fn insert(value: &str) -> Vec<u8> {
    message(&writer::insert(None, 1, &[Value::text(value)]))
}

pub(crate) fn whole(commit: u64, rows: &[Vec<u8>]) -> Vec<u8> {
    let mut bytes = message(&writer::begin(commit, 0, 700));
    bytes.extend(relation());
    rows.iter().for_each(|row| bytes.extend(row));
    bytes.extend(message(&writer::commit(0, commit, commit + 8, 0)));
    bytes
}

/// The next status update that the client sends: flushed position, and whether it wants an answer.
pub(crate) async fn update(server: &mut (impl AsyncRead + Unpin)) -> (u64, bool) {
    assert_eq!(server.read_u8().await.unwrap(), b'd');
    assert_eq!(server.read_u32().await.unwrap(), 4 + 34);
    assert_eq!(server.read_u8().await.unwrap(), b'r');
    server.read_u64().await.unwrap();
    let flushed = server.read_u64().await.unwrap();
    server.read_u64().await.unwrap();
    server.read_u64().await.unwrap();
    (flushed, server.read_u8().await.unwrap() == 1)
}
