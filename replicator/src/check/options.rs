//! What the options ask for, as far as it can be told without either side.

use super::finding::{Finding, Mend, Report};
use crate::config::Config;
use crate::quarantine::Quarantine;
use crate::run;

pub(super) fn look(config: &Config, report: &mut Report) {
    report.add(match run::check_end(config) {
        Ok(()) => Finding::ok("options.end", "the options agree with each other"),
        Err(error) => Finding::of("options.end", &error),
    });
    report.add(match walstream::check_slot_name(&config.slot) {
        Ok(()) => Finding::ok(
            "options.slot",
            format!("the slot is to be called {}", config.slot),
        ),
        Err(error) => Finding::of("options.slot", &error.into()),
    });
    let spool = config.spool.display();
    report.add(match run::check_spool(config) {
        Ok(()) => Finding::ok(
            "options.spool",
            format!("large transactions may wait in {spool}"),
        ),
        Err(error) => {
            let folder = shell_quoted(&spool.to_string());
            let mend = Mend::shell(format!("mkdir -p {folder}"));
            let found = Finding::of("options.spool", &error);
            if config.spool.exists() {
                found
            } else {
                found.mended_by([mend])
            }
        }
    });
    report.add(
        match Quarantine::look(config.quarantine.as_deref(), &config.skip) {
            Ok(said) => Finding::ok("options.quarantine", said),
            Err(error) => Finding::of("options.quarantine", &error),
        },
    );
}

/// A word that a shell takes as it is.
pub(super) fn shell_quoted(text: &str) -> String {
    format!("'{}'", text.replace('\'', r"'\''"))
}
