//! The other published clients, each as its documentation says.

use std::hint::black_box;
use std::time::Duration;

use benches::Sum;
use pg_walstream::{
    CancellationToken, EventType, LogicalReplicationStream, ReplicationStreamConfig, RetryConfig,
    StreamingMode,
};
use pgwire_replication::{ReplicationClient, ReplicationConfig, ReplicationEvent, TlsConfig};

use crate::Failure;
use crate::contestant::Place;

async fn connect(place: &Place) -> Result<LogicalReplicationStream, Failure> {
    let second = Duration::from_secs(1);
    let config = ReplicationStreamConfig::new(
        place.slot.clone(),
        "p".to_owned(),
        1,
        StreamingMode::Off,
        10 * second,
        30 * second,
        60 * second,
        RetryConfig::default(),
    )
    .with_binary(place.shape.binary);
    let url = format!("{}&replication=database&gssencmode=disable", place.url());
    let mut stream = LogicalReplicationStream::new(&url, config).await?;
    stream.start(None).await?;
    Ok(stream)
}

pub(crate) async fn pg_walstream(place: &Place) -> Result<(u64, Sum), Failure> {
    let mut stream = connect(place).await?;
    let cancel = CancellationToken::new();
    let start = benches::cpu_time();
    let (mut rows, mut sum) = (0, Sum::default());
    while rows < place.rows {
        let event = stream.next_event(&cancel).await?;
        if let EventType::Insert { data, .. } = event.event_type {
            rows += 1;
            for (_, value) in data.iter() {
                if value.is_null() {
                    sum.null();
                } else {
                    sum.bytes(value.as_bytes());
                }
            }
        }
    }
    Ok((start, sum))
}

pub(crate) async fn pg_walstream_raw(place: &Place) -> Result<(u64, Sum), Failure> {
    let mut stream = connect(place).await?;
    let cancel = CancellationToken::new();
    let start = benches::cpu_time();
    let mut rows = 0;
    while rows < place.rows {
        let frame = stream.next_raw_event(&cancel).await?;
        if frame.data.first() == Some(&b'I') {
            rows += 1;
            black_box(&frame.data);
        }
    }
    Ok((start, Sum::default()))
}

pub(crate) async fn pgwire_replication(place: &Place) -> Result<(u64, Sum), Failure> {
    let config = ReplicationConfig::new("127.0.0.1", &place.user, "", "postgres", &place.slot, "p")
        .with_port(place.port)
        .with_tls(TlsConfig::disabled())
        .with_binary(place.shape.binary);
    let mut client = ReplicationClient::connect(config).await?;
    let start = benches::cpu_time();
    let mut rows = 0;
    while rows < place.rows {
        match client.recv().await?.ok_or("the stream ended")? {
            ReplicationEvent::XLogData { data, .. } if data.first() == Some(&b'I') => {
                rows += 1;
                black_box(&data);
            }
            _ => {}
        }
    }
    Ok((start, Sum::default()))
}
