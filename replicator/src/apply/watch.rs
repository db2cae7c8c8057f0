//! Looking, while the stream runs, whether the publications are what they were.

use std::collections::HashSet;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

use crate::error::{Error, Result};
use crate::source::Source;
use crate::start;

/// How long the source may take to answer; its own limit for locks is shorter.
const ANSWER: Duration = Duration::from_secs(30);

/// What is published that the ledger was brought to last: its fingerprint, and what changes when a table gets a column.
/// One that is dropped and added again under its name is seen by nothing else.
#[derive(Clone, Debug)]
pub(super) struct Known(Arc<Mutex<(String, String)>>);

impl Known {
    pub(super) fn new(fingerprint: String, relnatts: String) -> Self {
        Self(Arc::new(Mutex::new((fingerprint, relnatts))))
    }

    pub(super) fn get(&self) -> (String, String) {
        self.0
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }

    pub(super) fn set(&self, fingerprint: String, relnatts: String) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = (fingerprint, relnatts);
    }
}

/// The session that asks the source, and what it heard so far.
pub(super) struct Watch {
    pub(super) source: Source,
    /// Leads to the source.
    connection: walstream::Config,
    publications: Vec<String>,
    /// What the ledger was brought to.
    known: Known,
    /// Source tables of which was said that they are not replicated.
    left_out: HashSet<String>,
    /// Whether the session that asks is good.
    asks: bool,
    /// Since when the source could not be asked.
    deaf: Option<Instant>,
    /// For how long that may be so: as long as a lost stream may take to come back.
    patience: Duration,
}

impl Watch {
    pub(super) fn new(
        source: Source,
        connection: walstream::Config,
        publications: Vec<String>,
        known: Known,
        patience: Duration,
    ) -> Self {
        Self {
            source,
            connection,
            publications,
            known,
            left_out: HashSet::new(),
            asks: true,
            deaf: None,
            patience,
        }
    }

    /// As [`look`](Self::look), over another session: what was published while nobody looked decides what the next
    /// changes mean.
    pub(super) async fn look_anew(&mut self) -> Result<bool> {
        self.asks = false;
        self.look().await
    }

    /// Looks at the publications, whether something about them changed; over another session if the last one is lost.
    pub(super) async fn look(&mut self) -> Result<bool> {
        let looking = async {
            if !self.asks {
                self.source.renew(&self.connection).await?;
                self.asks = true;
            }
            self.compare().await
        };
        let error = match tokio::time::timeout(ANSWER, looking).await {
            Ok(Ok(changed)) => {
                self.deaf = None;
                return Ok(changed);
            }
            // Somebody holds a lock on a table; the next look will tell.
            Ok(Err(error)) if error.is_locked_out() => return Ok(false),
            Ok(Err(error)) if error.is_source_lost() => error,
            Ok(Err(error)) => return Err(error),
            // Its session hangs while the stream may go on; nothing else would ever notice.
            Err(_) => Error::retry(format!(
                "the source has not answered for {} s when asked about its publications",
                ANSWER.as_secs()
            )),
        };
        self.asks = false;
        let since = *self.deaf.get_or_insert_with(Instant::now);
        if since.elapsed() >= self.patience {
            return Err(error);
        }
        tracing::warn!(%error, "the source cannot be asked about its publications; trying again");
        Ok(false)
    }

    /// Whether publications, tables, filters and column lists are not what they were, or a column came.
    async fn compare(&mut self) -> Result<bool> {
        let publications = &self.publications;
        if let Some(name) = self.source.missing(publications).await?.first() {
            return Err(start::publication_missing(name, true));
        }
        let changed = self.source.fingerprint(publications).await? != self.known.get();
        let left_out = self.source.left_out(publications).await?;
        let new = left_out
            .into_iter()
            .filter(|name| self.left_out.insert(name.clone()));
        let new: Vec<String> = new.collect();
        if !new.is_empty() {
            let tables = new.join(", ");
            tracing::warn!(
                tables,
                "not replicated: these tables are not in the publication"
            );
        }
        Ok(changed)
    }
}
