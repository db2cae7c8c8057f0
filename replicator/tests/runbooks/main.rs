//! What the manual tells an operator to type, taken out of its pages and typed: in the state that each page speaks of,
//! on real servers, with every row compared afterwards.

#[path = "../common/mod.rs"]
mod common;

mod accidents;
mod failover;
mod lost;
mod moves;
mod page;
mod rights;
mod stage;

use page::Page;

/// When something has happened.
const RUNBOOKS: Page = Page(include_str!("../../docs/runbooks.md"));

/// From other programs.
const MOVING: Page = Page(include_str!("../../docs/moving.md"));

/// A section with commands that is played nowhere is a promise that nobody keeps.
#[test]
fn every_section_with_commands_is_played() {
    let code = [
        include_str!("accidents.rs"),
        include_str!("failover.rs"),
        include_str!("lost.rs"),
        include_str!("moves.rs"),
    ]
    .concat();
    for page in [RUNBOOKS, MOVING] {
        for heading in page.headings() {
            let played = code.matches(&format!("\"{heading}\"")).count();
            let blocks = page.blocks(heading, "sh").len();
            assert!(blocks == 0 || played > 0, "nobody plays {heading:?}");
        }
    }
}

/// Whom the pages send to a look at alerts and causes must find them there.
#[test]
fn alerts_and_causes_are_those_that_there_are() {
    let alerts = include_str!("../../monitoring/alerts.yml");
    let causes = include_str!("../../docs/monitoring.md");
    let words = RUNBOOKS.0.split('`').skip(1).step_by(2);
    let mut looked = 0;
    for word in words {
        let is = |known: &str| known.contains(word);
        if word.starts_with("Replicator") {
            assert!(is(alerts), "no alert {word}");
            looked += 1;
        }
        if word.contains('_') && word.chars().all(|it| it.is_ascii_lowercase() || it == '_') {
            let setting = ["keep_size", "timeout", "standby_slots", "two_phase"];
            let setting = word.starts_with("pg_") || setting.iter().any(|it| word.ends_with(it));
            assert!(setting || is(causes), "no cause {word}");
            looked += 1;
        }
    }
    assert!(looked > 15, "{looked}");
}
