//! MySQL's and MariaDB's SQL.

pub(crate) mod types;
