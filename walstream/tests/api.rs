//! The public surface is the one written down in `api.txt`: nothing becomes public, or changes, by accident. And what a
//! consumer does with values of every type: sends them to other threads, shares them, prints them.

use std::fmt::Debug;

use walstream as w;

#[test]
fn the_public_surface_is_the_one_written_down() {
    testdata::check_surface(env!("CARGO_MANIFEST_DIR"), env!("CARGO_TARGET_TMPDIR"));
}

fn is<T: Debug + Send + Sync + 'static>() {}

fn is_cloned<T: Clone + Debug + Send + Sync + 'static>() {}

fn lends<T: Debug + Send + Sync>() {}

/// A future that can be given to `tokio::spawn`.
fn is_send<T: Send>(_: impl FnOnce() -> T) {}

#[test]
fn everything_can_go_to_another_thread_and_be_shared_and_printed() {
    is::<w::Client>();
    is::<w::Error>();
    is::<w::Event>();
    is::<w::Idle>();
    is::<w::LogicalMessage>();
    is::<w::RawStream>();
    is::<w::Stream>();
    is::<w::StreamBuilder>();
    is::<w::Token>();
    is::<w::Transaction>();
    is::<w::Progress>();
    is::<w::Router<Vec<u8>>>();
    is_cloned::<w::Backoff>();
    is_cloned::<w::Config>();
    is_cloned::<w::ErrorKind>();
    is_cloned::<w::Limits>();
    is_cloned::<w::RawToken>();
    is_cloned::<w::Reconnect>();
    is_cloned::<w::Relation>();
    is_cloned::<w::RowChange<String>>();
    is_cloned::<w::Slot>();
    is_cloned::<w::SlotOptions>();
    is_cloned::<w::StreamOptions>();
    lends::<w::Change<'_>>();
    lends::<w::Changes<'_>>();
    lends::<w::CopyOut<'_>>();
    lends::<w::RawFrame<'_>>();
    lends::<w::RawLot<'_>>();
}

#[test]
fn what_is_awaited_can_be_awaited_in_a_task() {
    is_send(|| w::Client::connect(never()));
    is_send(|| w::Client::connect_replication(never()));
    is_send(|| never::<&mut w::Client>().query(""));
    is_send(|| never::<w::StreamBuilder>().start());
    is_send(|| never::<&mut w::Stream>().next());
    is_send(|| never::<&mut w::Stream>().next_event());
    is_send(|| never::<w::Stream>().finish());
    is_send(|| never::<&mut w::RawStream>().next());
    is_send(|| never::<&mut w::RawStream>().next_lot());
    is_send(|| never::<&mut w::RawStream>().ready());
}

/// Is only named, never called.
fn never<T>() -> T {
    unreachable!()
}
