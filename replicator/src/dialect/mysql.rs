//! MySQL's and MariaDB's SQL.

pub(crate) mod existing;
pub(crate) mod types;
