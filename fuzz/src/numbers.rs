//! Numbers: whole, floating and exact.

use walproto::value::{FromColumn, Numeric, Xid8};
use walproto::{Column, Lsn, Oid, Xid};

use crate::printed::{printed, sound};

/// One value, read as each of the types in both forms.
pub fn numbers(data: &[u8]) {
    printed!(data, i16, i32, i64, Oid, Xid, Xid8, Lsn, Numeric<'_>);
    floating::<f32>(data);
    floating::<f64>(data);
    for column in [Column::Text(data), Column::Binary(data)] {
        if let Ok(number) = column.value() {
            exact(number);
        }
    }
}

/// Whatever a number is asked, it answers what its printed form says.
fn exact(number: Numeric<'_>) {
    let text = number.to_string();
    let again: Numeric<'_> = Column::Text(text.as_bytes())
        .value()
        .expect("it was printed");
    assert_eq!(number, again);
    assert_eq!(again.cmp(&number), std::cmp::Ordering::Equal);
    assert_eq!(number.scale(), again.scale());
    assert_eq!(number.is_negative(), text.starts_with('-'));
    if !number.is_finite() {
        assert!(number.unscaled().is_none() && number.to_i128().is_none());
        assert_eq!(number.digits().count(), 0);
        return;
    }
    let float: f64 = text.parse().expect("a number");
    assert_eq!(number.to_f64().to_bits(), float.to_bits(), "{text}");
    let printed: Vec<u8> = text.bytes().filter(u8::is_ascii_digit).collect();
    let digits: Vec<u8> = number.digits().map(|digit| b'0' + digit).collect();
    assert_eq!(digits, printed);
    let unscaled = text.replace('.', "").parse::<i128>().ok();
    assert_eq!(number.unscaled(), unscaled, "{text}");
    let (whole, fraction) = text.split_once('.').unwrap_or((&text, ""));
    let whole = whole.parse::<i128>().ok();
    let is_whole = fraction.bytes().all(|digit| digit == b'0');
    assert_eq!(number.to_i128(), whole.filter(|_| is_whole), "{text}");
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
