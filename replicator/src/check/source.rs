//! The source: whether it can be reached, over both kinds of connection, what it is, and who we are there.

use walstream::{Client, ErrorKind, SystemIdentity, quote_identifier};

use super::finding::{Finding, Mend, Report, with_causes};
use super::service::Service;
use crate::config::Config;
use crate::error::{Error, Result};
use crate::source::{Source, missing_field};

/// Sessions at the source, which can only read.
#[derive(Debug)]
pub(super) struct Reached {
    pub(super) source: Source,
    /// The session for replication, if there could be one.
    pub(super) wire: Option<Client>,
    pub(super) system: Option<SystemIdentity>,
    pub(super) service: Service,
    pub(super) role: String,
    pub(super) database: String,
    pub(super) major: u32,
}

/// What is asked over a session for SQL.
const ASKED: [&str; 21] = [
    "source.version",
    "source.pooler",
    "source.primary",
    "source.role",
    "source.slot",
    "source.transactions",
    "source.wal_level",
    "source.slots",
    "source.walsenders",
    "source.max_slot_wal_keep_size",
    "source.idle_replication_slot_timeout",
    "source.wal_sender_timeout",
    "source.output_plugin_libraries",
    "source.logical_decoding_work_mem",
    "source.failover",
    "source.protocol",
    "source.publication",
    "source.tables",
    "source.replica_identity",
    "source.toast",
    "source.partitions",
];

/// SQLSTATE of a startup packet that is not understood. PostgreSQL never says so of ours.
const NOT_UNDERSTOOD: &str = "08P01";

/// Opens both sessions.
pub(super) async fn reach(config: &Config, report: &mut Report) -> Option<Reached> {
    let connection = match config.connection() {
        Ok(connection) => connection,
        Err(error) => {
            report.add(Finding::of("source.url", &error));
            report.unasked(&["source.reachable"], "the source's URL cannot be read");
            report.unasked(&ASKED, "the source's URL cannot be read");
            return None;
        }
    };
    report.add(Finding::ok("source.url", "the source's URL can be read"));
    let client = match Client::connect(&connection).await {
        Ok(client) => client,
        Err(error) => {
            report.add(unreachable("source.reachable", error, &connection));
            report.unasked(&ASKED, "the source could not be reached");
            return None;
        }
    };
    let version = client.server_version();
    let (role, database) = (connection.user().to_owned(), client.database().to_owned());
    report.add(Finding::ok(
        "source.reachable",
        format!(
            "database {database:?} at {}, as role {role:?}",
            place(&client)
        ),
    ));
    report.add(Finding::ok(
        "source.version",
        format!("PostgreSQL {version}; 14 and later will do"),
    ));
    let mut reached = Reached {
        source: Source::new(client).selecting(&config.selection),
        wire: None,
        system: None,
        service: Service::Own,
        role,
        database,
        major: version.major(),
    };
    if let Err(error) = reached.settle().await {
        report.add(Finding::of("source.reachable", &error));
        report.unasked(&ASKED[1..], "the source's session was of no use");
        return None;
    }
    match Client::connect_replication(&connection).await {
        Ok(mut wire) => {
            match wire.identify_system().await {
                Ok(system) => reached.system = Some(system),
                Err(error) => report.add(Finding::of("source.replication", &error.into())),
            }
            reached.wire = Some(wire);
        }
        Err(error) => not_replicated(&reached, error, &connection, report),
    }
    Some(reached)
}

impl Reached {
    /// Nothing can be written, nothing is waited for, and we know who we are.
    async fn settle(&mut self) -> Result<()> {
        self.source.do_not_wait_for_locks().await?;
        let client = self.source.client();
        client
            .execute("SET default_transaction_read_only = on")
            .await?;
        let rows = client.query("SELECT current_user").await?;
        let role = rows.first().and_then(|row| row.get(0));
        role.ok_or_else(|| missing_field(0))?
            .clone_into(&mut self.role);
        self.service = Service::of(client).await?;
        Ok(())
    }

    /// The one row of a query.
    pub(super) async fn row(&mut self, sql: &str) -> Result<walstream::Row> {
        let mut rows = self.source.client().query(sql).await?;
        rows.pop().ok_or_else(|| missing_field(0))
    }

    pub(super) fn quoted_role(&self) -> String {
        quote_identifier(&self.role)
    }
}

/// Looks at what is at the other end.
pub(super) async fn look(reached: &mut Reached, config: &Config, report: &mut Report) {
    let found = pooler(reached).await;
    report.take("source.pooler", found);
    let found = primary(reached).await;
    report.take("source.primary", found);
    if reached.wire.is_some() {
        let service = reached.service.name();
        let at = service.map(|name| format!("; the server is run by {name}"));
        report.add(Finding::ok(
            "source.role",
            format!(
                "role {:?} may open sessions for replication{}",
                reached.role,
                at.unwrap_or_default()
            ),
        ));
    }
    match &reached.wire {
        Some(wire) => {
            let options = crate::start::stream_options(config, wire, &config.publications());
            report.add(match options.check(wire.server_version()) {
                Ok(()) => Finding::ok(
                    "source.protocol",
                    format!(
                        "protocol {}, streaming {}",
                        options.protocol.unwrap_or_default(),
                        match options.streaming {
                            walstream::Streaming::Off => "off",
                            walstream::Streaming::On => "on",
                            walstream::Streaming::Parallel => "parallel",
                        }
                    ),
                ),
                Err(error) => {
                    Finding::of("source.protocol", &error.into()).mended_by([Mend::option(
                        format!("--protocol {}", wire.server_version().protocol()),
                    )])
                }
            });
        }
        None => report.unasked(
            &["source.protocol"],
            "no session for replication could be opened",
        ),
    }
}

/// A pooler has sessions of its own, and gives out numbers of its own for them.
async fn pooler(reached: &mut Reached) -> Result<Vec<Finding>> {
    let ours = reached.source.client().process_id();
    let sql = "SELECT pg_backend_pid(), host(inet_server_addr()), coalesce(inet_server_port()::text, current_setting('port'))";
    let row = reached.row(sql).await?;
    let theirs = row.get(0).unwrap_or_default();
    if theirs == ours.to_string() {
        return Ok(vec![Finding::ok(
            "source.pooler",
            "nothing between us and the server has sessions of its own",
        )]);
    }
    let port = row.get(2).unwrap_or_default();
    let address = match row.get(1) {
        Some(host) => format!("host={host} port={port}"),
        None => format!("a socket on its machine, and port {port}"),
    };
    let what = format!(
        "a pooler is in between: the session that we were given has number {ours}, and the server calls it {theirs}"
    );
    let mend = Mend::hand(format!(
        "name the server itself in --source; the pooler reaches it at {address}"
    ));
    let found = if reached.wire.is_some() {
        let what = format!(
            "{what}; it passes replication on, and must keep a session for as long as we have it"
        );
        Finding::warning("source.pooler", what)
    } else {
        Finding::wrong("source.pooler", what)
    };
    Ok(vec![found.mend(mend)])
}

async fn primary(reached: &mut Reached) -> Result<Vec<Finding>> {
    let row = reached.row("SELECT pg_is_in_recovery()").await?;
    if row.get(0) != Some("t") {
        return Ok(vec![Finding::ok(
            "source.primary",
            "the source is a primary",
        )]);
    }
    // The very question that a run asks, with the answer that ends it.
    Ok(match reached.source.insert_lsn().await {
        Err(error) => vec![
            Finding::wrong(
                "source.primary",
                format!(
                    "the source is a standby, which a run cannot start from: {}",
                    with_causes(&error)
                ),
            )
            .mend(Mend::option(
                "--source with the primary, or with all hosts and target_session_attrs=primary",
            )),
        ],
        Ok(_) => vec![Finding::ok(
            "source.primary",
            "the source was a standby when it was asked, and is a primary now",
        )],
    })
}

/// Host and port, or the folder of the socket.
fn place(client: &Client) -> String {
    let endpoint = client.endpoint();
    match endpoint.host() {
        walstream::Host::Tcp(host) => format!("{host}:{}", endpoint.port()),
        walstream::Host::Unix(folder) => format!("{}, port {}", folder.display(), endpoint.port()),
        walstream::Host::Abstract(name) => format!("@{name}, port {}", endpoint.port()),
        _ => format!("the local socket, port {}", endpoint.port()),
    }
}

/// Why there is no session.
fn unreachable(
    id: &'static str,
    error: walstream::Error,
    connection: &walstream::Config,
) -> Finding {
    let (kind, state) = (error.kind(), error.sqlstate().map(str::to_owned));
    let error = Error::from(error);
    match (kind, state.as_deref()) {
        (_, Some(NOT_UNDERSTOOD)) => Finding::of("source.pooler", &error)
            .mended_by([Mend::hand("name the server itself in --source, not a pooler")]),
        (ErrorKind::Authentication, Some("28000")) => {
            Finding::of(id, &error).mended_by(let_in(connection))
        }
        (ErrorKind::Authentication, Some("28P01")) => Finding::of(id, &error).mended_by([
            Mend::hand("correct the password in --source, PGPASSWORD or ~/.pgpass; or give the role another:"),
            Mend::source(format!("ALTER ROLE {} PASSWORD '…'", quote_identifier(connection.user()))),
        ]),
        (ErrorKind::Unsupported, _) => Finding::of("source.version", &error),
        _ => Finding::of(id, &error),
    }
}

/// The line that lets us in; SQLSTATE 28000 says no more than that none does, or that the role is not one to log in.
fn let_in(connection: &walstream::Config) -> Vec<Mend> {
    let (role, database) = (connection.user(), connection.database());
    let (role, database) = (quote_identifier(role), quote_identifier(database));
    vec![
        Mend::hand(format!(
            "see that the role is there and may log in: CREATE ROLE {role} LOGIN REPLICATION, or ALTER ROLE {role} LOGIN"
        )),
        Mend::hand(format!(
            "put a line into pg_hba.conf above those that refuse, with the address of this machine as the server sees it: \
             hostssl {database} {role} ADDRESS/32 scram-sha-256 (host where sslmode does not ask for TLS; it counts for replication too)"
        )),
        Mend::source("SELECT pg_reload_conf()"),
    ]
}

/// Why there is no session for replication although there is one for SQL.
fn not_replicated(
    reached: &Reached,
    error: walstream::Error,
    connection: &walstream::Config,
    report: &mut Report,
) {
    match (error.kind(), error.sqlstate()) {
        (ErrorKind::Rights, _) => {
            let error = Error::from(error);
            let mend = reached.service.grant_replication(&reached.role);
            report.add(Finding::of("source.role", &error).mended_by([mend]));
        }
        (ErrorKind::TooManyConnections, _) => {
            report.add(Finding::of("source.walsenders", &error.into()));
            report.unasked(&["source.role"], "the server has no WAL sender to spare");
        }
        _ => {
            report.add(unreachable("source.replication", error, connection));
            report.unasked(
                &["source.role"],
                "no session for replication could be opened, for another reason than rights",
            );
        }
    }
}
