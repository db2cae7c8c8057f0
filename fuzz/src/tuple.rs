//! Rows.

use walproto::{Column, Decoder, Message};

/// One row, read by walproto and by the plainest code that does the same.
pub fn tuple(data: &[u8]) {
    for binary in [false, true] {
        let bytes = [&[b'I', 0, 0, 0, 1, b'N'], data].concat();
        let mut decoder = Decoder::new().binary(binary);
        let read = match decoder.decode(&bytes) {
            Ok(decoded) => match decoded.message {
                Message::Insert(insert) => Some(insert.new.columns().collect::<Vec<_>>()),
                other => panic!("an insert, not {other:?}"),
            },
            Err(_) => None,
        };
        assert_eq!(read, plain_row(data, binary));
    }
}

/// The columns of a row that takes up all of `data`.
fn plain_row(data: &[u8], binary: bool) -> Option<Vec<Column<'_>>> {
    let count = u16::from_be_bytes([*data.first()?, *data.get(1)?]);
    let mut at = 2;
    let mut columns = Vec::new();
    for _ in 0..count {
        let kind = *data.get(at)?;
        at += 1;
        if kind == b'n' || kind == b'u' {
            columns.push(if kind == b'n' {
                Column::Null
            } else {
                Column::Unchanged
            });
            continue;
        }
        let len = i32::from_be_bytes(data.get(at..at + 4)?.try_into().ok()?);
        at += 4;
        let value = data.get(at..at.checked_add(usize::try_from(len).ok()?)?)?;
        at += value.len();
        columns.push(match kind {
            b't' => Column::Text(value),
            b'b' if binary => Column::Binary(value),
            _ => return None,
        });
    }
    (at == data.len()).then_some(columns)
}
