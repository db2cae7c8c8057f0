//! What the kernel saw of the replicator: writes and syncs of the destination, and messages to the source.

use std::collections::HashMap;
use std::path::Path;
use std::process::Command;

/// `program` under strace, which writes what matters here into `output`.
pub(crate) fn traced(output: &Path, program: &Command) -> Command {
    let mut strace = Command::new("strace");
    strace
        // As a grandchild, so that signals and exit codes are the program's own.
        .args(["-D", "-f", "-y", "-xx", "-s", "70000", "-o"])
        .arg(output);
    strace.args([
        "-e",
        "trace=pwrite64,pwritev,write,writev,sendto,sendmsg,fsync,fdatasync,sync_file_range",
    ]);
    strace
        .arg("--")
        .arg(program.get_program())
        .args(program.get_args());
    for (name, value) in program.get_envs() {
        match value {
            Some(value) => strace.env(name, value),
            None => strace.env_remove(name),
        };
    }
    strace
}

/// A system call that has returned.
#[derive(Debug, PartialEq, Eq)]
enum Call {
    /// Bytes into the log.
    Write(Vec<u8>),
    /// The log is on disk.
    Sync,
    /// Bytes to a server.
    Send(Vec<u8>),
}

/// A position as the text of the position row.
pub(crate) fn as_text(lsn: u64) -> Vec<u8> {
    format!("{:X}/{:X}", lsn >> 32, lsn & 0xFFFF_FFFF).into_bytes()
}

/// Fails unless each position that the source was told was on disk before.
///
/// A position is on disk when what holds it, in the given form, was written to the file whose name ends like `log`, and
/// that was synced after; `positions` is how many different ones must have been told at least, so that an empty trace
/// does not pass.
pub(crate) fn assert_durable_before_confirmed(
    trace: &str,
    log: &str,
    form: impl Fn(u64) -> Vec<u8>,
    positions: usize,
) {
    let mut written: Vec<u8> = Vec::new();
    let mut durable: Vec<u8> = Vec::new();
    let mut told = Vec::new();
    let calls = calls(trace, log);
    for call in &calls {
        match call {
            Call::Write(bytes) => written.extend(bytes),
            Call::Sync => durable.append(&mut written),
            Call::Send(bytes) => {
                for flushed in status_updates(bytes) {
                    // The first updates repeat nothing, and 0/0 says nothing.
                    if flushed == 0 || told.contains(&flushed) {
                        continue;
                    }
                    // What was confirmed by an earlier process is durable since then.
                    if !told.is_empty() {
                        assert!(
                            contains(&durable, &form(flushed)),
                            "{flushed:X} was told to the source before it was durable"
                        );
                    }
                    told.push(flushed);
                }
            }
        }
    }
    assert!(
        told.len() >= positions,
        "only {} positions were told in {} calls",
        told.len(),
        calls.len()
    );
}

/// The calls in the order in which they returned; a send counts from when it began, as the bytes may leave at once.
fn calls(trace: &str, log: &str) -> Vec<Call> {
    let mut begun: HashMap<&str, &str> = HashMap::new();
    let mut calls = Vec::new();
    for line in trace.lines() {
        let Some((process, rest)) = line.trim_start().split_once(char::is_whitespace) else {
            continue;
        };
        let rest = rest.trim_start();
        if let Some(start) = rest.strip_suffix("<unfinished ...>") {
            if is_send(start) {
                calls.extend(call(start, log));
            } else {
                begun.insert(process, start);
            }
        } else if rest.starts_with("<...") {
            if let Some(start) = begun.remove(process)
                && !rest.contains("= -1")
            {
                calls.extend(call(start, log));
            }
        } else if !rest.contains(") = -1") {
            calls.extend(call(rest, log));
        }
    }
    calls
}

fn is_send(text: &str) -> bool {
    let Some((name, arguments)) = text.split_once('(') else {
        return false;
    };
    ["sendto", "sendmsg", "write", "writev"].contains(&name)
        && file(arguments).starts_with("socket:")
}

fn call(text: &str, log: &str) -> Option<Call> {
    let (name, arguments) = text.split_once('(')?;
    let log = file(arguments).ends_with(log);
    match name {
        "pwrite64" | "pwritev" | "write" | "writev" if log => Some(Call::Write(bytes(arguments))),
        "fsync" | "fdatasync" if log => Some(Call::Sync),
        _ if is_send(text) => Some(Call::Send(bytes(arguments))),
        _ => None,
    }
}

/// What the first argument, `9<…>`, says is open there; its letters are written as numbers.
fn file(arguments: &str) -> String {
    let name = arguments
        .split_once('<')
        .and_then(|(_, rest)| Some(rest.split_once('>')?.0));
    let name = name.unwrap_or_default();
    if name.starts_with("\\x") {
        String::from_utf8_lossy(&escaped(name)).into_owned()
    } else {
        name.to_owned()
    }
}

/// The bytes of all texts in the arguments, written as `"\x64\x00…"`.
fn bytes(arguments: &str) -> Vec<u8> {
    arguments
        .split('"')
        .skip(1)
        .step_by(2)
        .flat_map(escaped)
        .collect()
}

fn escaped(text: &str) -> Vec<u8> {
    let digits = text.split("\\x").skip(1);
    digits
        .map(|digits| u8::from_str_radix(digits, 16).expect("two digits of a byte"))
        .collect()
}

/// The flushed positions of the status updates in what was sent: `d`, length 38, `r`, written, flushed, …
fn status_updates(sent: &[u8]) -> Vec<u64> {
    const HEAD: [u8; 6] = [b'd', 0, 0, 0, 38, b'r'];
    let places = sent
        .windows(HEAD.len() + 16)
        .filter(|window| window.starts_with(&HEAD));
    places
        .filter_map(|window| {
            window
                .last_chunk()
                .map(|flushed| u64::from_be_bytes(*flushed))
        })
        .collect()
}

fn contains(bytes: &[u8], part: &[u8]) -> bool {
    bytes.windows(part.len()).any(|window| window == part)
}

/// A trace with the calls in the wrong order must not pass.
#[test]
fn a_confirmation_before_the_sync_is_found() {
    let hex = |bytes: &[u8]| {
        bytes
            .iter()
            .map(|byte| format!("\\x{byte:02x}"))
            .collect::<String>()
    };
    let send = |flushed: u64| {
        let mut bytes = vec![b'd', 0, 0, 0, 38, b'r'];
        bytes.extend(flushed.to_be_bytes());
        bytes.extend(flushed.to_be_bytes());
        bytes.extend([0; 17]);
        format!(
            "12 sendto(9<socket:[1]>, \"{}\", 39, MSG_NOSIGNAL, NULL, 0) = 39\n",
            hex(&bytes)
        )
    };
    let write = format!(
        "13 pwrite64(11</tmp/x.db-wal>, \"{}\", 10, 32) = 10\n",
        hex(b"..0/2A....")
    );
    let sync = "13 fdatasync(11</tmp/x.db-wal>) = 0\n";
    let begun = "13 fdatasync(11</tmp/x.db-wal> <unfinished ...>\n";
    let ended = "13 <... fdatasync resumed>) = 0\n";
    let check = |trace: &str, positions| {
        assert_durable_before_confirmed(trace, ".db-wal", as_text, positions);
    };
    let ok = [send(1), write.clone(), sync.to_owned(), send(42)].concat();
    check(&ok, 2);
    for wrong in [
        [send(1), write.clone(), send(42), sync.to_owned()].concat(),
        [send(1), sync.to_owned(), write.clone(), send(42)].concat(),
        [
            send(1),
            write.clone(),
            begun.to_owned(),
            send(42),
            ended.to_owned(),
        ]
        .concat(),
        [send(1), write, sync.to_owned(), send(43)].concat(),
    ] {
        assert!(
            std::panic::catch_unwind(|| check(&wrong, 2)).is_err(),
            "{wrong}"
        );
    }
    assert!(std::panic::catch_unwind(|| check("", 1)).is_err());
}
