//! Numbers: whole, floating and exact.

use walproto::value::{FromColumn, Xid8};
use walproto::{Column, Lsn, Oid, Xid};

use crate::printed::{printed, sound};

/// One value, read as each of the types in both forms.
pub fn numbers(data: &[u8]) {
    printed!(data, i16, i32, i64, Oid, Xid, Xid8, Lsn);
    floating::<f32>(data);
    floating::<f64>(data);
}

/// Rust prints infinities in other words than the server, and reads the server's.
fn floating<T>(data: &[u8])
where
    T: for<'a> FromColumn<'a> + std::str::FromStr<Err: std::fmt::Debug> + Copy + Into<f64>,
{
    match Column::Text(data).value::<T>() {
        Ok(value) => {
            let text = std::str::from_utf8(data).expect("a number is ASCII");
            let again: T = text.parse().expect("what we read, Rust reads");
            let (value, again): (f64, f64) = (value.into(), again.into());
            assert!(
                value.to_bits() == again.to_bits() || (value.is_nan() && again.is_nan()),
                "{text:?} is {value:?} and {again:?}"
            );
        }
        Err(error) => sound(error, data),
    }
    match Column::Binary(data).value::<T>() {
        Ok(_) => assert_eq!(data.len(), size_of::<T>()),
        Err(error) => sound(error, data),
    }
}
