//! Asking both sides, each with a bound on how long it may take.

use std::time::Duration;

use walstream::walproto::{Lsn, Timestamp};
use walstream::{Blocker, Client, Row, quote_literal};

use super::motion::Place;
use super::{DestinationStatus, SourceStatus, StatusConfig};
use crate::destination::Reader;
use crate::error::{Error, Result};
use crate::metrics::clock_and_wal;

/// How long a side may take to answer.
const ANSWER: Duration = Duration::from_secs(10);

/// Sessions that look.
#[derive(Debug)]
pub(super) struct Looks {
    config: StatusConfig,
    source: Option<Client>,
    destination: Option<Reader>,
}

/// What both sides said.
#[derive(Debug)]
pub(super) struct Asked {
    pub(super) name: String,
    pub(super) source: Result<SourceAsked>,
    pub(super) destination: Option<Result<DestinationStatus>>,
}

/// The source, and what is about its slot without being of it.
#[derive(Debug)]
pub(super) struct SourceAsked {
    pub(super) status: SourceStatus,
    /// Transactions with a number and prepared ones that are old, with their age.
    pub(super) old: Vec<(Blocker, Duration)>,
    /// The source's; 0 where nobody wants to know it, because the slot is there, and in recovery.
    pub(super) timeline: u32,
}

/// The server's process that sends.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Sender {
    /// Up to where it has sent.
    pub(crate) sent: Option<Lsn>,
    /// How long ago the other side answered last, by both sides' clocks.
    pub(crate) answered: Option<Duration>,
    /// What the server's process waits for.
    pub(crate) wait: Option<String>,
    /// How long it took from sending to durable, when the server measured it last.
    pub(crate) flush_lag: Option<Duration>,
}

/// A transaction that is younger is nothing to look into.
const OLD: Duration = Duration::from_secs(5);

impl Asked {
    /// How far both sides are, if there is something that can move.
    pub(super) fn place(&self) -> Option<Place> {
        let source = &self.source.as_ref().ok()?.status;
        Some(Place {
            wal: source.wal,
            sent: source.sender.as_ref().and_then(|sender| sender.sent),
            confirmed: source.slot.as_ref()?.confirmed_flush?,
            stored: self.stored(),
        })
    }

    fn stored(&self) -> Option<Lsn> {
        let destination = self.destination.as_ref()?.as_ref().ok()?;
        destination.position.as_ref().map(|row| row.lsn)
    }

    /// How long ago the last transaction committed that is durable, by the source's clock: what waits behind it, if
    /// anything does, committed later. Clocks of several nodes, whose transactions came together at the source, are
    /// taken as they are.
    pub(super) fn age(&self) -> Option<Duration> {
        let source = &self.source.as_ref().ok()?.status;
        let destination = self.destination.as_ref()?.as_ref().ok()?;
        let row = destination.position.as_ref()?;
        let micros = source.clock.saturating_sub(row.source_time?.unix_micros()?);
        Some(Duration::from_micros(u64::try_from(micros).unwrap_or(0)))
    }

    /// What is known to be durable.
    pub(super) fn durable(&self) -> Option<Lsn> {
        let slot = || {
            let source = self.source.as_ref().ok()?;
            source.status.slot.as_ref()?.confirmed_flush
        };
        self.stored().or_else(slot)
    }
}

impl Looks {
    pub(super) fn new(config: &StatusConfig) -> Self {
        Self {
            config: config.clone(),
            source: None,
            destination: None,
        }
    }

    /// Both at a time, so that one which does not answer does not make the other's answer old.
    pub(super) async fn look(&mut self) -> Asked {
        let Self {
            config,
            source,
            destination,
        } = self;
        let slot = &config.slot;
        let of_source = within("the source", async {
            let mut client = match source.take() {
                Some(client) => client,
                None => Client::connect(&walstream::Config::parse(&config.source)?).await?,
            };
            let asked = ask(&mut client, slot).await?;
            *source = Some(client);
            Ok(asked)
        });
        let of_destination = async {
            let url = config.destination.as_deref()?;
            let looked = within("the destination", async {
                let mut reader = match destination.take() {
                    Some(reader) => reader,
                    None => Reader::open(url, slot).await?,
                };
                let (position, tables) = reader.look(slot).await?;
                *destination = Some(reader);
                Ok(DestinationStatus { position, tables })
            });
            Some(looked.await)
        };
        let (source, destination) = tokio::join!(of_source, of_destination);
        Asked {
            name: slot.clone(),
            source,
            destination,
        }
    }
}

async fn within<T>(who: &str, asked: impl Future<Output = Result<T>>) -> Result<T> {
    let silent = || {
        let seconds = ANSWER.as_secs();
        Error::retry(format!("{who} has not answered for {seconds} s"))
    };
    tokio::time::timeout(ANSWER, asked)
        .await
        .unwrap_or_else(|_| Err(silent()))
}

async fn timeline(client: &mut Client) -> Result<u32> {
    // The first eight digits of a WAL file's name are its timeline.
    let sql = "SELECT CASE WHEN pg_is_in_recovery() THEN NULL ELSE left(pg_walfile_name(pg_current_wal_lsn()), 8) END";
    let rows = client.query(sql).await?;
    let name = rows.first().and_then(|row| row.get(0)).unwrap_or("0");
    u32::from_str_radix(name, 16)
        .map_err(|_| Error::retry(format!("the source has a WAL file on timeline {name:?}")))
}

async fn ask(client: &mut Client, name: &str) -> Result<SourceAsked> {
    let slot = client.slot(name).await?;
    let timeline = match &slot {
        Some(_) => 0,
        None => timeline(client).await?,
    };
    let (now, wal) = clock_and_wal(client).await?;
    let holder = client.slot_holder(name).await?;
    let sender = match &slot {
        Some(slot) if slot.active_pid.is_some() => sender(client, name).await?,
        _ => None,
    };
    let age = |since: Option<Timestamp>| {
        let micros = now.saturating_sub(since?.unix_micros()?);
        u64::try_from(micros).ok().map(Duration::from_micros)
    };
    // Nobody is making a slot: of all processes none has this number.
    let blockers = client.blockers(0).await?;
    let old = blockers.into_iter().filter_map(|blocker| {
        let since = match &blocker {
            Blocker::Transaction { since, .. } | Blocker::Prepared { since, .. } => *since,
            _ => None,
        };
        let age = age(since).filter(|age| *age >= OLD)?;
        Some((blocker, age))
    });
    Ok(SourceAsked {
        timeline,
        old: old.collect(),
        status: SourceStatus {
            version: client.server_version().to_string(),
            wal,
            clock: now,
            inactive: slot.as_ref().and_then(|slot| age(slot.inactive_since)),
            slot,
            holder: holder.map(|holder| holder.to_string()),
            sender,
        },
    })
}

async fn sender(client: &mut Client, slot: &str) -> Result<Option<Sender>> {
    let sql = format!(
        "SELECT r.sent_lsn, (extract(epoch FROM clock_timestamp() - r.reply_time) * 1000000)::int8, a.wait_event,
                (extract(epoch FROM r.flush_lag) * 1000000)::int8
         FROM pg_catalog.pg_replication_slots s JOIN pg_catalog.pg_stat_replication r ON r.pid = s.active_pid
         LEFT JOIN pg_catalog.pg_stat_activity a ON a.pid = s.active_pid
         WHERE s.slot_name = {}",
        quote_literal(slot)
    );
    let rows = client.query(&sql).await?;
    let micros = |row: &Row, at| -> Option<Duration> {
        let micros: i64 = row.get(at)?.parse().ok()?;
        u64::try_from(micros).ok().map(Duration::from_micros)
    };
    Ok(rows.first().map(|row| Sender {
        sent: row.get(0).and_then(|text| text.parse().ok()),
        answered: micros(row, 1),
        wait: row.get(2).map(str::to_owned),
        flush_lag: micros(row, 3),
    }))
}
