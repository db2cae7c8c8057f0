//! The raw stream allocates nothing once it is under way, and what is kept of it takes what it is long.

use std::net::TcpListener;

use allocation_counter::measure;
use benches::peer::Peer;
use benches::shape::Shape;
use tokio::runtime::Runtime;
use walstream::walproto::{Decoder, Frame, Lsn, Message};
use walstream::{Client, Config, RawFrame, RawStream, StreamOptions};

/// What the runtime allocates for a call of `block_on`, however long that takes.
const RUNTIME: u64 = 2;

/// Rows until every buffer and queue has its size.
const WARM: usize = 20_000;

/// A stream of rows of five short columns, and how many there are. All of our side runs on this thread.
fn stream() -> (Runtime, RawStream, usize) {
    let flow = Shape::named("text-5").unwrap().flow(16 << 20);
    let rows = flow.rows;
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    std::thread::spawn(move || {
        let (socket, _) = listener.accept().unwrap();
        let _ = Peer::new(socket).stream(&flow);
    });
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap();
    let url = format!("postgres://me@127.0.0.1:{port}/postgres?sslmode=disable");
    let stream = runtime.block_on(async {
        let config = Config::parse(&url).unwrap();
        let client = Client::connect_replication(&config).await.unwrap();
        let options = StreamOptions::new("s", ["p"]);
        RawStream::start(client, &options, Lsn::ZERO, 32 << 20)
            .await
            .unwrap()
    });
    (runtime, stream, rows)
}

/// How many columns its row has, if it is one.
fn columns(decoder: &mut Decoder, frame: RawFrame<'_>) -> Option<usize> {
    let Ok(Frame::WalData(wal)) = frame.parse() else {
        return None;
    };
    match decoder.decode(wal.data).unwrap().message {
        Message::Insert(insert) => Some(insert.new.columns().count()),
        _ => None,
    }
}

#[test]
fn nothing_is_allocated_once_the_stream_is_under_way() {
    let (runtime, mut stream, all) = stream();
    let mut decoder = Decoder::new();
    let mut seen = 0;
    let mut take = |stream: &mut RawStream, until: usize, lots: bool| {
        runtime.block_on(async {
            while seen < until {
                let token = if lots {
                    let lot = stream.next_lot().await.unwrap().unwrap();
                    for frame in lot.frames() {
                        seen += usize::from(columns(&mut decoder, frame) == Some(5));
                    }
                    lot.token()
                } else {
                    let frame = stream.next().await.unwrap().unwrap();
                    seen += usize::from(columns(&mut decoder, frame) == Some(5));
                    frame.token()
                };
                token.confirm();
            }
        });
        seen
    };
    take(&mut stream, WARM, true);
    take(&mut stream, 2 * WARM, false);
    let lots = measure(|| assert!(take(&mut stream, all / 2, true) >= all / 2));
    assert!(lots.count_total <= RUNTIME, "by lots: {lots:?}");
    let frames = measure(|| assert_eq!(take(&mut stream, all, false), all));
    assert!(frames.count_total <= RUNTIME, "by frames: {frames:?}");
}

#[test]
fn a_thousand_kept_frames_take_kilobytes_and_not_read_buffers() {
    const KEPT: usize = 1000;
    let (runtime, mut stream, rows) = stream();
    let mut kept = Vec::with_capacity(KEPT);
    let mut seen = 0;
    let mut bytes = 0;
    let info = measure(|| {
        runtime.block_on(async {
            while seen < rows {
                let frame = stream.next().await.unwrap().unwrap();
                let Some(b'I') = frame.bytes().get(25) else {
                    continue;
                };
                seen += 1;
                // From every buffer that there is.
                if seen % (rows / KEPT) == 0 && kept.len() < KEPT {
                    bytes += frame.bytes().len();
                    kept.push(frame.to_bytes());
                }
            }
        });
    });
    assert_eq!(kept.len(), KEPT);
    let held = usize::try_from(info.bytes_current).unwrap();
    // Two read buffers and the queues stay with the stream, however much is kept.
    let streams = 600 << 10;
    assert!(held < 2 * bytes + streams, "{held} bytes for {bytes}");
}

#[test]
fn a_consumer_that_is_behind_gives_buffers_back() {
    let (runtime, mut stream, all) = stream();
    let mut rows = 0;
    let mut take = |until: usize, behind: usize| {
        runtime.block_on(async {
            for _ in 0..behind {
                tokio::task::yield_now().await;
            }
            while rows < until {
                let lot = stream.next_lot().await.unwrap().unwrap();
                rows += lot
                    .frames()
                    .filter(|frame| frame.bytes().get(25) == Some(&b'I'))
                    .count();
                // One is read for each that is seen.
                tokio::task::yield_now().await;
            }
        });
    };
    take(all / 4, 6);
    let info = measure(|| take(all, 0));
    // A buffer more now and then; one for each read would be fifty.
    assert!(info.count_total < 12, "{info:?}");
}
