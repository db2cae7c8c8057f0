//! Cutting over to a PostgreSQL destination: everything of the source is there, and its sequences go on where the source's
//! are.
//!
//! Replication brings rows, and no sequences: logical decoding does not show them. So whoever begins to write at the
//! destination would be given numbers that rows have already.
//!
//! | step | a crash after it leaves | the next attempt |
//! |---|---|---|
//! | 1. nobody is in the middle of writing to a followed table at the source; a temporary slot is made, which would see whoever commits from here on | nothing: the slot goes with its session | begins again |
//! | 2. the destination's position is at or behind the end of the source's log as of now, or of what lies between nothing is for it | nothing | the same |
//! | 3. the source's sequences are read, and compared with the destination's; what cannot be set is an error | nothing | the same |
//! | 4. those that are behind are set, one after the other, which no transaction undoes; what is missing is made, in one transaction | some of them set | sets the others |
//! | 5. the sequences are read again, and the temporary slot is asked who committed since | all of it done | finds it done |
//!
//! Nothing is written at the source but a logical message (`pg_logical_emit_message`), so that what is committed is also
//! flushed. A sequence never goes back unless that is asked for, so that the second attempt, by which the application may
//! have begun to write at the destination, harms nothing.

mod catalog;
mod plan;
mod quiet;
mod sequence;

use std::collections::{HashMap, HashSet};
use std::time::Duration;

use tokio::time::Instant;
use walstream::walproto::{Lsn, Oid};
use walstream::{Client, SystemIdentity};

use crate::apply::target;
use crate::config::Until;
use crate::destination::{self, AnyDestination, Destination};
use crate::dialect::postgres::parts;
use crate::error::{Error, Result};
use crate::position::{PositionRow, State, TableRow, TableState};
use crate::show::people;
use crate::source::Source;
use crate::start;
use catalog::{Used, sequences};
pub use plan::Step;
pub(crate) use plan::{ColumnThere, There};
use plan::{Followed, Plan, Served, Sides, plan};
use quiet::{Witness, connected, waiting, words, writers};
pub(crate) use sequence::{Name, Sequence};

/// How often is looked how far the destination is.
const AGAIN: Duration = Duration::from_millis(250);

/// Of a slot that nobody reads, so much is looked through for what is not at the destination.
const LOOKED_THROUGH: u64 = 64 << 20;

/// What to do about a column that has a sequence at the source and none at the destination.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Missing {
    /// Name it with the statement that makes one, and change nothing.
    #[default]
    Refuse,
    /// Make one.
    Make,
    /// Name it, and set the others.
    Leave,
}

/// What to cut over, and how.
#[derive(Clone, Debug)]
pub struct CutOverConfig {
    source: String,
    destination: String,
    slot: String,
    wait: Duration,
    missing: Missing,
    set_back: bool,
    leave_stopped: bool,
    dry_run: bool,
}

impl CutOverConfig {
    /// The slot `replicator` at this source, and the destination that follows it.
    pub fn new(source: impl Into<String>, destination: impl Into<String>) -> Self {
        Self {
            source: source.into(),
            destination: destination.into(),
            slot: "replicator".to_owned(),
            wait: Duration::from_secs(60),
            missing: Missing::default(),
            set_back: false,
            leave_stopped: false,
            dry_run: false,
        }
    }

    /// Another slot.
    #[must_use]
    pub fn slot(mut self, name: impl Into<String>) -> Self {
        self.slot = name.into();
        self
    }

    /// How long open transactions at the source, and a run that is behind, are waited for.
    #[must_use]
    pub const fn wait(mut self, wait: Duration) -> Self {
        self.wait = wait;
        self
    }

    /// What to do about columns that have a sequence at the source alone.
    #[must_use]
    pub const fn missing(mut self, missing: Missing) -> Self {
        self.missing = missing;
        self
    }

    /// Sets sequences of the destination that have gone further than the source's, too.
    #[must_use]
    pub const fn set_back(mut self, back: bool) -> Self {
        self.set_back = back;
        self
    }

    /// Goes on without tables that are stopped: their rows are old.
    #[must_use]
    pub const fn leave_stopped(mut self, leave: bool) -> Self {
        self.leave_stopped = leave;
        self
    }

    /// Only tells what would be done as of now, whoever still writes.
    #[must_use]
    pub const fn dry_run(mut self, dry: bool) -> Self {
        self.dry_run = dry;
        self
    }
}

/// What [`cut_over`] did, or would do.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct CutOver {
    /// Whether it was only asked what would be done.
    pub dry_run: bool,
    /// Where the destination is.
    pub position: Lsn,
    /// Tables that are followed.
    pub tables: usize,
    /// One for each sequence, and each column that has none.
    pub steps: Vec<Step>,
    /// What somebody should know, one sentence each.
    pub notes: Vec<String>,
    /// What stands against a cut-over now, when it was only asked what would be done.
    pub not_yet: Vec<String>,
}

/// Sees that a PostgreSQL destination has everything that its source has, and sets its sequences.
///
/// # Errors
///
/// Somebody writes at the source, before or meanwhile; the destination is behind; a table is not whole; a sequence cannot be
/// set. But for the last two of the steps above, nothing is changed then.
///
/// # Cancel safety
///
/// Some sequences may be set; call it again.
pub async fn cut_over(config: &CutOverConfig) -> Result<CutOver> {
    walstream::check_slot_name(&config.slot)?;
    destination::takes_sequences(&config.destination)?;
    let connection = walstream::Config::parse(&config.source)?;
    let mut source = Source::new(Client::connect(&connection).await?);
    source.do_not_wait_for_locks().await?;
    let mut wire = Client::connect_replication(&connection).await?;
    let system = wire.identify_system().await?;
    let wait = Duration::from_secs(10);
    let destination = destination::open_existing(&config.destination, &config.slot, wait).await?;
    let mut cutting = Cutting {
        config,
        source,
        destination,
        not_yet: Vec::new(),
    };
    let row = cutting.position(&system).await?;
    let slot = wire
        .slot(&config.slot)
        .await?
        .ok_or_else(|| start::slot_gone(&row, system.timeline))?;
    start::usable(&slot, &system)?;
    let tables = cutting.tables().await?;
    let done = cutting.carry_out(&row, &tables).await;
    let not_yet = cutting.not_yet;
    cutting.destination.close().await?;
    Ok(CutOver { not_yet, ..done? })
}

struct Cutting<'a> {
    config: &'a CutOverConfig,
    source: Source,
    destination: AnyDestination,
    not_yet: Vec<String>,
}

impl Cutting<'_> {
    /// An error, which is only told where nothing is to be changed anyway.
    fn refuse(&mut self, error: Error) -> Result<()> {
        if !self.config.dry_run {
            return Err(error);
        }
        self.not_yet.push(error.to_string());
        Ok(())
    }

    async fn position(&mut self, system: &SystemIdentity) -> Result<PositionRow> {
        let slot = &self.config.slot;
        let row = self.destination.position(slot).await?;
        let row = row
            .filter(|row| row.state != State::Intent)
            .ok_or_else(|| {
                Error::usage(format!("the destination does not follow slot {slot:?}"))
                    .with_hint("give the --slot and --destination that the run was given")
            })?;
        let database = system.database.as_deref().unwrap_or_default();
        if row.system_id != system.system_id || row.database != database {
            return Err(Error::person(format!(
                "the destination follows database {:?} of system {}, and --source is database {database:?} of system {}",
                row.database, row.system_id, system.system_id
            ))
            .with_hint("name the source that the run was given; after an upgrade or a failover, replicator adopt comes first"));
        }
        Ok(row)
    }

    /// The tables that are followed.
    async fn tables(&mut self) -> Result<Vec<TableRow>> {
        let rows = self.destination.tables(&self.config.slot).await?;
        let (stopped, followed): (Vec<TableRow>, Vec<TableRow>) = rows
            .into_iter()
            .partition(|row| matches!(row.state, TableState::Stopped(_)));
        if !stopped.is_empty() && !self.config.leave_stopped {
            let names: Vec<String> = stopped.iter().map(stopped_words).collect();
            self.refuse(
                Error::person(format!(
                    "the rows of tables that are stopped are old: {}",
                    names.join("; ")
                ))
                .with_hint(
                    "replicator resync copies one anew; --leave-stopped cuts over without them",
                ),
            )?;
        }
        Ok(followed)
    }

    async fn carry_out(&mut self, row: &PositionRow, tables: &[TableRow]) -> Result<CutOver> {
        let names: HashMap<Oid, String> = tables
            .iter()
            .map(|row| (row.table.oid, row.table.to_string()))
            .collect();
        let oids: Vec<Oid> = names.keys().copied().collect();
        self.nobody_writes(&names).await?;
        let witness = if self.config.dry_run {
            None
        } else {
            let client = self.source.client();
            let (slot, wait) = (&self.config.slot, self.config.wait);
            Some(Witness::begin(client, slot, &row.publications, wait).await?)
        };
        let position = self.until_all_is_there(row, &names).await?;
        let before = sequences(self.source.client(), &oids).await?;
        let plan = self.plan(tables, &before).await?;
        if !plan.problems.is_empty() {
            let mut whats = Vec::new();
            let mut mends = Vec::new();
            for problem in &plan.problems {
                whats.push(problem.what.clone());
                mends.push(problem.mend.clone());
            }
            self.refuse(
                Error::person(whats.join("; ")).with_hint(format!(
                    "at the destination: {}; for columns without a sequence, --missing make has that done, and --missing \
                     leave goes on without. No sequence was set",
                    mends.join("; ")
                )),
            )?;
        }
        let mut notes = self.behind_their_rows(&plan).await?;
        let sessions = connected(self.source.client()).await?;
        if !sessions.is_empty() {
            notes.push(format!(
                "still connected to the source, not writing: {}",
                sessions.join("; ")
            ));
        }
        if let Some(witness) = &witness {
            let statements: Vec<String> = plan
                .steps
                .iter()
                .flat_map(|step| step.statements.iter().cloned())
                .collect();
            if !statements.is_empty() {
                self.destination.postgres()?.carry_out(&statements).await?;
            }
            self.nothing_came(witness, &names, &oids, &before).await?;
        }
        Ok(CutOver {
            dry_run: self.config.dry_run,
            position,
            tables: tables.len(),
            steps: plan.steps,
            notes,
            not_yet: Vec::new(),
        })
    }

    async fn nobody_writes(&mut self, tables: &HashMap<Oid, String>) -> Result<()> {
        let writers = writers(self.source.client(), tables).await?;
        if writers.is_empty() {
            return Ok(());
        }
        self.refuse(
            Error::person(format!(
                "the source is still written to, in a transaction that is open: {}",
                writers.join("; ")
            ))
            .with_hint(
                "stop the application, and cut over again; at the source SELECT pg_terminate_backend(PROCESS) ends a \
                 session. Nothing was changed",
            ),
        )
    }

    /// Waits for a run that follows the slot. Where none does, what the slot holds back is looked through: of what a server
    /// writes by itself nothing is for the destination.
    async fn until_all_is_there(
        &mut self,
        row: &PositionRow,
        names: &HashMap<Oid, String>,
    ) -> Result<Lsn> {
        let (slot, wait) = (self.config.slot.clone(), self.config.wait);
        let wanted = target(&mut self.source, Some(Until::Current)).await?;
        let wanted = wanted.unwrap_or_default();
        let deadline = Instant::now() + wait;
        loop {
            let now = self.destination.position(&slot).await?;
            let position = now.map_or(row.lsn, |now| now.lsn);
            let rows = self.destination.tables(&slot).await?;
            let partial: Vec<String> = rows
                .iter()
                .filter(|row| matches!(row.state, TableState::Copying | TableState::CatchingUp))
                .map(|row| format!("{} ({})", row.table, row.state.name()))
                .collect();
            if position >= wanted && partial.is_empty() {
                return Ok(position);
            }
            let behind = wanted.0.saturating_sub(position.0);
            let why = if partial.is_empty() {
                format!(
                    "the destination is at {position}, {} behind the source, which is at {wanted}",
                    people::size(behind)
                )
            } else {
                format!("tables are not complete: {}", partial.join(", "))
            };
            let held = self.source.client().slot(&slot).await?;
            let is_read = held.is_some_and(|slot| slot.active_pid.is_some());
            if !is_read {
                let mut left = String::new();
                if partial.is_empty() && behind <= LOOKED_THROUGH {
                    let client = self.source.client();
                    let changes =
                        waiting(client, &slot, &row.publications, names, position).await?;
                    if changes.is_empty() {
                        return Ok(position);
                    }
                    left = format!("; changes wait for it in {}", words(&changes));
                }
                self.refuse(
                    Error::person(format!("{why}, and no run follows the slot{left}")).with_hint(
                        "replicator run … --until current brings it there; then cut over again. Nothing was changed",
                    ),
                )?;
                return Ok(position);
            }
            if self.config.dry_run || Instant::now() >= deadline {
                self.refuse(
                    Error::retry(format!("{why} after {} s", wait.as_secs())).with_hint(
                        "a run follows the slot: cut over again once it is there (replicator status), or wait longer \
                         with --wait. Nothing was changed",
                    ),
                )?;
                return Ok(position);
            }
            tokio::time::sleep(AGAIN).await;
        }
    }

    async fn plan(&mut self, tables: &[TableRow], source: &[Used]) -> Result<Plan> {
        let followed: HashMap<Oid, Followed> = tables
            .iter()
            .map(|row| {
                let (schema, name) = parts(&row.table.destination);
                let followed = Followed {
                    schema: row.table.schema.clone(),
                    there: Name::new(schema, name),
                    key: row.table.key.first().and_then(|at| {
                        let column = row.table.columns.get(*at)?;
                        Some(column.name.clone())
                    }),
                };
                (row.table.oid, followed)
            })
            .collect();
        let names: HashSet<Name> = followed.values().map(|it| it.there.clone()).collect();
        let names: Vec<Name> = names.into_iter().collect();
        let destination = self.destination.postgres()?;
        let there = destination.sequences().await?;
        let columns = destination.columns(&names).await?;
        let sides = Sides {
            followed: &followed,
            source,
            there: &there,
            columns: &columns,
        };
        Ok(plan(&sides, self.config.missing, self.config.set_back))
    }

    /// Columns whose rows have numbers that the sequence is to give out yet.
    async fn behind_their_rows(&mut self, plan: &Plan) -> Result<Vec<String>> {
        let mut notes = Vec::new();
        let destination = self.destination.postgres()?;
        for Served {
            table,
            column,
            sequence,
        } in &plan.served
        {
            let upwards = sequence.increment > 0;
            let furthest = destination.furthest(table, column, upwards).await?;
            let met = furthest.is_some_and(|furthest| {
                let (furthest, next) = (i128::from(furthest), sequence.next());
                if upwards {
                    furthest >= next
                } else {
                    furthest <= next
                }
            });
            if let Some(furthest) = furthest.filter(|_| met) {
                notes.push(format!(
                    "column {column:?} of table {table} holds {furthest}, and sequence {} goes on with {}: it will meet \
                     that row, as it does at the source",
                    sequence.name,
                    sequence.next()
                ));
            }
        }
        Ok(notes)
    }

    /// Whoever wrote at the source while sequences were set may have numbers that will be given out here again.
    async fn nothing_came(
        &mut self,
        witness: &Witness,
        names: &HashMap<Oid, String>,
        oids: &[Oid],
        before: &[Used],
    ) -> Result<()> {
        // Who is in the middle of it is asked for first: who commits behind that is seen by the slot.
        let writers = writers(self.source.client(), names).await?;
        self.source.flush_wal().await;
        let changes = witness.seen(self.source.client(), names).await?;
        let after = sequences(self.source.client(), oids).await?;
        let moved: Vec<String> = after
            .iter()
            .filter(|used| !before.contains(used))
            .map(|used| used.sequence.name.to_string())
            .collect();
        let mut all = Vec::new();
        if !changes.is_empty() {
            all.push(format!("changes were committed in {}", words(&changes)));
        }
        if !writers.is_empty() {
            all.push(format!("a transaction is open: {}", writers.join("; ")));
        }
        if !moved.is_empty() {
            all.push(format!("numbers were taken from {}", moved.join(", ")));
        }
        if all.is_empty() {
            return Ok(());
        }
        Err(Error::person(format!(
            "the source was written to while the destination's sequences were set: {}",
            all.join("; ")
        ))
        .with_hint(
            "the application is not stopped: stop it, and cut over again before anybody writes at the destination; what \
             was set stays, and is set further then",
        ))
    }
}

fn stopped_words(row: &TableRow) -> String {
    match &row.state {
        TableState::Stopped(why) => format!("{} ({why})", row.table),
        state => format!("{} ({})", row.table, state.name()),
    }
}
