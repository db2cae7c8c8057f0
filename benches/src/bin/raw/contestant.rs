//! Who receives.

use std::hint::black_box;
use std::process::{Command, Stdio};

use benches::Sum;
use benches::shape::Shape;
use rustix::process::{Pid, WaitId, WaitIdOptions, waitid};
use walstream::walproto::{Column, Decoder, Frame, Lsn, Message, Tuple};
use walstream::{Change, Client, Config, Limits, RawFrame, RawStream, Stream, StreamOptions};

use crate::Failure;

/// Somebody who receives a stream.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Contestant {
    /// For the command line of the process.
    pub(crate) name: &'static str,
    /// For the table.
    pub(crate) title: &'static str,
    pub(crate) role: Role,
    /// A program of its own, whose start cannot be told from the rest.
    pub(crate) counts_start: bool,
}

/// What is done with a row.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Role {
    /// `pg_recvlogical`, which writes it.
    Reference,
    /// Nothing: its bytes are there.
    Bytes,
    /// Every column is visited.
    Columns,
}

const fn contestant(name: &'static str, title: &'static str, role: Role) -> Contestant {
    Contestant {
        name,
        title,
        role,
        counts_start: matches!(role, Role::Reference),
    }
}

/// In the order of the table.
pub(crate) const CONTESTANTS: &[Contestant] = &[
    contestant(
        "pg_recvlogical",
        "pg_recvlogical > /dev/null",
        Role::Reference,
    ),
    contestant("lots", "walstream raw, by lots", Role::Bytes),
    contestant("frames", "walstream raw, by frames", Role::Bytes),
    #[cfg(feature = "peer-streams")]
    contestant("pgwire-replication", "pgwire-replication 0.5", Role::Bytes),
    #[cfg(feature = "peer-streams")]
    contestant("pg_walstream-raw", "pg_walstream 0.10 raw", Role::Bytes),
    contestant("lots-decoded", "walstream raw, by lots", Role::Columns),
    contestant("frames-decoded", "walstream raw, by frames", Role::Columns),
    contestant(
        "lots-decoded-threads",
        "  the same, several threads",
        Role::Columns,
    ),
    contestant("transactions", "walstream transactions", Role::Columns),
    contestant(
        "transactions-threads",
        "  the same, several threads",
        Role::Columns,
    ),
    #[cfg(feature = "peer-streams")]
    contestant("pg_walstream", "pg_walstream 0.10", Role::Columns),
];

/// From whom, and how much.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Target<'a> {
    pub(crate) shape: Shape,
    pub(crate) port: u16,
    pub(crate) user: &'a str,
    pub(crate) slot: &'a str,
    pub(crate) rows: usize,
    /// Behind the last row.
    pub(crate) end: u64,
}

/// What a run took.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Run {
    /// Nanoseconds.
    pub(crate) cpu: u64,
    /// Of what was visited, if columns were.
    pub(crate) sum: Option<Sum>,
}

impl Contestant {
    pub(crate) fn measure(&self, target: &Target<'_>) -> Result<Run, Failure> {
        if self.role == Role::Reference {
            return recvlogical(target);
        }
        let output = Command::new(std::env::current_exe()?)
            .args(["receive", self.name, target.shape.name])
            .args([target.user, &target.port.to_string(), target.slot])
            .arg(target.rows.to_string())
            .stderr(Stdio::inherit())
            .output()?;
        let text = String::from_utf8(output.stdout)?;
        let (cpu, sum) = text
            .trim()
            .split_once(' ')
            .ok_or_else(|| format!("{}: {text:?}", self.name))?;
        let mut visited = Sum::default();
        visited.number(sum.parse::<u64>()?);
        Ok(Run {
            cpu: cpu.parse()?,
            sum: (self.role == Role::Columns).then_some(visited),
        })
    }
}

fn recvlogical(target: &Target<'_>) -> Result<Run, Failure> {
    let connection = format!(
        "host=127.0.0.1 port={} user={} dbname=postgres sslmode=disable gssencmode=disable",
        target.port, target.user
    );
    let end = Lsn(target.end).to_string();
    let mut options = vec!["-o", "proto_version=1", "-o", "publication_names=p"];
    if target.shape.binary {
        options.extend(["-o", "binary=true"]);
    }
    let mut child = Command::new(testdata::program("pg_recvlogical"))
        .args(["--dbname", &connection, "--slot", target.slot, "--start"])
        .args(["--no-loop", "--file", "/dev/null", "--endpos", &end])
        .args(options)
        .spawn()?;
    // Its numbers are there until somebody has waited for it.
    let pid = Pid::from_child(&child);
    waitid(
        WaitId::Pid(pid),
        WaitIdOptions::EXITED | WaitIdOptions::NOWAIT,
    )?;
    let numbers = std::fs::read_to_string(format!("/proc/{}/schedstat", child.id()))?;
    if !child.wait()?.success() {
        return Err("pg_recvlogical failed".into());
    }
    let cpu = numbers.split_whitespace().next().unwrap_or_default();
    Ok(Run {
        cpu: cpu.parse()?,
        sum: None,
    })
}

/// The receiving process.
pub(crate) fn receive(
    name: &str,
    shape: &str,
    user: &str,
    port: &str,
    slot: &str,
    rows: &str,
) -> Result<(), Failure> {
    let place = Place {
        shape: Shape::named(shape)?,
        user: user.to_owned(),
        port: port.parse()?,
        slot: slot.to_owned(),
        rows: rows.parse()?,
    };
    let (name, threads) = match name.strip_suffix("-threads") {
        Some(name) => (name, true),
        None => (name, false),
    };
    let runtime = if threads {
        tokio::runtime::Builder::new_multi_thread()
            .worker_threads(2)
            .enable_all()
            .build()?
    } else {
        tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()?
    };
    let (start, sum) = match name {
        "lots" => runtime.block_on(lots(&place, false))?,
        "lots-decoded" => runtime.block_on(lots(&place, true))?,
        "frames" => runtime.block_on(frames(&place, false))?,
        "frames-decoded" => runtime.block_on(frames(&place, true))?,
        "transactions" => runtime.block_on(transactions(&place))?,
        #[cfg(feature = "peer-streams")]
        "pg_walstream" => runtime.block_on(crate::peers::pg_walstream(&place))?,
        #[cfg(feature = "peer-streams")]
        "pg_walstream-raw" => runtime.block_on(crate::peers::pg_walstream_raw(&place))?,
        #[cfg(feature = "peer-streams")]
        "pgwire-replication" => runtime.block_on(crate::peers::pgwire_replication(&place))?,
        _ => return Err(format!("nobody is called {name}").into()),
    };
    let cpu = benches::cpu_time() - start;
    println!("{cpu} {}", sum.value());
    // The connection ends as that of a process that is gone.
    std::process::exit(0);
}

/// Where a receiving process receives, and how much.
pub(crate) struct Place {
    pub(crate) shape: Shape,
    pub(crate) user: String,
    pub(crate) port: u16,
    pub(crate) slot: String,
    pub(crate) rows: usize,
}

impl Place {
    pub(crate) fn url(&self) -> String {
        let Self { user, port, .. } = self;
        format!("postgres://{user}@127.0.0.1:{port}/postgres?sslmode=disable")
    }

    async fn client(&self) -> Result<(Client, StreamOptions), Failure> {
        let client = Client::connect_replication(&Config::parse(&self.url())?).await?;
        let options = StreamOptions {
            binary: self.shape.binary,
            streaming: walstream::Streaming::Off,
            ..StreamOptions::new(&self.slot, ["p"])
        };
        Ok((client, options))
    }

    async fn raw(&self) -> Result<RawStream, Failure> {
        let (client, options) = self.client().await?;
        Ok(RawStream::start(client, &options, Lsn::ZERO, 32 << 20).await?)
    }
}

/// Counts rows, and visits columns where that is wanted.
struct Visitor {
    decoder: Decoder,
    columns: bool,
    rows: usize,
    sum: Sum,
}

impl Visitor {
    fn new(place: &Place, columns: bool) -> Self {
        Self {
            decoder: Decoder::new().binary(place.shape.binary),
            columns,
            rows: 0,
            sum: Sum::default(),
        }
    }

    #[inline(always)]
    fn see(&mut self, frame: RawFrame<'_>) -> Result<(), Failure> {
        if self.columns {
            if let Frame::WalData(wal) = frame.parse()?
                && let Message::Insert(insert) = self.decoder.decode(wal.data)?.message
            {
                self.rows += 1;
                visit(&mut self.sum, insert.new);
            }
        } else if frame.bytes().get(25) == Some(&b'I') {
            self.rows += 1;
            black_box(frame.bytes());
        }
        Ok(())
    }
}

#[inline(always)]
fn visit(sum: &mut Sum, row: Tuple<'_>) {
    for column in row.columns() {
        match column {
            Column::Null => sum.null(),
            Column::Unchanged => sum.unchanged(),
            Column::Text(value) | Column::Binary(value) => sum.bytes(value),
        }
    }
}

async fn lots(place: &Place, columns: bool) -> Result<(u64, Sum), Failure> {
    let mut stream = place.raw().await?;
    let start = benches::cpu_time();
    let mut visitor = Visitor::new(place, columns);
    while visitor.rows < place.rows {
        let lot = stream.next_lot().await?.ok_or("the stream ended")?;
        for frame in lot.frames() {
            visitor.see(frame)?;
        }
    }
    Ok((start, visitor.sum))
}

async fn frames(place: &Place, columns: bool) -> Result<(u64, Sum), Failure> {
    let mut stream = place.raw().await?;
    let start = benches::cpu_time();
    let mut visitor = Visitor::new(place, columns);
    while visitor.rows < place.rows {
        let frame = stream.next().await?.ok_or("the stream ended")?;
        visitor.see(frame)?;
    }
    Ok((start, visitor.sum))
}

async fn transactions(place: &Place) -> Result<(u64, Sum), Failure> {
    let (client, options) = place.client().await?;
    let mut stream = Stream::start(client, &options, Lsn::ZERO, Limits::default()).await?;
    let start = benches::cpu_time();
    let (mut rows, mut sum) = (0, Sum::default());
    while rows < place.rows {
        let mut transaction = stream.next().await?.ok_or("the stream ended")?;
        let mut changes = transaction.changes()?;
        while let Some((_, change)) = changes.next()? {
            if let Change::Insert { new, .. } = change {
                rows += 1;
                visit(&mut sum, new);
            }
        }
    }
    Ok((start, sum))
}
