//! What the tests stand on: real servers, captured WAL, and a writer of messages.
//!
//! Nothing in here reads or writes messages by `walproto` or `walstream`, so that each checks the other. Only the format
//! of capture files, which is no server's, is taken from there.

pub mod capture;
pub mod certificates;
mod client;
mod cluster;
mod example;
pub mod expected;
mod folder;
mod install;
mod mariadb;
mod pooler;
mod port;
mod process;
mod proxy;
pub mod random;
mod server;
mod sqlserver;
pub mod story;
mod surface;
mod url;
mod version;
pub mod walsender;
mod watchdog;
pub mod workload;
pub mod writer;

pub use capture::{Capture, Golden, captures};
pub use certificates::{Certificate, Certificates, Wish};
pub use client::{Client, ClientError, Next, Row, ServerError};
pub use example::example;
pub use install::{libpq, program};
pub use mariadb::{MariaDb, MariaDbBuilder, MariaDbClient};
pub use pooler::Pooler;
pub use proxy::Proxy;
pub use server::{Builder, Server};
pub use sqlserver::{SqlServerClient, SqlServerDatabase};
pub use surface::check_surface;
pub use version::Version;
