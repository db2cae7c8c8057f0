//! MySQL's and MariaDB's SQL.

pub(crate) mod existing;
#[cfg(test)]
mod matrix;
pub(crate) mod types;
