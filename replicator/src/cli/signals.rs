//! Signals: SIGTERM and SIGINT end, SIGUSR1 pauses, SIGUSR2 lets it go on.

use std::sync::mpsc;
use std::time::Duration;

use tokio::signal::unix::{Signal, SignalKind, signal};

use crate::copy::CopyHandle;
use crate::error::{Error, Result};
use crate::log;
use crate::shutdown::ShutdownHandle;

/// What signals do.
#[derive(Debug)]
pub struct Signals {
    handle: ShutdownHandle,
    copy: Option<CopyHandle>,
    within: Duration,
}

/// How long an end may take, where nothing else is said.
pub(super) const SHUTDOWN_TIMEOUT: u64 = 30;

impl Signals {
    /// The first SIGTERM or SIGINT asks for the end, and the second ends the process.
    pub fn new(handle: ShutdownHandle) -> Self {
        Self {
            handle,
            copy: None,
            within: Duration::from_secs(SHUTDOWN_TIMEOUT),
        }
    }

    /// SIGUSR1 and SIGUSR2 pause this, and let it go on.
    #[must_use]
    pub fn pause(mut self, copy: CopyHandle) -> Self {
        self.copy = Some(copy);
        self
    }

    /// How long after the first the process ends all the same.
    #[must_use]
    pub const fn within(mut self, time: Duration) -> Self {
        self.within = time;
        self
    }

    /// Listens from now on, on a thread of its own: a process whose work hangs can be ended too.
    ///
    /// # Errors
    ///
    /// The system has no thread or no signal for us.
    pub fn listen(self) -> Result<()> {
        let (ready, is_ready) = mpsc::channel();
        let listen = move || {
            let runtime = tokio::runtime::Builder::new_current_thread()
                .enable_all()
                .build();
            let runtime = match runtime {
                Ok(runtime) => runtime,
                Err(error) => return drop(ready.send(Err(error))),
            };
            runtime.block_on(async {
                match Heard::new() {
                    Ok(heard) => {
                        let _ = ready.send(Ok(()));
                        self.follow(heard).await;
                    }
                    Err(error) => drop(ready.send(Err(error))),
                }
            });
        };
        let cannot = |error| Error::retry("cannot listen to signals").caused_by(error);
        std::thread::Builder::new()
            .name("signals".to_owned())
            .spawn(listen)
            .map_err(cannot)?;
        match is_ready.recv() {
            Ok(ready) => ready.map_err(cannot),
            Err(_) => Err(Error::retry("cannot listen to signals")),
        }
    }

    async fn follow(self, mut heard: Heard) {
        let mut asked = None;
        loop {
            let deadline = async {
                match asked {
                    Some(at) => tokio::time::sleep_until(at).await,
                    None => std::future::pending().await,
                }
            };
            tokio::select! {
                wish = heard.next() => match (wish, &self.copy) {
                    (Wish::End, _) => {}
                    (Wish::Pause, Some(copy)) => {
                        copy.pause();
                        continue;
                    }
                    (Wish::Resume, Some(copy)) => {
                        copy.resume();
                        continue;
                    }
                    _ => continue,
                },
                () = deadline => {
                    let seconds = self.within.as_secs();
                    ended(&Error::retry(format!(
                        "not finished within {seconds} s, so this ends as a crash would: nothing is lost, and what is not \
                         committed comes again with the next run"
                    )).with_hint(
                        "the destination has not answered, or has much to do; --shutdown-timeout gives it longer",
                    ));
                }
            }
            if asked.is_some() {
                ended(&Error::retry(
                    "ended at once by a second signal: nothing is lost, and what is not committed comes again with the \
                     next run",
                ));
            }
            asked = Some(tokio::time::Instant::now() + self.within);
            tracing::info!(
                at_most = ?self.within,
                "finishing what is begun; a second signal ends at once"
            );
            self.handle.shut_down();
        }
    }
}

/// As a crash; all that has to outlive it is at the destination.
fn ended(error: &Error) -> ! {
    log::report(error);
    std::process::exit(error.exit_code().into());
}

struct Heard {
    terminate: Signal,
    interrupt: Signal,
    pause: Signal,
    resume: Signal,
}

impl Heard {
    fn new() -> std::io::Result<Self> {
        Ok(Self {
            terminate: signal(SignalKind::terminate())?,
            interrupt: signal(SignalKind::interrupt())?,
            pause: signal(SignalKind::user_defined1())?,
            resume: signal(SignalKind::user_defined2())?,
        })
    }
}

/// What signals ask for.
enum Wish {
    End,
    Pause,
    Resume,
}

impl Heard {
    async fn next(&mut self) -> Wish {
        tokio::select! {
            biased;
            _ = self.terminate.recv() => Wish::End,
            _ = self.interrupt.recv() => Wish::End,
            _ = self.pause.recv() => Wish::Pause,
            _ = self.resume.recv() => Wish::Resume,
        }
    }
}
