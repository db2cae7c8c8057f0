//! Who waits for a stream is woken: by what comes, by the wish to stop, whoever polled last.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Wake, Waker};

use futures_core::Stream as _;
use testdata::writer;
use tokio::io::AsyncWriteExt;
use tokio::net::UnixStream;
use tokio::sync::oneshot;

use super::*;
use crate::scripted::{copy_data, insert, update, whole};

const TIMEOUT: Duration = Duration::from_secs(15);

fn start() -> (UnixStream, Stream) {
    let (server, client) = UnixStream::pair().unwrap();
    let mut channel = Channel::from(client);
    channel.set_limit(1 << 30);
    let stream = Stream::over(channel, TIMEOUT, Decoder::new(), Limits::default());
    (server, stream)
}

fn with_stop(stream: Stream, stop: impl Future<Output = ()> + Send + 'static) -> Stream {
    let stop = Stop::When(Mutex::new(Box::pin(stop)));
    Stream { stop, ..stream }
}

/// Counts how often it was woken.
#[derive(Default)]
struct Task(AtomicUsize);

impl Wake for Task {
    fn wake(self: Arc<Self>) {
        self.0.fetch_add(1, Ordering::SeqCst);
    }
}

impl Task {
    fn woken(&self) -> usize {
        self.0.load(Ordering::SeqCst)
    }

    async fn is_woken(&self) {
        while self.woken() == 0 {
            tokio::task::yield_now().await;
        }
    }
}

fn poll(stream: &mut Stream, task: &Arc<Task>) -> Poll<Option<Result<Transaction, Error>>> {
    let waker = Waker::from(Arc::clone(task));
    Pin::new(stream).poll_next(&mut Context::from_waker(&waker))
}

#[tokio::test]
async fn the_task_that_polled_last_is_woken_and_no_other() {
    let (mut server, mut stream) = start();
    let tasks: [Arc<Task>; 3] = Default::default();
    for task in &tasks {
        assert!(poll(&mut stream, task).is_pending());
    }
    server.write_all(&whole(100, &[insert("1")])).await.unwrap();
    tasks[2].is_woken().await;
    assert_eq!(tasks.each_ref().map(|task| task.woken()), [0, 0, 1]);
    assert!(matches!(
        poll(&mut stream, &tasks[2]),
        Poll::Ready(Some(Ok(_)))
    ));
}

#[tokio::test]
async fn what_came_between_two_polls_needs_no_waking() {
    let (mut server, mut stream) = start();
    server.write_all(&whole(100, &[insert("1")])).await.unwrap();
    while stream.progress().received() != Lsn(108) {
        tokio::task::yield_now().await;
    }
    assert!(poll(&mut stream, &Arc::default()).is_ready());
}

#[tokio::test]
async fn the_wish_to_stop_wakes_who_polled_last() {
    let (sender, receiver) = oneshot::channel::<()>();
    let (_server, stream) = start();
    let mut stream = with_stop(stream, async { drop(receiver.await) });
    let tasks: [Arc<Task>; 2] = Default::default();
    for task in &tasks {
        assert!(poll(&mut stream, task).is_pending());
    }
    drop(sender);
    assert_eq!(tasks.each_ref().map(|task| task.woken()), [0, 1]);
    for _ in 0..2 {
        // Once it was ready it must not be polled again.
        assert!(matches!(poll(&mut stream, &tasks[1]), Poll::Ready(None)));
    }
}

#[tokio::test]
async fn a_stream_that_is_to_stop_hands_out_nothing_more() {
    let (mut server, stream) = start();
    let mut stream = with_stop(stream, async {});
    server.write_all(&whole(100, &[insert("1")])).await.unwrap();
    while stream.progress().received() != Lsn(108) {
        tokio::task::yield_now().await;
    }
    assert!(matches!(
        poll(&mut stream, &Arc::default()),
        Poll::Ready(None)
    ));
    assert!(stream.try_transaction().is_none());
    assert!(stream.next_event().await.unwrap().is_none());
}

/// A keepalive that is not for the consumer ends no wait, and answers the server all the same.
#[tokio::test]
async fn a_wait_for_transactions_outlasts_positions_without_changes() {
    let (mut server, mut stream) = start();
    let waiting = tokio::spawn(async move { stream.next().await });
    for wal_end in [200, 300] {
        let keepalive = copy_data(&writer::keepalive(wal_end, 0, 1));
        server.write_all(&keepalive).await.unwrap();
        while update(&mut server).await.0 != wal_end {}
    }
    assert!(!waiting.is_finished());
    server.write_all(&whole(400, &[insert("1")])).await.unwrap();
    let transaction = waiting.await.unwrap().unwrap().unwrap();
    assert_eq!(transaction.end_lsn(), Lsn(408));
}

/// With a position of the consumer's own they confirm nothing, and take no place before what comes later.
#[tokio::test]
async fn positions_that_nobody_can_store_hold_nothing() {
    let (mut server, stream) = start();
    let mut stream = Stream {
        confirms_idle: false,
        ..stream
    };
    let mut sent = copy_data(&writer::keepalive(200, 0, 1));
    sent.extend(whole(400, &[insert("1")]));
    sent.extend(copy_data(&writer::keepalive(500, 0, 1)));
    sent.extend(whole(600, &[insert("1")]));
    for part in sent.chunks(60) {
        // In pieces, so that the consumer meets each of them.
        server.write_all(part).await.unwrap();
        tokio::task::yield_now().await;
        let _ = poll(&mut stream, &Arc::default()).map(|it| it.unwrap().unwrap().confirm());
    }
    while stream.progress().durable() < Lsn(608) {
        let _ = poll(&mut stream, &Arc::default()).map(|it| it.unwrap().unwrap().confirm());
        tokio::task::yield_now().await;
    }
}
