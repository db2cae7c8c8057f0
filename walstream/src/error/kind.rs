//! The kinds of errors: which of them pass by themselves, and what helps against the others.

/// What kind of thing went wrong.
///
/// Kinds follow from what the server was asked for, the SQLSTATE of its answer, and what its catalog shows then:
///
/// | while | SQLSTATE | and | kind | passes | what to do |
/// |---|---|---|---|---|---|
/// | connecting | none | no answer, no such host | [`Connect`](Self::Connect) | yes | start the server, correct host and port |
/// | connecting | 28P01 | | [`Authentication`](Self::Authentication) | no | correct the password |
/// | connecting | 28000 | no line of `pg_hba.conf` fits or it says `reject`; `hostssl` without TLS; role missing or NOLOGIN | [`Authentication`](Self::Authentication) | no | `pg_hba.conf`, CREATE ROLE, or ask for TLS |
/// | connecting | 3D000 | | [`DatabaseMissing`](Self::DatabaseMissing) | no | correct the database |
/// | connecting | 42501 | for replication | [`Rights`](Self::Rights) | no | ALTER ROLE … REPLICATION |
/// | connecting | 42501 | for SQL | [`Rights`](Self::Rights) | no | GRANT CONNECT |
/// | connecting | 53300 | for replication | [`TooManyConnections`](Self::TooManyConnections) | yes | `max_wal_senders`, CONNECTION LIMIT |
/// | connecting | 53300 | for SQL | [`TooManyConnections`](Self::TooManyConnections) | yes | `max_connections`, `superuser_reserved_connections`, from 16 on `reserved_connections`, CONNECTION LIMIT |
/// | connecting | 57P03 | starting, stopping, recovering | [`ServerShutdown`](Self::ServerShutdown) | yes | wait |
/// | connecting | 55000 | the database takes no connections | [`Server`](Self::Server) | no | ALTER DATABASE … ALLOW_CONNECTIONS true |
/// | connecting | 42704, 22023, 55P02, 42601 | a setting in `options` | [`Config`](Self::Config) | no | correct it |
/// | connecting | 08P01 | a pooler that knows no replication, or none of our settings | [`Unsupported`](Self::Unsupported) | no | connect to the server itself |
/// | any time | 57P01, 57P02 | shutdown, `pg_terminate_backend`, a slot given up while it was read | [`ServerShutdown`](Self::ServerShutdown) | yes | connect again; that tells |
/// | any time | 57P04 | | [`DatabaseMissing`](Self::DatabaseMissing) | no | another database |
/// | any time | none | the connection ends | [`ConnectionClosed`](Self::ConnectionClosed) | yes | connect again |
/// | making a slot | 42710 | | [`SlotExists`](Self::SlotExists) | no | another name, or use that slot |
/// | making a slot | 53400, 55000 | all are taken, or `max_replication_slots` is 0 | [`TooManySlots`](Self::TooManySlots) | no | drop some, or raise `max_replication_slots` |
/// | making a slot, starting | 55000 | `wal_level` here, or on a standby that of the primary | [`WalLevel`](Self::WalLevel) | no | `wal_level = logical` |
/// | dropping a slot over SQL | 42501 | | [`Rights`](Self::Rights) | no | ALTER ROLE … REPLICATION |
/// | making a slot, starting | 0A000 | a standby before 16 | [`Unsupported`](Self::Unsupported) | no | connect to the primary |
/// | starting, altering, dropping | 42704, or the catalog | | [`SlotMissing`](Self::SlotMissing) | no | make it and copy again |
/// | starting, altering, dropping | 55006 | | [`SlotInUse`](Self::SlotInUse) | yes | end its holder, who is named |
/// | starting | 55000, or the catalog | `invalidation_reason` (17), `conflicting` (16), `wal_status` | [`SlotLost`](Self::SlotLost) | no | by reason; make it and copy again |
/// | starting | the catalog | another database | [`SlotWrongDatabase`](Self::SlotWrongDatabase) | no | connect there |
/// | starting | the catalog | physical, or another plugin | [`SlotWrongPlugin`](Self::SlotWrongPlugin) | no | another slot |
/// | starting | the catalog | a standby's copy of a slot of its primary, 17 | [`SlotSynced`](Self::SlotSynced) | no | stream from the primary, or promote |
/// | starting | the catalog | a publication | [`PublicationMissing`](Self::PublicationMissing) | no | create it, and the slot after it |
/// | connecting a stream | the catalog | its `confirmed_flush_lsn` lies behind the position | [`SlotAhead`](Self::SlotAhead) | no | copy again |
/// | connecting a stream again | IDENTIFY_SYSTEM | another system identifier | [`OtherSystem`](Self::OtherSystem) | no | correct the host |
/// | connecting a stream | IDENTIFY_SYSTEM, TIMELINE_HISTORY | the log or the timeline ends before the position | [`Diverged`](Self::Diverged) | no | compare, or copy again |
/// | connecting a stream again | IDENTIFY_SYSTEM | another timeline, with `Failover::Stop` | [`Promoted`](Self::Promoted) | no | see that it is the source, start again |
/// | streaming | 42704 | a publication, before 18; from 18 on the server is silent | [`PublicationMissing`](Self::PublicationMissing) | no | the same |
/// | streaming | none | the commit of a prepared transaction, and its prepare was confirmed by another consumer | [`TwoPhase`](Self::TwoPhase) | no | take it at its prepare, or copy again |
/// | routing | none | a row that does not fit the handler's type | [`Row`](Self::Row) | no | correct the type |
/// | routing | none | a handler's error | [`Handler`](Self::Handler) | no | its own words |
/// | a query, a copy | 42501 | | [`Rights`](Self::Rights) | no | GRANT SELECT and USAGE |
/// | any time | classes 08, 40, 53, 57, 58, and 55P03 | but for 08P01, 58P01 | [`Server`](Self::Server) | yes | by class |
/// | any time | any other | | [`Server`](Self::Server) | no | the server's own words |
///
/// A publication that exists and publishes nothing is no error: see
/// [`Publication::brings_nothing`](crate::Publication::brings_nothing).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum ErrorKind {
    /// A connection string, an option or a name that cannot be used.
    Config,
    /// No connection could be made.
    Connect,
    /// The server refused who we are, or asks for a proof that is not given.
    Authentication,
    /// The connection cannot be encrypted as asked for, or the server's certificate is not one that we may believe.
    Tls,
    /// The database does not exist.
    DatabaseMissing,
    /// The connection ended, or fell silent, without an error from the server.
    ConnectionClosed,
    /// The server is starting, stopping or recovering, or somebody ended the session.
    ServerShutdown,
    /// The server has no connection, or no WAL sender, to spare.
    TooManyConnections,
    /// The server has no replication slot to spare.
    TooManySlots,
    /// The role may not do this.
    Rights,
    /// The server's `wal_level`, or that of its primary, is not `logical`.
    WalLevel,
    /// There is no slot of this name.
    SlotMissing,
    /// There is a slot of this name already.
    SlotExists,
    /// Another session uses the slot.
    SlotInUse {
        /// The server process that holds it, if it still did when we looked.
        pid: Option<i32>,
    },
    /// The server has given up the slot: WAL or rows that it needs are gone.
    SlotLost,
    /// The slot is confirmed further than the consumer is: changes between are gone.
    SlotAhead,
    /// Another cluster answers than the one where the stream began.
    OtherSystem,
    /// The consumer is further than the server's history: a standby was promoted too early, or the server restored.
    Diverged,
    /// The server's timeline is another, and [`Failover::Stop`](crate::Failover::Stop) was asked for.
    Promoted,
    /// The slot belongs to another database.
    SlotWrongDatabase,
    /// The slot is physical, or its plugin is not `pgoutput`.
    SlotWrongPlugin,
    /// The slot is a standby's copy of one of its primary; it can be used after a promotion.
    SlotSynced,
    /// A publication does not exist, or did not when the change was made.
    PublicationMissing,
    /// This server version does not have what was asked for.
    Unsupported,
    /// The server sent what the protocol does not allow.
    Protocol,
    /// A limit of the configuration was reached.
    Limit,
    /// The spool could not be written or read.
    Spool,
    /// A prepared transaction committed whose changes went to somebody else, who confirmed its prepare.
    TwoPhase,
    /// A row does not fit the type that the consumer reads it into.
    Row,
    /// The consumer's own handler failed; its error is the source.
    Handler,
    /// The server refused a statement for another reason; see [`Error::sqlstate`](crate::Error::sqlstate).
    Server,
}

impl ErrorKind {
    /// Whether it may pass without anybody's help; `sqlstate` decides where the kind does not.
    pub(super) fn passes(self, sqlstate: Option<&str>) -> bool {
        match self {
            Self::Connect
            | Self::ConnectionClosed
            | Self::ServerShutdown
            | Self::TooManyConnections
            | Self::SlotInUse { .. }
            // A full disk may have room later.
            | Self::Spool => true,
            Self::Server => sqlstate.is_some_and(is_transient),
            _ => false,
        }
    }

    /// What helps, where neither the error itself nor the server knows better.
    pub(super) fn remedy(self, sqlstate: Option<&str>) -> &'static str {
        match self {
            Self::Config => "Correct the connection string, option or name that the message shows.",
            Self::Connect => {
                "See that the server runs and listens there, and that host and port are right."
            }
            Self::Authentication => "Check user, password, database and the server's pg_hba.conf.",
            Self::Tls => "Check sslmode and sslrootcert, and the server's certificate.",
            Self::DatabaseMissing => {
                "Correct the name of the database (dbname); SELECT datname FROM pg_database lists those of the server."
            }
            Self::ConnectionClosed => {
                "Connect again; if it ends the same way, the server's log and the network between say why."
            }
            Self::ServerShutdown => {
                "Connect again once the server is up; a start tells whether the slot is still usable."
            }
            Self::TooManyConnections => {
                "Raise max_connections or, for replication, max_wal_senders."
            }
            Self::TooManySlots => {
                "Drop slots that nobody uses, or raise max_replication_slots and restart the server."
            }
            Self::Rights => {
                "Grant the role what it lacks; replication needs ALTER ROLE … REPLICATION."
            }
            Self::WalLevel => "Set wal_level = logical on the server and restart it.",
            Self::SlotMissing => {
                "Create the slot and copy the tables again: changes since the old slot was dropped are not available."
            }
            Self::SlotExists => {
                "Use another slot name, or the slot that is there; pg_drop_replication_slot removes one that nobody needs."
            }
            Self::SlotInUse { .. } => {
                "Stop the other consumer; a session that was cut off ends within wal_sender_timeout."
            }
            Self::SlotLost => {
                "Drop the slot, create it again and copy the tables again: the changes in between are gone."
            }
            Self::SlotAhead => {
                "Somebody else read the slot or made it anew, or the stored position is of an older state. Copy the tables again."
            }
            Self::OtherSystem => {
                "Check where the host name leads. Positions of one system mean nothing on another: copy the tables again if this is the new source."
            }
            Self::Diverged => {
                "A standby was promoted before it had everything, or the server was restored from an older state. Compare the destination with the source, or copy the tables again."
            }
            Self::Promoted => {
                "A standby was promoted. Make sure that it is the new source, and start again from the stored position."
            }
            Self::SlotWrongDatabase => "Connect to the slot's database, or use another slot name.",
            Self::SlotWrongPlugin => {
                "Use another slot name: the slot must be logical, of the plugin pgoutput."
            }
            Self::SlotSynced => {
                "Stream from the primary, or promote the standby with pg_promote()."
            }
            Self::PublicationMissing => {
                "Create the publication first, and the slot after it: a slot does not see publications younger than itself."
            }
            Self::Unsupported => "Leave the option out, or use a server of a version that has it.",
            Self::Protocol => {
                "See that it is PostgreSQL that answers at that host and port, with no proxy between that knows no replication; else report it."
            }
            Self::Limit => "Raise the limit that the message names.",
            Self::Spool => {
                "Free space in the folder of the spool (Limits::folder), or choose another."
            }
            Self::TwoPhase => {
                "Take prepared transactions at their prepare (PreparedDelivery::AtPrepare) where its content was kept; else make the slot anew and copy the tables again."
            }
            Self::Row => {
                "Make the type fit the column that is named; the transaction was not confirmed and comes again at the next start."
            }
            Self::Handler => {
                "See to what the handler's own error says; the transaction was not confirmed and comes again at the next start."
            }
            Self::Server => match sqlstate.and_then(|code| code.get(..2)) {
                Some("53") => {
                    "Free disk space or memory on the server; its log says which it lacks."
                }
                Some("08" | "40" | "55" | "57") => {
                    "Try again; if it fails the same way, the server's own words say what stands against it."
                }
                Some("58") => {
                    "Look into the server's log: it cannot read or write a file of its own."
                }
                Some("XX") => {
                    "Try again; if it fails the same way, look into the server's log, and for a newer minor release of PostgreSQL."
                }
                _ => {
                    "Change what the server's own words name: the statement, or the object in the database."
                }
            },
        }
    }
}

/// Errors of the class "not now": connection trouble, conflicts between transactions, exhausted resources, operator
/// intervention, system errors, and a lock that was not to be had.
fn is_transient(sqlstate: &str) -> bool {
    matches!(sqlstate.get(..2), Some("08" | "40" | "53" | "57" | "58"))
        && !matches!(sqlstate, "08P01" | "58P01")
        || matches!(sqlstate, "55P03" | "55006")
}
