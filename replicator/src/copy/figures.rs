//! The figures of a copy: what is done, how fast, and how long the rest will take. Pure; the time is handed in.

use std::collections::VecDeque;
use std::time::Duration;

use tokio::time::Instant;
use walstream::walproto::Oid;

use super::event::{CopyProgress, CopyTable};

/// Counts.
#[derive(Debug)]
pub(super) struct Figures {
    tables: Vec<Entry>,
    begun: Instant,
    samples: VecDeque<Sample>,
}

/// What is known of a table before.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Estimate {
    pub(super) oid: Oid,
    pub(super) schema: String,
    pub(super) name: String,
    pub(super) rows: Option<u64>,
    pub(super) bytes: u64,
}

#[derive(Debug)]
struct Entry {
    estimate: Estimate,
    rows: u64,
    bytes: u64,
    place: Place,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Place {
    Waiting,
    Running(Instant),
    Done,
    /// Not copied after all.
    Left,
}

#[derive(Clone, Copy, Debug)]
struct Sample {
    at: Instant,
    rows: u64,
    bytes: u64,
    work: f64,
}

/// What rates are taken over.
const WINDOW: Duration = Duration::from_secs(30);

/// What a rate needs at least.
const SHORTEST: Duration = Duration::from_secs(2);

impl Figures {
    pub(super) fn new(tables: Vec<Estimate>, now: Instant) -> Self {
        let entry = |estimate| Entry {
            estimate,
            rows: 0,
            bytes: 0,
            place: Place::Waiting,
        };
        let mut figures = Self {
            tables: tables.into_iter().map(entry).collect(),
            begun: now,
            samples: VecDeque::new(),
        };
        figures.sample(now);
        figures
    }

    /// How large a table was at first.
    pub(super) fn estimated_bytes_of(&mut self, oid: Oid) -> u64 {
        self.entry(oid).map_or(0, |entry| entry.estimate.bytes)
    }

    /// A table's copy begins, or begins again.
    pub(super) fn begin(&mut self, oid: Oid, now: Instant) -> Option<CopyTable> {
        let entry = self.entry(oid)?;
        (entry.rows, entry.bytes) = (0, 0);
        entry.place = Place::Running(now);
        Some(entry.shown(now))
    }

    /// Rows are in.
    pub(super) fn add(&mut self, oid: Oid, rows: u64, bytes: u64) {
        if let Some(entry) = self.entry(oid) {
            entry.rows += rows;
            entry.bytes += bytes;
        }
    }

    /// A table is complete.
    pub(super) fn done(&mut self, oid: Oid, now: Instant) -> Option<CopyTable> {
        let entry = self.entry(oid)?;
        let elapsed = entry.elapsed(now);
        entry.place = Place::Done;
        Some(CopyTable {
            elapsed,
            ..entry.shown(now)
        })
    }

    /// A table is not copied after all.
    pub(super) fn leave(&mut self, oid: Oid) {
        if let Some(entry) = self.entry(oid) {
            entry.place = Place::Left;
        }
    }

    /// Remembers how far it is, for rates.
    pub(super) fn sample(&mut self, now: Instant) {
        self.samples.push_back(Sample {
            at: now,
            rows: self.counted(|it| it.rows),
            bytes: self.counted(|it| it.bytes),
            work: self.work(),
        });
        // One at or before the window's beginning stays.
        while let Some(second) = self.samples.get(1)
            && now.duration_since(second.at) >= WINDOW
        {
            self.samples.pop_front();
        }
    }

    /// How far all is, at the rate since the oldest sample.
    pub(super) fn progress(&self, now: Instant, paused: bool) -> CopyProgress {
        let (rows, bytes) = (self.counted(|it| it.rows), self.counted(|it| it.bytes));
        let (work, all) = (self.work(), self.all_work());
        let oldest = self.samples.front().copied().unwrap_or(Sample {
            at: self.begun,
            rows: 0,
            bytes: 0,
            work: 0.0,
        });
        let time = now.duration_since(oldest.at);
        let per_second = |count: u64| rate(count, time);
        // Less than before where a table began again.
        let worked = work - oldest.work;
        let known = time >= SHORTEST && worked > 0.0 && !paused;
        let remaining = known.then(|| (all - work) / worked * time.as_secs_f64());
        CopyProgress {
            tables_done: self.complete(),
            tables: self.wanted(),
            rows,
            bytes,
            estimated_rows: self.estimated_rows(),
            estimated_bytes: self.estimated_bytes(),
            fraction: if all > 0.0 { work / all } else { 1.0 },
            rows_per_second: per_second(rows.saturating_sub(oldest.rows)),
            bytes_per_second: per_second(bytes.saturating_sub(oldest.bytes)),
            remaining: remaining.and_then(|it| Duration::try_from_secs_f64(it.max(0.0)).ok()),
            elapsed: now.duration_since(self.begun),
            paused,
            running: self
                .tables
                .iter()
                .filter(|entry| matches!(entry.place, Place::Running(_)))
                .map(|entry| entry.shown(now))
                .collect(),
        }
    }

    /// The same at the end, with the rate over all.
    pub(super) fn total(&self, now: Instant) -> CopyProgress {
        let elapsed = now.duration_since(self.begun);
        let progress = self.progress(now, false);
        CopyProgress {
            rows_per_second: rate(progress.rows, elapsed),
            bytes_per_second: rate(progress.bytes, elapsed),
            remaining: Some(Duration::ZERO),
            ..progress
        }
    }

    pub(super) fn estimated_rows(&self) -> Option<u64> {
        let rows = self.tables.iter().map(|entry| entry.estimate.rows);
        rows.sum()
    }

    pub(super) fn estimated_bytes(&self) -> u64 {
        self.tables.iter().map(|entry| entry.estimate.bytes).sum()
    }

    fn entry(&mut self, oid: Oid) -> Option<&mut Entry> {
        self.tables
            .iter_mut()
            .find(|entry| entry.estimate.oid == oid)
    }

    fn counted(&self, of: impl Fn(&Entry) -> u64) -> u64 {
        let copied = self.tables.iter().filter(|it| it.place != Place::Left);
        copied.map(of).sum()
    }

    fn complete(&self) -> usize {
        let done = self.tables.iter().filter(|it| it.place == Place::Done);
        done.count()
    }

    fn wanted(&self) -> usize {
        let wanted = self.tables.iter().filter(|it| it.place != Place::Left);
        wanted.count()
    }

    fn work(&self) -> f64 {
        let done = self
            .tables
            .iter()
            .map(|entry| entry.weight() * entry.fraction());
        done.sum()
    }

    fn all_work(&self) -> f64 {
        self.tables.iter().map(Entry::weight).sum()
    }
}

impl Entry {
    /// The part that a table is of the whole; an empty one takes its time as well.
    #[expect(clippy::cast_precision_loss, reason = "an estimate")]
    fn weight(&self) -> f64 {
        self.estimate.bytes.max(8192) as f64
    }

    #[expect(clippy::cast_precision_loss, reason = "an estimate")]
    fn fraction(&self) -> f64 {
        let (is, all) = match (self.place, self.estimate.rows) {
            (Place::Done | Place::Left, _) => return 1.0,
            (_, Some(rows)) => (self.rows, rows),
            // The text of a row is about as large as the row.
            (_, None) => (self.bytes, self.estimate.bytes),
        };
        // It has more than was believed; how much more nobody knows.
        (is as f64 / all.max(1) as f64).min(0.99)
    }

    fn elapsed(&self, now: Instant) -> Duration {
        match self.place {
            Place::Running(since) => now.duration_since(since),
            _ => Duration::ZERO,
        }
    }

    fn shown(&self, now: Instant) -> CopyTable {
        CopyTable {
            schema: self.estimate.schema.clone(),
            table: self.estimate.name.clone(),
            rows: self.rows,
            bytes: self.bytes,
            estimated_rows: self.estimate.rows,
            estimated_bytes: self.estimate.bytes,
            fraction: self.fraction(),
            elapsed: self.elapsed(now),
        }
    }
}

/// So many in a second; what took no time is all of them.
pub(crate) fn rate(count: u64, time: Duration) -> u64 {
    let millis = time.as_millis().max(1);
    u64::try_from(u128::from(count) * 1000 / millis).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    fn table(oid: u32, rows: Option<u64>, bytes: u64) -> Estimate {
        Estimate {
            oid: Oid(oid),
            schema: "public".to_owned(),
            name: format!("t{oid}"),
            rows,
            bytes,
        }
    }

    #[test]
    fn what_remains_follows_from_the_last_half_minute() {
        let start = Instant::now();
        let mut figures = Figures::new(vec![table(1, Some(1000), 1_000_000)], start);
        figures.begin(Oid(1), start);
        assert_eq!(figures.progress(start + SECOND, false).remaining, None);
        // 10 rows a second for 40 s,
        for second in 1..=40 {
            figures.add(Oid(1), 10, 9_000);
            figures.sample(start + second * SECOND);
        }
        let progress = figures.progress(start + 40 * SECOND, false);
        assert_eq!((progress.rows, progress.bytes), (400, 360_000));
        assert_eq!(
            (progress.rows_per_second, progress.bytes_per_second),
            (10, 9_000)
        );
        assert!((progress.fraction - 0.4).abs() < 1e-9);
        let remaining = progress.remaining.unwrap();
        assert!(
            remaining > 59 * SECOND && remaining < 61 * SECOND,
            "{remaining:?}"
        );
        // then one a second: the first 40 count no more after 30.
        for second in 41..=70 {
            figures.add(Oid(1), 1, 900);
            figures.sample(start + second * SECOND);
        }
        let progress = figures.progress(start + 70 * SECOND, false);
        assert_eq!(progress.rows_per_second, 1);
        // While it is paused nobody knows when it goes on.
        let paused = figures.progress(start + 70 * SECOND, true);
        assert_eq!((paused.remaining, paused.paused), (None, true));
    }

    #[test]
    fn an_estimate_that_is_too_small_ends_with_the_table() {
        let start = Instant::now();
        let mut figures = Figures::new(vec![table(1, Some(10), 8192)], start);
        figures.begin(Oid(1), start);
        figures.add(Oid(1), 1000, 100_000);
        let fraction = figures.progress(start, false).fraction;
        assert!(fraction < 1.0, "{fraction}");
        let done = figures.done(Oid(1), start + SECOND).unwrap();
        assert_eq!((done.rows, done.elapsed), (1000, SECOND));
        assert!((done.fraction - 1.0).abs() < 1e-9);
        let total = figures.total(start + 2 * SECOND);
        assert_eq!((total.tables_done, total.rows_per_second), (1, 500));
        assert!((total.fraction - 1.0).abs() < 1e-9);
    }

    #[test]
    fn what_begins_again_is_not_counted_twice() {
        let start = Instant::now();
        let tables = vec![table(1, None, 100_000), table(2, Some(0), 0)];
        let mut figures = Figures::new(tables, start);
        assert_eq!(figures.estimated_rows(), None);
        figures.begin(Oid(1), start);
        figures.add(Oid(1), 10, 50_000);
        figures.sample(start + 3 * SECOND);
        figures.begin(Oid(1), start + 4 * SECOND);
        let progress = figures.progress(start + 4 * SECOND, false);
        assert_eq!((progress.rows, progress.bytes), (0, 0));
        assert_eq!(progress.bytes_per_second, 0);
        assert_eq!(progress.remaining, None);
    }

    #[test]
    fn a_table_that_is_left_is_not_waited_for() {
        let start = Instant::now();
        let tables = vec![table(1, Some(10), 8192), table(2, Some(10), 8192)];
        let mut figures = Figures::new(tables, start);
        figures.begin(Oid(1), start);
        figures.done(Oid(1), start);
        figures.leave(Oid(2));
        let progress = figures.progress(start, false);
        assert_eq!((progress.tables_done, progress.tables), (1, 1));
        assert!((progress.fraction - 1.0).abs() < 1e-9);
    }
}
