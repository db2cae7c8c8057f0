//! Values on their way to the server and back.

use mysql_async::Value as Sent;

use crate::value::Value;

/// As a parameter: texts and bytes in the form that the server takes both in.
pub(super) fn parameter(value: &Value) -> Sent {
    match value {
        Value::Null => Sent::NULL,
        Value::Integer(number) => Sent::Int(*number),
        Value::Real(number) => Sent::Double(*number),
        Value::Text(text) => Sent::Bytes(text.as_bytes().to_vec()),
        Value::Blob(bytes) => Sent::Bytes(bytes.clone()),
    }
}

/// About how many bytes a parameter has on its way.
pub(super) fn size(value: &Value) -> usize {
    /// Its type, its length or its number.
    const ABOUT: usize = 11;
    ABOUT
        + match value {
            Value::Text(text) => text.len(),
            Value::Blob(bytes) => bytes.len(),
            _ => 0,
        }
}
