//! A row into a type of our own.

use core::fmt::Write;

use serde::Deserialize;
use walproto::value::Uuid;
use walproto::{Relation, Sent, Tuple};

use crate::Counter;

#[derive(Debug, Deserialize)]
#[expect(dead_code, reason = "they are printed")]
struct Account<'a> {
    id: i64,
    #[serde(borrow)]
    owner: Option<&'a str>,
    key: Uuid,
    picture: Sent<&'a [u8]>,
    limits: [Option<i32>; 3],
    state: State,
}

#[derive(Debug, Deserialize)]
enum State {
    Open,
    Closed,
}

/// The length of the account, printed, or of why it is none.
pub(crate) fn account<'a>(row: Tuple<'a>, relation: &Relation<'a>) -> usize {
    let mut text = Counter(0);
    match row.deserialize::<Account<'_>>(relation) {
        Ok(account) => drop(write!(text, "{account:?}")),
        Err(error) => drop(write!(text, "{error} {error:?}")),
    }
    text.0
}
