//! Values of every shape.

use core::fmt::{Debug, Write};

use walproto::value::{
    Array, BitString, Bytea, Char, Cidr, Composite, Date, FromColumn, Inet, Interval, Json,
    LocalTimestamp, MacAddr, MacAddr8, Multirange, Numeric, Quoted, Range, Time, TimeTz, Uuid,
    Xid8,
};
use walproto::{Column, Lsn, Oid, Timestamp, Xid};

use crate::Counter;

/// Reads the column as everything it might be, and prints what it is or why it is not.
pub(crate) fn read(column: Column<'_>) -> usize {
    let mut text = Counter(0);
    show::<(bool, i16, i32, i64)>(column, &mut text);
    show::<(f32, f64, Oid, Char)>(column, &mut text);
    show::<(Xid, Xid8, Lsn, Timestamp)>(column, &mut text);
    show::<(&str, Quoted<'_>, Json<'_>, Uuid)>(column, &mut text);
    show::<(Date, Time, TimeTz, LocalTimestamp, Interval)>(column, &mut text);
    show::<(Inet, Cidr, MacAddr, MacAddr8)>(column, &mut text);
    show::<(Bytea<'_>, &[u8], BitString<'_>)>(column, &mut text);
    show::<Numeric<'_>>(column, &mut text);
    show::<Array<'_>>(column, &mut text);
    show::<Composite<'_>>(column, &mut text);
    show::<Range<Option<i32>>>(column, &mut text);
    show::<Multirange<'_>>(column, &mut text);
    if let Ok(array) = column.value::<Array<'_>>() {
        for value in array.values::<Quoted<'_>>() {
            let _ = write!(text, "{value:?}");
        }
    }
    if let Ok(number) = column.value::<Numeric<'_>>() {
        let (double, whole) = (number.to_f64(), number.unscaled());
        let _ = write!(text, "{number} {double} {whole:?}");
        text.0 += number.digits().count();
    }
    if let Ok(bytes) = column.value::<Bytea<'_>>() {
        text.0 += bytes.decode_into(&mut [0; 64]).map_or(0, |some| some.len());
    }
    text.0
}

fn show<'a, T: FromColumn<'a> + Debug>(column: Column<'a>, text: &mut Counter) {
    match column.value::<T>() {
        Ok(value) => drop(write!(text, "{value:?}")),
        Err(error) => drop(write!(text, "{error}")),
    }
}
