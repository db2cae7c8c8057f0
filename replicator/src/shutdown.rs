//! Asking a run to end.

use tokio::sync::watch;

/// Ends a run: finish the batch, store the position, confirm it, close the connections.
#[derive(Clone, Debug)]
pub struct ShutdownHandle(watch::Sender<bool>);

impl ShutdownHandle {
    /// A handle and what [`run`](crate::run()) wants of it.
    pub fn new() -> (Self, Shutdown) {
        let (sender, receiver) = watch::channel(false);
        (Self(sender), Shutdown(receiver))
    }

    /// Asks for the end. Asking again changes nothing.
    pub fn shut_down(&self) {
        self.0.send_replace(true);
    }
}

/// The side that is asked. When every handle is gone nobody can ask any more, and the run goes on.
#[derive(Clone, Debug)]
pub struct Shutdown(watch::Receiver<bool>);

impl Shutdown {
    /// Waits until the end is asked for.
    ///
    /// # Cancel safety
    ///
    /// Nothing is lost when the future is dropped.
    pub async fn asked(&mut self) {
        if self.0.wait_for(|&asked| asked).await.is_err() {
            std::future::pending::<()>().await;
        }
    }

    /// Whether the end was asked for.
    pub fn is_asked(&self) -> bool {
        *self.0.borrow()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn what_was_asked_before_waiting_is_heard() {
        let (handle, mut shutdown) = ShutdownHandle::new();
        assert!(!shutdown.is_asked());
        handle.shut_down();
        drop(handle);
        shutdown.asked().await;
        assert!(shutdown.is_asked());
    }

    #[tokio::test(start_paused = true)]
    async fn a_run_outlives_its_handles() {
        let (handle, mut shutdown) = ShutdownHandle::new();
        drop(handle);
        let hour = std::time::Duration::from_secs(3600);
        assert!(tokio::time::timeout(hour, shutdown.asked()).await.is_err());
    }
}
