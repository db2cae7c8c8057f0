//! Text, byte strings, uuids and json.

use walproto::Column;
use walproto::value::{Bytea, Char, Json, Uuid};

use crate::printed::{printed, sound};

/// One value, read as each of the types in both forms.
pub fn strings(data: &[u8]) {
    printed!(data, Uuid);
    for column in [Column::Text(data), Column::Binary(data)] {
        match column.value::<&str>() {
            Ok(text) => assert_eq!(text.as_bytes(), data),
            Err(error) => {
                sound(error, data);
                assert!(std::str::from_utf8(data).is_err());
            }
        }
        match column.value::<Bytea<'_>>() {
            Ok(bytea) => bytes(bytea),
            Err(error) => sound(error, data),
        }
        if let Err(error) = column.value::<Json<'_>>() {
            sound(error, data);
        }
        if let Err(error) = column.value::<Char>() {
            sound(error, data);
        }
    }
}

/// Every way to take the bytes comes to the same, and they are read again from hex.
fn bytes(bytea: Bytea<'_>) {
    let all: Vec<u8> = bytea.bytes().collect();
    assert_eq!(all.len(), bytea.len());
    let mut out = vec![0; bytea.len()];
    assert_eq!(bytea.decode_into(&mut out), Ok(&all[..]));
    if let Some(slice) = bytea.as_slice() {
        assert_eq!(slice, all);
    }
    let hex: String = all.iter().map(|byte| format!("{byte:02x}")).collect();
    let hex = format!("\\x{hex}");
    let again: Bytea<'_> = Column::Text(hex.as_bytes()).value().expect("hex");
    assert!(again.bytes().eq(all.iter().copied()));
}
