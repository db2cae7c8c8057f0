//! Warnings that come again and again: the first at once, then once in a while with their number.

use std::collections::HashMap;
use std::time::{Duration, Instant, SystemTime};

use tracing::callsite::Identifier;

use super::line::Line;

/// How often the same warning is said.
pub(super) const WINDOW: Duration = Duration::from_secs(60);

/// Different lines from one place of the program within that time, of which a conflict in every row would make millions.
const MOST: usize = 20;

/// What was said, by the place of the program that says it.
#[derive(Debug, Default)]
pub(super) struct Repeats {
    places: HashMap<Identifier, Place>,
}

#[derive(Debug, Default)]
struct Place {
    /// The module that it is in.
    target: &'static str,
    said: HashMap<String, Said>,
    /// Lines beyond what one place may say.
    others: Option<Said>,
}

#[derive(Debug)]
struct Said {
    at: Instant,
    /// How often it came since, and as what the last time.
    hidden: u64,
    last: Option<(Line, SystemTime)>,
}

impl Said {
    const fn new(at: Instant) -> Self {
        Self {
            at,
            hidden: 0,
            last: None,
        }
    }

    /// Keeps a line to itself, unless it is time again.
    fn again(&mut self, name: &'static str, mut line: Line, now: Instant) -> Option<Line> {
        self.hidden += 1;
        if now.duration_since(self.at) < WINDOW {
            self.last = Some((line, SystemTime::now()));
            return None;
        }
        line.number(name, self.hidden);
        *self = Self::new(now);
        Some(line)
    }

    /// What it kept to itself, once it is time.
    fn summary(&mut self, name: &'static str, now: Instant, all: bool) -> Option<Line> {
        if !all && now.duration_since(self.at) < WINDOW {
            return None;
        }
        let (mut line, at) = self.last.take()?;
        line.number(name, self.hidden);
        line.time("last", at);
        *self = Self::new(now);
        Some(line)
    }
}

/// So often came the same, and others like it, since it was said last.
const REPEATED: &str = "repeated";
const SIMILAR: &str = "similar";

impl Repeats {
    /// The line, if it is to be said now.
    pub(super) fn pass(
        &mut self,
        (place, target): (Identifier, &'static str),
        line: Line,
        now: Instant,
    ) -> Option<Line> {
        let place = self.places.entry(place).or_default();
        place.target = target;
        let about = line.about();
        if let Some(said) = place.said.get_mut(&about) {
            return said.again(REPEATED, line, now);
        }
        if place.said.len() < MOST {
            place.said.insert(about, Said::new(now));
            return Some(line);
        }
        let others = place.others.get_or_insert_with(|| Said::new(now));
        others.again(SIMILAR, line, now)
    }

    /// A module says that something else happened: what it warned of is over, and news if it comes again. Gives back what
    /// was kept back of it.
    pub(super) fn over(&mut self, target: &str, now: Instant) -> Vec<Line> {
        let mut lines = Vec::new();
        for place in self.places.values_mut().filter(|it| it.target == target) {
            for said in place.said.values_mut() {
                lines.extend(said.summary(REPEATED, now, true));
            }
            if let Some(others) = &mut place.others {
                lines.extend(others.summary(SIMILAR, now, true));
            }
            place.said.clear();
            place.others = None;
        }
        lines
    }

    /// What was kept back for long enough, or `all` of it.
    pub(super) fn summaries(&mut self, now: Instant, all: bool) -> Vec<Line> {
        let mut lines = Vec::new();
        for place in self.places.values_mut() {
            for said in place.said.values_mut() {
                lines.extend(said.summary(REPEATED, now, all));
            }
            if let Some(others) = &mut place.others {
                lines.extend(others.summary(SIMILAR, now, all));
            }
            // What is not repeated is forgotten, and news the next time.
            let old = |said: &Said| said.hidden == 0 && now.duration_since(said.at) >= WINDOW;
            place.said.retain(|_, said| !old(said));
            if place.others.as_ref().is_some_and(old) {
                place.others = None;
            }
        }
        lines
    }
}

#[cfg(test)]
mod tests {
    use tracing::{Callsite as _, Level};

    use super::*;

    fn place() -> (Identifier, &'static str) {
        use tracing::callsite::DefaultCallsite;
        static META: tracing::Metadata<'static> = tracing::Metadata::new(
            "event",
            "here",
            Level::WARN,
            None,
            None,
            None,
            tracing::field::FieldSet::new(&[], Identifier(&SITE)),
            tracing::metadata::Kind::EVENT,
        );
        static SITE: DefaultCallsite = DefaultCallsite::new(&META);
        (SITE.metadata().callsite(), "here")
    }

    fn warning(text: &str) -> Line {
        Line::new(Level::WARN, text)
    }

    #[test]
    fn what_was_over_is_news_when_it_comes_again() {
        let mut repeats = Repeats::default();
        let start = Instant::now();
        repeats.pass(place(), warning("lost"), start);
        repeats.pass(place(), warning("lost"), start);
        assert!(repeats.over("elsewhere", start).is_empty());
        let lines = repeats.over("here", start);
        assert_eq!(repeated(&lines[0]), "lost repeated=1");
        let line = repeats.pass(place(), warning("lost"), start).unwrap();
        assert_eq!(repeated(&line), "lost");
    }

    fn repeated(line: &Line) -> String {
        line.print(super::super::Format::Text, false, SystemTime::now())
            .split_once("WARN ")
            .unwrap()
            .1
            .trim_end()
            .split(" last=")
            .next()
            .unwrap()
            .to_owned()
    }

    #[test]
    fn the_first_is_said_at_once_and_the_others_are_counted() {
        let mut repeats = Repeats::default();
        let start = Instant::now();
        assert!(repeats.pass(place(), warning("lost at 1"), start).is_some());
        for second in 1..60 {
            let now = start + Duration::from_secs(second);
            assert!(repeats.pass(place(), warning("lost at 2"), now).is_none());
            assert!(repeats.summaries(now, false).is_empty());
        }
        // What is new is said at once.
        assert!(repeats.pass(place(), warning("refused"), start).is_some());
        let line = repeats.pass(place(), warning("lost at 3"), start + WINDOW);
        assert_eq!(repeated(&line.unwrap()), "lost at 3 repeated=60");
    }

    #[test]
    fn who_falls_silent_is_summarised() {
        let mut repeats = Repeats::default();
        let start = Instant::now();
        repeats.pass(place(), warning("lost"), start);
        repeats.pass(place(), warning("lost"), start);
        let lines = repeats.summaries(start + WINDOW, false);
        assert_eq!(repeated(&lines[0]), "lost repeated=1");
        assert!(repeats.summaries(start + 2 * WINDOW, true).is_empty());
        // And is news again later.
        let later = start + 3 * WINDOW;
        let line = repeats.pass(place(), warning("lost"), later).unwrap();
        assert_eq!(repeated(&line), "lost");
        repeats.pass(place(), warning("lost"), later);
        assert_eq!(repeats.summaries(later, true).len(), 1);
    }

    #[test]
    fn one_place_does_not_fill_the_log() {
        let mut repeats = Repeats::default();
        let start = Instant::now();
        let letter = |at: u32| char::from_u32(0x4E00 + at).unwrap();
        let said = (0..1000).filter_map(|at| {
            let line = warning(&format!("conflict {}", letter(at)));
            repeats.pass(place(), line, start)
        });
        assert_eq!(said.count(), MOST);
        let lines = repeats.summaries(start + WINDOW, false);
        assert_eq!(lines.len(), 1);
        assert_eq!(
            repeated(&lines[0]),
            format!("conflict {} similar=980", letter(999))
        );
    }
}
