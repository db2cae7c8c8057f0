//! Places where a crash test may end the process; nothing at all without the feature `failpoints`.
//!
//! `REPLICATOR_FAILPOINT=name:n` aborts the process at the n-th time (from 1) it comes by that place, as `kill -9`
//! would. Just before, the name is appended to the file in `REPLICATOR_FAILPOINT_LOG`, so that a test can count
//! which places it really hit.

/// Ends the process here when the environment asks for it.
macro_rules! fail_point {
    ($name:literal) => {
        #[cfg(feature = "failpoints")]
        $crate::failpoint::reached($name);
    };
}
pub(crate) use fail_point;

/// Counts the visits to the place that the environment names, and aborts at the chosen one.
#[cfg(feature = "failpoints")]
pub(crate) fn reached(name: &str) {
    use std::io::Write;
    use std::sync::OnceLock;
    use std::sync::atomic::{AtomicU64, Ordering};

    static CHOSEN: OnceLock<Option<(String, u64)>> = OnceLock::new();
    static VISITS: AtomicU64 = AtomicU64::new(0);

    let chosen = CHOSEN.get_or_init(|| {
        let text = std::env::var("REPLICATOR_FAILPOINT").ok()?;
        // A crash test that never crashes would pass for the wrong reason.
        Some(parse(&text).unwrap_or_else(|| panic!("REPLICATOR_FAILPOINT={text} is not name:n")))
    });
    let Some((place, visit)) = chosen else { return };
    if place != name || VISITS.fetch_add(1, Ordering::Relaxed) + 1 != *visit {
        return;
    }
    if let Some(log) = std::env::var_os("REPLICATOR_FAILPOINT_LOG") {
        std::fs::OpenOptions::new()
            .create(true)
            .append(true)
            .open(log)
            .and_then(|mut file| writeln!(file, "{name}"))
            .expect("the failpoint log can be written");
    }
    std::process::abort();
}

#[cfg(feature = "failpoints")]
fn parse(text: &str) -> Option<(String, u64)> {
    let (name, visit) = text.rsplit_once(':')?;
    let visit = visit.parse().ok().filter(|visit| *visit > 0)?;
    Some((name.to_owned(), visit))
}

#[cfg(all(test, feature = "failpoints"))]
mod tests {
    use super::parse;

    #[test]
    fn the_setting_names_a_place_and_a_visit() {
        assert_eq!(parse("batch-begun:3"), Some(("batch-begun".to_owned(), 3)));
        for text in [
            "",
            "batch-begun",
            "batch-begun:",
            "batch-begun:0",
            "batch-begun:x",
        ] {
            assert_eq!(parse(text), None, "{text:?}");
        }
    }
}
