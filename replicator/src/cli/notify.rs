//! What a service manager is told: systemd's `Type=notify`, with `WatchdogSec`.

use std::time::Duration;

use sd_notify::NotifyState;
use tokio::time::{Instant, MissedTickBehavior};

use crate::copy::CopyHandle;
use crate::pulse::{Pulse, Stage};
use crate::shutdown::Shutdown;

/// How often a status that changes is said.
const STATUS: Duration = Duration::from_secs(5);

/// How much longer a start may take from each time that this is said; waiting for a slot has limits of its own.
const START: Duration = Duration::from_secs(60);

/// Tells a service manager how a run is, if one asks.
#[derive(Debug)]
pub struct Notify {
    pulse: Pulse,
    copy: CopyHandle,
    shutdown: Shutdown,
    watchdog: Option<Duration>,
}

impl Notify {
    /// Looks for one that asks.
    pub fn new(copy: CopyHandle, shutdown: Shutdown) -> Self {
        let asked = std::env::var_os("NOTIFY_SOCKET").is_some();
        let watchdog = asked.then(sd_notify::watchdog_enabled).flatten();
        Self {
            pulse: watchdog.map_or_else(Pulse::default, |time| Pulse::new(time / 4)),
            copy,
            shutdown,
            watchdog,
        }
    }

    /// What the run has to be told to let be followed.
    pub const fn pulse(&self) -> &Pulse {
        &self.pulse
    }

    /// Tells, beside the run and on its thread: who does not turn any more says nothing either.
    pub fn follow(self) {
        if std::env::var_os("NOTIFY_SOCKET").is_some() {
            tokio::spawn(self.tell());
        }
    }

    async fn tell(mut self) {
        let period = self.watchdog.map_or(Duration::from_secs(1), |it| it / 4);
        let mut ticks = tokio::time::interval(period.min(Duration::from_secs(1)));
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut ready = false;
        let mut stuck = false;
        let mut fed = Instant::now();
        let mut status = (String::new(), None::<Instant>);
        loop {
            tokio::select! {
                _ = ticks.tick() => {}
                () = self.shutdown.asked() => {
                    say(&[NotifyState::Stopping, NotifyState::Status("finishing what is begun")]);
                    return;
                }
            }
            let turns = self.watchdog.is_none_or(|within| self.pulse.turns(within));
            if !ready && self.pulse.phase() > Stage::Starting {
                ready = true;
                status.1 = None;
                say(&[NotifyState::Ready]);
            } else if !ready && turns {
                let micros = u32::try_from(START.as_micros()).unwrap_or(u32::MAX);
                say(&[NotifyState::ExtendTimeoutUsec(micros)]);
            }
            let text = match self.copy.is_paused() {
                true => format!("paused until SIGUSR2; {}", self.pulse),
                false => self.pulse.to_string(),
            };
            if text != status.0 && status.1.is_none_or(|at| at.elapsed() >= STATUS) {
                say(&[NotifyState::Status(&text)]);
                status = (text, Some(Instant::now()));
            }
            if let Some(within) = self.watchdog {
                if turns && fed.elapsed() >= period {
                    fed = Instant::now();
                    say(&[NotifyState::Watchdog]);
                }
                if !turns && !std::mem::replace(&mut stuck, !turns) {
                    tracing::error!(
                        ?within,
                        "nothing has got on for so long; a service manager that hears nothing more ends this process, and \
                         the next one goes on"
                    );
                }
                stuck = !turns;
            }
        }
    }
}

fn say(states: &[NotifyState<'_>]) {
    if let Err(error) = sd_notify::notify(states) {
        tracing::debug!(%error, "the service manager cannot be told");
    }
}
