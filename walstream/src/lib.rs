//! PostgreSQL logical replication client for tokio: whole transactions, positions that never lie.

mod auth;
mod channel;
mod client;
mod command;
mod config;
mod connect;
mod conninfo;
mod error;
mod row;
mod server_error;
mod slot;
mod system;
mod version;

pub use walproto;

pub use client::{Client, CopyOut};
pub use command::{SlotOptions, Snapshot, StreamOptions, Streaming, quote_identifier, quote_literal};
pub use config::{Config, Host};
pub use error::{Error, ErrorKind, Result};
pub use row::Row;
pub use server_error::ServerError;
pub use slot::{CreatedSlot, Slot, SlotState};
pub use system::{SystemIdentity, TimelineSwitch};
pub use version::ServerVersion;
