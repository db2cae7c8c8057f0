//! Places where a crash test may end the process; nothing at all without the feature `failpoints`.
//!
//! `REPLICATOR_FAILPOINT=name:n` aborts the process at the n-th time (from 1) it comes by that place, as `kill -9`
//! would; `name:n:stop` stops it there, as a machine that hangs would, until somebody continues it. Just before, the
//! name is appended to the file in `REPLICATOR_FAILPOINT_LOG`, so that a test can count which places it really hit.

/// Ends or stops the process here when the environment asks for it.
macro_rules! fail_point {
    ($name:literal) => {
        #[cfg(feature = "failpoints")]
        $crate::failpoint::reached($name);
    };
}
pub(crate) use fail_point;

/// Counts the visits to the place that the environment names, and aborts or stops at the chosen one.
#[cfg(feature = "failpoints")]
pub(crate) fn reached(name: &str) {
    use std::io::Write;
    use std::sync::OnceLock;
    use std::sync::atomic::{AtomicU64, Ordering};

    static CHOSEN: OnceLock<Option<(String, u64, End)>> = OnceLock::new();
    static VISITS: AtomicU64 = AtomicU64::new(0);

    let chosen =
        CHOSEN.get_or_init(|| {
            let text = std::env::var("REPLICATOR_FAILPOINT").ok()?;
            // A crash test that never crashes would pass for the wrong reason.
            Some(parse(&text).unwrap_or_else(|| {
                panic!("REPLICATOR_FAILPOINT={text} is not name:n or name:n:stop")
            }))
        });
    let Some((place, visit, end)) = chosen else {
        return;
    };
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
    match end {
        End::Abort => std::process::abort(),
        End::Stop => {
            let process = std::process::id().to_string();
            let stopped = std::process::Command::new("kill")
                .args(["-STOP", &process])
                .status();
            assert!(stopped.is_ok_and(|status| status.success()), "cannot stop");
        }
    }
}

/// What happens at the place.
#[cfg(feature = "failpoints")]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum End {
    Abort,
    Stop,
}

#[cfg(feature = "failpoints")]
fn parse(text: &str) -> Option<(String, u64, End)> {
    let (text, end) = match text.strip_suffix(":stop") {
        Some(text) => (text, End::Stop),
        None => (text, End::Abort),
    };
    let (name, visit) = text.rsplit_once(':')?;
    let visit = visit.parse().ok().filter(|visit| *visit > 0)?;
    Some((name.to_owned(), visit, end))
}

#[cfg(all(test, feature = "failpoints"))]
mod tests {
    use super::{End, parse};

    #[test]
    fn the_setting_names_a_place_and_a_visit() {
        for (text, end) in [
            ("batch-begun:3", End::Abort),
            ("batch-begun:3:stop", End::Stop),
        ] {
            assert_eq!(parse(text), Some(("batch-begun".to_owned(), 3, end)));
        }
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
