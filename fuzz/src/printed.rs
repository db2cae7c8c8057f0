//! What holds for every type whose values print as the server prints them.

/// Reads bytes as a value in either form; what it prints is read as the same value, and printed the same.
macro_rules! printed {
    ($data:expr, $($ty:ty),+ $(,)?) => {$(
        for column in [walproto::Column::Text($data), walproto::Column::Binary($data)] {
            match column.value::<$ty>() {
                Ok(value) => {
                    let text = value.to_string();
                    match walproto::Column::Text(text.as_bytes()).value::<$ty>() {
                        Ok(again) => assert_eq!(again.to_string(), text, "{column:?}"),
                        Err(error) => panic!("{column:?} prints as {text:?}: {error}"),
                    }
                }
                Err(error) => $crate::printed::sound(error, $data),
            }
        }
    )+};
}
pub(crate) use printed;

use walproto::value::ValueError;

/// An error points into the value and has words.
pub(crate) fn sound(error: ValueError, data: &[u8]) {
    assert!(error.offset as usize <= data.len(), "{error}");
    assert!(!error.to_string().is_empty());
}
