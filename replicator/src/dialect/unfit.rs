//! Why a table of somebody else's cannot hold our rows: the same words for every product.

use crate::error::Error;
use crate::table::{Column, Table};

/// It lacks a column.
#[cold]
pub(crate) fn no_column(table: &Table, ours: &Column) -> Error {
    Error::person(format!(
        "the destination's table {} has no column {}",
        table.destination, ours.name
    ))
    .with_hint("add it, or drop the table and let us make it")
}

/// The server fills a column by itself: `how`.
#[cold]
pub(crate) fn generated(table: &Table, ours: &Column, how: &str) -> Error {
    Error::person(format!(
        "column {} of the destination's table {} is {how}, and takes no values",
        ours.name, table.destination
    ))
    .with_hint("make it an ordinary column, or leave it out of the publication")
}

/// A column is declared as something that loses values; we would declare it otherwise.
#[cold]
pub(crate) fn too_narrow(table: &Table, ours: &Column, declared: &str, wanted: &str) -> Error {
    Error::person(format!(
        "column {} of the destination's table {} is {declared}, which does not hold every value of the source unchanged",
        ours.name, table.destination
    ))
    .with_hint(format!("make it {wanted}, or drop the table and let us make it"))
}

/// A column by which rows are found has a collation for which different texts are equal.
#[cold]
pub(crate) fn merges(table: &Table, ours: &Column, collation: &str) -> Error {
    Error::person(format!(
        "rows of the destination's table {} are found by column {}, whose collation {collation} calls different texts equal",
        table.destination, ours.name
    ))
}

/// It has a column more that must have a value.
#[cold]
pub(crate) fn needs_more(table: &Table, column: &str) -> Error {
    Error::person(format!(
        "column {column} of the destination's table {} must not be NULL, and the source has no value for it",
        table.destination
    ))
    .with_hint("give it a default, or allow NULL")
}
