//! Whether a column of somebody else's is wide enough: gives back every value of the source's with the same text.

use walproto::Oid;

use super::types::{BuiltIn, modifier_keeps};
use crate::dialect::text::{longest, numeric_modifier, own_typmod};
use crate::table::Column;

/// Numbers below are the server's own, the same everywhere.
const FIRST_NORMAL_OID: u32 = 16384;

/// `VARHDRSZ`, which the modifier of a `varchar` has on top.
const HEADER: i32 = 4;

/// Whether a column of the type `base` (domains resolved) with the modifier `typmod` keeps every value of `ours`.
pub(crate) fn keeps(ours: &Column, base: Oid, typmod: i32) -> bool {
    let Some(found) = BuiltIn::of(base) else {
        // A type of the destination's own reads the text of one of the source's own; labels are not looked at.
        return ours.base_oid.0 >= FIRST_NORMAL_OID && base.0 >= FIRST_NORMAL_OID;
    };
    let Some(held) = BuiltIn::of(ours.base_oid) else {
        return is_text(found, typmod, longest(ours));
    };
    if held == found && modifier_keeps(held.name, own_typmod(ours), typmod) {
        return true;
    }
    if held.array || found.array {
        return is_text(found, typmod, None);
    }
    match (held.name, found.name) {
        ("int2", "int4" | "int8")
        | ("int4" | "oid", "int8")
        | ("float4", "float8")
        | ("jsonb", "json") => true,
        ("int2", "numeric") => is_whole(typmod, 5),
        ("int4", "numeric") => is_whole(typmod, 10),
        ("int8", "numeric") => is_whole(typmod, 19),
        ("bit", "varbit") => typmod < 0 || typmod >= own_typmod(ours),
        _ => is_text(found, typmod, longest(ours)),
    }
}

/// Whether it is a text that holds so many characters, without a bound any.
fn is_text(found: BuiltIn, typmod: i32, characters: Option<usize>) -> bool {
    if found.array || !matches!(found.name, "text" | "varchar") {
        return false;
    }
    let room = usize::try_from(typmod - HEADER).ok();
    typmod < 0
        || room
            .zip(characters)
            .is_some_and(|(room, characters)| room >= characters)
}

/// Whether a `numeric` prints whole numbers of so many digits as they are.
fn is_whole(typmod: i32, digits: u16) -> bool {
    numeric_modifier(typmod).is_none_or(|(precision, scale)| scale == 0 && precision >= digits)
}

#[cfg(test)]
mod round_trip;
#[cfg(test)]
mod tests;
