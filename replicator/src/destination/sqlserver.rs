//! A session at a Microsoft SQL Server, an Azure SQL database, or a server that speaks their protocol and language.
//!
//! tiberius speaks TDS; the connection under it is ours ([`wire`]), so that TLS is the one of the whole build. Settings
//! that shape values or bound waiting are our session's own, whatever login and database say. An exchange that was
//! interrupted or not answered leaves a session of no use, and it says so; the next one is opened anew.

mod failure;
mod server;
mod session;
mod trust;
mod url;
mod values;
mod watch;
mod wire;

#[cfg(test)]
mod tests;
