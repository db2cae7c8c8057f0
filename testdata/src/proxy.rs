//! A network between a client and a server that a test can cut, freeze, slow down and lead elsewhere.

use std::collections::VecDeque;
use std::io::{ErrorKind, Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

/// Relays TCP connections to a port of this machine.
///
/// Dropping it cuts what is open and stops listening.
#[derive(Debug)]
pub struct Proxy {
    port: u16,
    network: Arc<Network>,
}

#[derive(Debug, Default)]
struct Network {
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Debug, Default)]
struct State {
    /// New connections go to these in turn.
    targets: VecDeque<u16>,
    /// Bytes a second in each direction of each connection; `None` for as fast as it goes.
    rate: Option<u64>,
    frozen: bool,
    refusing: bool,
    over: bool,
    /// Both ends of what is open.
    open: Vec<(TcpStream, TcpStream)>,
    accepted: usize,
}

/// As much as is passed on at once; small, so that messages are cut anywhere.
const PIECE: usize = 16 << 10;

impl Proxy {
    /// In front of a port of this machine.
    ///
    /// # Panics
    ///
    /// If no port can be had.
    pub fn to(target: u16) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
        let port = listener.local_addr().expect("its number").port();
        let network = Arc::new(Network::default());
        network.state().targets = [target].into();
        let shared = Arc::clone(&network);
        thread::spawn(move || {
            for client in listener.incoming() {
                let Ok(client) = client else { continue };
                if shared.state().over {
                    return;
                }
                shared.accept(client);
            }
        });
        Self { port, network }
    }

    /// The port to connect to instead, on 127.0.0.1.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// How many connections were passed on so far.
    pub fn accepted(&self) -> usize {
        self.network.state().accepted
    }

    /// Ends every open connection at once, on both sides.
    pub fn cut(&self) {
        let mut state = self.network.state();
        for (client, server) in state.open.drain(..) {
            let _ = client.shutdown(Shutdown::Both);
            let _ = server.shutdown(Shutdown::Both);
        }
        drop(state);
        self.network.changed.notify_all();
    }

    /// Passes nothing on any more, in either direction, and says so to nobody: a cable that was pulled. New connections
    /// are accepted and frozen too.
    pub fn freeze(&self) {
        self.network.state().frozen = true;
    }

    /// Goes on passing.
    pub fn thaw(&self) {
        self.network.state().frozen = false;
        self.network.changed.notify_all();
    }

    /// Lets each direction of each connection pass so many bytes a second; `None` for as fast as it goes.
    pub fn throttle(&self, bytes_a_second: Option<u64>) {
        self.network.state().rate = bytes_a_second;
    }

    /// Closes new connections as soon as they are made, until told otherwise.
    pub fn refuse(&self, refuse: bool) {
        self.network.state().refusing = refuse;
    }

    /// Leads new connections to another port.
    pub fn lead_to(&self, target: u16) {
        self.lead_in_turn([target]);
    }

    /// Leads new connections to one port after the other and then to the first again, as a name of several servers does.
    pub fn lead_in_turn(&self, targets: impl Into<VecDeque<u16>>) {
        self.network.state().targets = targets.into();
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        self.network.state().over = true;
        self.cut();
        // The listener looks when the next connection comes.
        let _ = TcpStream::connect(("127.0.0.1", self.port));
    }
}

impl Network {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn accept(self: &Arc<Self>, client: TcpStream) {
        let (target, refusing) = {
            let mut state = self.state();
            state.targets.rotate_left(1);
            let next = state.targets.back().copied();
            (next.expect("there is a target"), state.refusing)
        };
        if refusing {
            return;
        }
        let Ok(server) = TcpStream::connect(("127.0.0.1", target)) else {
            return;
        };
        let _ = (client.set_nodelay(true), server.set_nodelay(true));
        let ends = [&client, &server, &client, &server].map(TcpStream::try_clone);
        let [Ok(client), Ok(server), Ok(held_client), Ok(held_server)] = ends else {
            return;
        };
        {
            let mut state = self.state();
            state.accepted += 1;
            state.open.push((held_client, held_server));
        }
        for (from, to) in [
            (client.try_clone(), server.try_clone()),
            (Ok(server), Ok(client)),
        ] {
            let (Ok(from), Ok(to)) = (from, to) else {
                return;
            };
            let network = Arc::clone(self);
            thread::spawn(move || network.pass(from, to));
        }
    }

    /// One direction of one connection, until it ends.
    fn pass(&self, mut from: TcpStream, mut to: TcpStream) {
        let mut piece = vec![0; PIECE];
        loop {
            let rate = self.state().rate;
            // A tenth of a second's worth at a time keeps a slow network slow and not jerky.
            let most = rate.map_or(PIECE, |rate| {
                usize::try_from(rate / 10).map_or(PIECE, |most| most.clamp(1, PIECE))
            });
            let began = Instant::now();
            let read = match from.read(&mut piece[..most]) {
                Ok(0) => break,
                Ok(read) => read,
                Err(error) if error.kind() == ErrorKind::Interrupted => continue,
                Err(_) => break,
            };
            let mut state = self.state();
            while state.frozen && !state.over {
                state = self
                    .changed
                    .wait(state)
                    .unwrap_or_else(PoisonError::into_inner);
            }
            drop(state);
            if to.write_all(&piece[..read]).is_err() {
                break;
            }
            if let Some(rate) = rate {
                let time = Duration::from_secs_f64(read as f64 / rate.max(1) as f64);
                thread::sleep(time.saturating_sub(began.elapsed()));
            }
        }
        let _ = to.shutdown(Shutdown::Write);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A server that sends back what it gets.
    fn echo() -> u16 {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        thread::spawn(move || {
            for stream in listener.incoming() {
                let mut stream = stream.unwrap();
                thread::spawn(move || {
                    let mut copy = stream.try_clone().unwrap();
                    std::io::copy(&mut copy, &mut stream)
                });
            }
        });
        port
    }

    fn ask(stream: &mut TcpStream) -> std::io::Result<u8> {
        stream.write_all(b"x")?;
        let mut byte = [0];
        stream.read_exact(&mut byte)?;
        Ok(byte[0])
    }

    #[test]
    fn a_network_passes_cuts_freezes_and_refuses() {
        let proxy = Proxy::to(echo());
        let connect = || TcpStream::connect(("127.0.0.1", proxy.port())).unwrap();
        let mut stream = connect();
        assert_eq!(ask(&mut stream).unwrap(), b'x');

        proxy.freeze();
        let mut silent = connect();
        silent
            .set_read_timeout(Some(Duration::from_millis(100)))
            .unwrap();
        assert!(ask(&mut silent).is_err());
        proxy.thaw();
        silent.set_read_timeout(None).unwrap();
        let mut byte = [0];
        silent.read_exact(&mut byte).unwrap();

        proxy.cut();
        assert!(ask(&mut stream).is_err());
        proxy.refuse(true);
        assert!(ask(&mut connect()).is_err());
        proxy.refuse(false);
        assert_eq!(ask(&mut connect()).unwrap(), b'x');
        assert_eq!(proxy.accepted(), 3);
    }

    #[test]
    fn a_slow_network_takes_its_time() {
        let proxy = Proxy::to(echo());
        proxy.throttle(Some(10_000));
        let mut stream = TcpStream::connect(("127.0.0.1", proxy.port())).unwrap();
        let began = Instant::now();
        stream.write_all(&[7; 5000]).unwrap();
        stream.read_exact(&mut [0; 5000]).unwrap();
        assert!(began.elapsed() > Duration::from_millis(400));
    }
}
