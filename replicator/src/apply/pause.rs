//! A run that is paused: nothing more is taken from the stream, which keeps its connection all the while.

use tokio::sync::watch;
use tokio::time::{Duration, Instant};

use crate::config::Config;
use crate::copy::held_back;

/// How often a pause is said.
const REMINDER: Duration = Duration::from_secs(60);

/// Whether changes are applied.
pub(super) struct Pause {
    wanted: watch::Receiver<bool>,
    /// When it is said again; while there is no pause there is nothing to say.
    reminder: Option<Instant>,
    connection: walstream::Config,
    slot: String,
}

impl Pause {
    pub(super) fn new(config: &Config, connection: walstream::Config) -> Self {
        Self {
            wanted: config.copy_handle.watch(),
            reminder: None,
            connection,
            slot: config.slot.clone(),
        }
    }

    pub(super) const fn is_on(&self) -> bool {
        self.reminder.is_some()
    }

    /// Waits until it begins, ends, or is to be said again; then [`look`](Self::look).
    ///
    /// # Cancel safety
    ///
    /// Nothing is lost when the future is dropped.
    pub(super) async fn changes(&mut self) {
        let due = self.reminder;
        let changed = async {
            if self.wanted.changed().await.is_err() {
                std::future::pending::<()>().await;
            }
        };
        match due {
            Some(due) => {
                let _ = tokio::time::timeout_at(due, changed).await;
            }
            None => changed.await,
        }
    }

    /// Follows what is wanted, and says so.
    pub(super) fn look(&mut self) {
        let wanted = *self.wanted.borrow_and_update();
        let now = Instant::now();
        match self.reminder {
            None if wanted => {
                self.reminder = Some(now + REMINDER);
                tracing::info!(
                    "paused: what is begun is finished, and no more changes are applied until SIGUSR2; the source keeps \
                     them, and its connection"
                );
            }
            Some(due) if wanted && now >= due => {
                self.reminder = Some(now + REMINDER);
                // The source is asked beside the stream, which does not wait for that.
                tokio::spawn(say(self.connection.clone(), self.slot.clone()));
            }
            Some(_) if !wanted => {
                self.reminder = None;
                tracing::info!("changes are applied again");
            }
            _ => {}
        }
    }
}

async fn say(connection: walstream::Config, slot: String) {
    let (held, danger) = held_back(&connection, &slot).await;
    tracing::warn!(
        wal_held_back = held,
        danger,
        "still paused until SIGUSR2; meanwhile the slot holds back WAL at the source"
    );
}
