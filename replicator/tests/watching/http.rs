//! Clients that are slow, greedy or hostile: replication goes on, others are answered, and memory stays what it was.

use std::fs;
use std::io::{ErrorKind, Write};
use std::net::TcpStream;
use std::time::Instant;

use crate::common::{PATIENCE, Running};
use crate::scrape::{address, connect, get, read, send};
use crate::site;

/// Another row arrives, and another client is answered.
fn goes_on(site: &crate::common::Site, running: &mut Running, address: &str) {
    site.sql("INSERT INTO t SELECT max(id) + 1, 'more' FROM t");
    let rows: usize = site
        .ask("SELECT count(*) FROM t")
        .parse()
        .expect("a number");
    running.until("the row arrives", || site.t().len() == rows);
    assert_eq!(get(address, "/livez").status, 200);
}

/// How many files and connections a process has open.
fn files(id: &str) -> usize {
    fs::read_dir(format!("/proc/{id}/fd"))
        .expect("its files")
        .count()
}

#[test]
fn clients_of_all_kinds_harm_nothing() {
    let site = site();
    let mut running = site.run(&["--metrics", "127.0.0.1:0"]);
    let address = address(&mut running);
    running.until("rows are there", || site.is_copied());
    goes_on(&site, &mut running, &address);
    let before = running.memory("VmRSS");
    let running_id = running.id().to_string();
    let open = files(&running_id);

    // What is no request for one of the three.
    for (request, status) in [
        ("GET / HTTP/1.1\r\nHost: x\r\n\r\n", 404),
        (
            "GET /metrics/../etc/passwd HTTP/1.1\r\nHost: x\r\n\r\n",
            404,
        ),
        (
            "POST /metrics HTTP/1.1\r\nHost: x\r\nContent-Length: 1000000\r\n\r\nabc",
            405,
        ),
        ("DELETE /readyz HTTP/1.1\r\nHost: x\r\n\r\n", 405),
        ("GET /livez HTTP/1.0\r\n\r\n", 200),
        ("HEAD /metrics HTTP/1.1\r\nHost: x\r\n\r\n", 200),
        ("GET /livez HTTP/9.9\r\nHost: x\r\n\r\n", 400),
        ("\u{16}\u{3}\u{1}\u{2}\r\n\r\n", 400),
    ] {
        let answer = send(&address, request.as_bytes());
        assert_eq!(answer.status, status, "{request}: {answer:?}");
    }
    // One answer a connection, however many requests come.
    let two = send(
        &address,
        b"GET /livez HTTP/1.1\r\nHost: x\r\n\r\nGET /livez HTTP/1.1\r\nHost: x\r\n\r\n",
    );
    assert_eq!(two.body.matches("alive").count(), 1, "{two:?}");

    // Heads without an end, of one line and of many.
    let line = format!("GET /{} HTTP/1.1\r\n", "a".repeat(4 << 20));
    let lines = format!("GET / HTTP/1.1\r\n{}", "a: b\r\n".repeat(1 << 20));
    for head in [line, lines] {
        let mut stream = connect(&address);
        // It stops listening in the middle.
        let _ = stream.write_all(head.as_bytes());
        let answer = read(stream);
        assert!([0, 400, 414, 431].contains(&answer.status), "{answer:?}");
    }
    goes_on(&site, &mut running, &address);

    // Hundreds that say nothing, half of a request, or do not take the answer.
    let mut idle: Vec<TcpStream> = Vec::new();
    for (count, bytes) in [
        (100, &b""[..]),
        (100, b"GET /metrics HT"),
        (100, b"GET /metrics HTTP/1.1\r\nHost: x\r\n\r\n"),
    ] {
        for _ in 0..count {
            let mut stream = connect(&address);
            // The oldest may be cut off already.
            let _ = stream.write_all(bytes);
            idle.push(stream);
        }
        if bytes.is_empty() {
            // The oldest gave way at once, and nobody else.
            let last = idle.pop().expect("a connection");
            assert_eq!(read(idle.remove(0)).status, 0);
            last.set_nonblocking(true).expect("a mode");
            let waits = last.peek(&mut [0]).expect_err("it was cut off too");
            assert_eq!(waits.kind(), ErrorKind::WouldBlock);
            idle.push(last);
        }
        running.until("most of them are gone", || files(&running_id) <= open + 40);
        goes_on(&site, &mut running, &address);
    }
    // And are cut off, without an answer, after a few seconds.
    let start = Instant::now();
    let mut slow = connect(&address);
    slow.write_all(b"GET /livez HTTP/1.1\r\n").expect("a part");
    assert!([0, 408].contains(&read(slow).status));
    assert!(start.elapsed() < PATIENCE, "it was not cut off");
    goes_on(&site, &mut running, &address);
    drop(idle);
    let after = running.memory("VmRSS");
    assert!(
        after < before + 16_000,
        "{before} kB before, {after} kB after"
    );
    running.terminate().done();
}
