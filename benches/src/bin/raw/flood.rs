//! A scripted server that sends from memory as fast as it is read from.

use std::io::{self, BufRead, BufReader, Write};
use std::net::TcpListener;
use std::process::{Child, Command, Stdio};

use benches::peer::{EMPTY, Peer};
use benches::shape::Shape;

use crate::Failure;
use crate::contestant::{CONTESTANTS, Target};
use crate::table::Table;

/// What is sent in one run.
const LENGTH: usize = 96 << 20;

const ROUNDS: usize = 7;

pub(crate) fn measure(shapes: &[&str]) -> Result<(), Failure> {
    println!("From memory, over loopback TCP\n");
    for shape in Shape::chosen(shapes)? {
        let flood = Flood::start(&shape)?;
        let mut table = Table::new(shape.title, flood.length, flood.rows);
        for _ in 0..ROUNDS {
            for contestant in CONTESTANTS {
                let target = Target {
                    shape,
                    port: flood.port,
                    user: "me",
                    slot: "s",
                    rows: flood.rows,
                    end: flood.end,
                };
                let mut run = contestant.measure(&target)?;
                let nothing = Target {
                    slot: EMPTY,
                    rows: 0,
                    ..target
                };
                if contestant.counts_start {
                    run.cpu = run.cpu.saturating_sub(contestant.measure(&nothing)?.cpu);
                }
                table.add(contestant, run)?;
            }
        }
        table.print();
    }
    Ok(())
}

/// The sending process.
struct Flood {
    child: Child,
    port: u16,
    length: usize,
    rows: usize,
    end: u64,
}

impl Flood {
    fn start(shape: &Shape) -> Result<Self, Failure> {
        let mut child = Command::new(std::env::current_exe()?)
            .args(["flood-from", shape.name])
            .stdout(Stdio::piped())
            .spawn()?;
        let mut line = String::new();
        let out = child.stdout.take().ok_or("no output")?;
        BufReader::new(out).read_line(&mut line)?;
        let numbers: Vec<u64> = line
            .split_whitespace()
            .map(str::parse)
            .collect::<Result<_, _>>()?;
        let [port, length, rows, end] = numbers[..] else {
            return Err(format!("the flood said {line:?}").into());
        };
        Ok(Self {
            child,
            port: u16::try_from(port)?,
            length: usize::try_from(length)?,
            rows: usize::try_from(rows)?,
            end,
        })
    }
}

impl Drop for Flood {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// The sending process: says where it is, then serves one connection after the other.
pub(crate) fn serve(shape: &str) -> Result<(), Failure> {
    let flow = Shape::named(shape)?.flow(LENGTH);
    let listener = TcpListener::bind("127.0.0.1:0")?;
    let port = listener.local_addr()?.port();
    println!("{port} {} {} {}", flow.bytes.len(), flow.rows, flow.end);
    io::stdout().flush()?;
    for socket in listener.incoming() {
        // Who has seen the last row leaves, whatever is under way.
        let _ = Peer::new(socket?).stream(&flow);
    }
    Ok(())
}
