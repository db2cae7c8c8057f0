//! What a server does otherwise that is none of Microsoft's and speaks their protocol and language.
//!
//! Known from the source of Babelfish for PostgreSQL:
//!
//! * A parameter that is NULL has to have a type, which the driver writes for few of them: it stands in the statement
//!   ([`without_nulls`]).
//! * Decimals and times that are loaded in bulk arrive as other values: rows with these go by parameter ([`loads`]).
//! * Hints at tables are read and ignored, so that reading holds nothing: the position's row is written instead, as it is
//!   ([`holds_by_writing`]). Copies of several tables wait for each other there.
//! * An error of PostgreSQL's that has no number of SQL Server's has one and the same: its words tell it
//!   ([`Course::of_babelfish`](crate::error::codes::Course::of_babelfish)).

use std::borrow::Cow;

use super::server::Server;
use super::values::Sent;
use crate::destination::server::Lock;
use crate::dialect::sqlserver::types::Held;

/// How NULL is spelled. Of the type that the driver gives it elsewhere, from which everything can be converted.
const NULL: &str = "CAST(NULL AS nvarchar(4000))";

/// Whether rows of such columns can be loaded in bulk.
pub(super) fn loads(server: &Server, held: &[Held]) -> bool {
    !server.is_compatible() || !held.iter().any(Held::is_scaled)
}

/// Whether the position's row has to be written to be held so.
pub(super) fn holds_by_writing(server: &Server, lock: Lock) -> bool {
    server.is_compatible() && lock != Lock::Free
}

/// The statement with its parameters that are NULL spelled out; the others keep their numbers.
pub(super) fn without_nulls<'s, 'v>(
    sql: &'s str,
    values: Vec<Sent<'v>>,
) -> (Cow<'s, str>, Vec<Sent<'v>>) {
    if !values.iter().any(Sent::is_null) {
        return (Cow::Borrowed(sql), values);
    }
    let mut text = String::with_capacity(sql.len() + NULL.len() * values.len());
    let mut rest = sql;
    while let Some(at) = rest.find(['@', '[', '\'', '"']) {
        let (before, from) = rest.split_at(at);
        text.push_str(before);
        let length = match from.as_bytes().first() {
            Some(b'@') => from[1..]
                .find(|letter: char| !letter.is_ascii_alphanumeric())
                .map_or(from.len(), |length| length + 1),
            // One that is doubled ends one and begins the next.
            Some(b'[') => closed_by(from, ']'),
            Some(b'"') => closed_by(from, '"'),
            _ => closed_by(from, '\''),
        };
        let (token, behind) = from.split_at(length);
        let number: Option<usize> = token
            .strip_prefix("@P")
            .and_then(|number| number.parse().ok());
        let value = number.and_then(|number| values.get(number.checked_sub(1)?));
        text.push_str(if value.is_some_and(Sent::is_null) {
            NULL
        } else {
            token
        });
        rest = behind;
    }
    text.push_str(rest);
    let values = values.into_iter();
    let values = values.map(|value| if value.is_null() { Sent::UNUSED } else { value });
    (Cow::Owned(text), values.collect())
}

/// How long a name or a text is that begins here.
fn closed_by(text: &str, end: char) -> usize {
    text[1..].find(end).map_or(text.len(), |at| at + 2)
}

#[cfg(test)]
mod tests {
    use super::super::values::{number, ours, parameter};
    use super::*;
    use crate::destination::server::Cell;
    use crate::value::Value;

    #[test]
    fn a_null_stands_in_the_statement() {
        let sql = "UPDATE [a@P1]]@P2].[@P1] SET [x\"@P1] = CONVERT(int, @P1), y = @P12, \"@P2\" = N'it''s @P1' WHERE z = @P2 AND @@ROWCOUNT = 1";
        let mut values = vec![ours(&Cell::Null), number(7)];
        values.extend((3..12).map(number));
        values.push(parameter(&Value::Null));
        let (text, sent) = without_nulls(sql, values);
        assert_eq!(
            text,
            "UPDATE [a@P1]]@P2].[@P1] SET [x\"@P1] = CONVERT(int, CAST(NULL AS nvarchar(4000))), \
             y = CAST(NULL AS nvarchar(4000)), \"@P2\" = N'it''s @P1' WHERE z = @P2 AND @@ROWCOUNT = 1"
        );
        // As many as before, so that the others are found by their numbers, and none without a type.
        assert_eq!(sent.len(), 12);
        assert_eq!((&sent[0], &sent[1]), (&Sent::UNUSED, &number(7)));
        assert_eq!(sent[11], Sent::UNUSED);
        assert!(!sent.iter().any(Sent::is_null));

        let (text, sent) = without_nulls("SELECT @P1", vec![number(1)]);
        assert!(matches!(text, Cow::Borrowed("SELECT @P1")));
        assert_eq!(sent, [number(1)]);
    }
}
