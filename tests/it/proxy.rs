//! A TCP proxy before a broker that harms the requests which end transactions, notes the epochs
//! under which they are sent, and holds requests of a kind back.

use std::collections::{BTreeMap, BTreeSet};
use std::io::{Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::sync::{Arc, Condvar, Mutex};
use std::time::Duration;

/// Request numbers of the protocol (kafka.apache.org/protocol).
pub const PRODUCE: i16 = 0;
pub const ADD_OFFSETS_TO_TXN: i16 = 25;
const ADD_PARTITIONS_TO_TXN: i16 = 24;
const END_TXN: i16 = 26;
const FRAME_BYTES_MAX: usize = 64 << 20;

/// What happens to a request that ends a transaction.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// It never reaches the broker, and the connection is cut.
    RequestLost,
    /// It reaches the broker; the connection is cut before its answer.
    AnswerLost,
    /// It reaches the broker so much later, and its connection lives on.
    Delayed(Duration),
}

/// What the proxy saw of transactions, in the order it saw them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Seen {
    /// A transaction gets partitions, which is how it begins: id and epoch of its producer.
    Begins(String, i16),
    /// A transaction is to end.
    Ends(String, i16),
    /// The request above was harmed.
    Harmed(String, i16),
}

/// Requests of one kind that wait.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Gate {
    /// None do.
    #[default]
    Open,
    /// None do until a transaction has ended.
    Closing(i16),
    /// All do.
    Closed(i16),
}

#[derive(Default)]
struct State {
    /// Faults for the next requests, the first of them last; `None` lets one pass.
    faults: Vec<Option<Fault>>,
    seen: Vec<Seen>,
    gate: Gate,
    /// How many requests wait.
    waiting: usize,
    connections: Vec<TcpStream>,
}

/// See the module; dropping it cuts every connection.
#[derive(Clone, Default)]
pub struct Proxy {
    state: Arc<Mutex<State>>,
    changed: Arc<Condvar>,
}

impl Proxy {
    /// Listens on `from` and passes everything on to `to`.
    pub fn start(from: TcpListener, to: String) -> Self {
        let proxy = Self::default();
        let own = proxy.clone();
        std::thread::spawn(move || {
            for client in from.incoming() {
                let Ok(client) = client else { return };
                // A broker that is away closes the connection, as it would without the proxy.
                let Ok(broker) = TcpStream::connect(&to) else { continue };
                own.pass(client, broker);
            }
        });
        proxy
    }

    /// What is done to the next requests, in order; further ones pass.
    pub fn harm(&self, faults: impl IntoIterator<Item = Option<Fault>>) {
        let mut faults: Vec<_> = faults.into_iter().collect();
        faults.reverse();
        self.state.lock().unwrap().faults = faults;
    }

    /// Waits until so many requests were harmed; `false` after `wait`.
    pub fn await_harmed(&self, count: usize, wait: Duration) -> bool {
        let harmed = |state: &mut State| {
            state.seen.iter().filter(|seen| matches!(seen, Seen::Harmed(..))).count() < count
        };
        let (_state, timeout) =
            self.changed.wait_timeout_while(self.state.lock().unwrap(), wait, harmed).unwrap();
        !timeout.timed_out()
    }

    /// Holds requests of a kind back until [`Proxy::let_go`].
    pub fn hold(&self, api: i16) {
        self.state.lock().unwrap().gate = Gate::Closed(api);
    }

    /// Lets those that wait pass, and holds those of the next transaction back.
    pub fn hold_next(&self, api: i16) {
        self.state.lock().unwrap().gate = Gate::Closing(api);
        self.changed.notify_all();
    }

    /// Waits until a request is held back; `false` after `wait`.
    pub fn await_held(&self, wait: Duration) -> bool {
        let none = |state: &mut State| !matches!(state.gate, Gate::Closed(_)) || state.waiting == 0;
        let (_state, timeout) =
            self.changed.wait_timeout_while(self.state.lock().unwrap(), wait, none).unwrap();
        !timeout.timed_out()
    }

    /// Waits for as long as requests of this kind are held back.
    fn wait(&self, api: i16) {
        let mut state = self.state.lock().unwrap();
        if state.gate == Gate::Closed(api) {
            state.waiting += 1;
            self.changed.notify_all();
            state =
                self.changed.wait_while(state, |state| state.gate == Gate::Closed(api)).unwrap();
            state.waiting -= 1;
        }
    }

    /// Lets everything pass.
    pub fn let_go(&self) {
        self.state.lock().unwrap().gate = Gate::Open;
        self.changed.notify_all();
    }

    fn ended(&self) {
        let mut state = self.state.lock().unwrap();
        if let Gate::Closing(api) = state.gate {
            state.gate = Gate::Closed(api);
        }
    }

    /// What was seen so far.
    pub fn seen(&self) -> Vec<Seen> {
        self.state.lock().unwrap().seen.clone()
    }

    fn note(&self, seen: Seen) {
        self.state.lock().unwrap().seen.push(seen);
        self.changed.notify_all();
    }

    fn pass(&self, client: TcpStream, broker: TcpStream) {
        let ends = [&client, &broker].map(|stream| stream.try_clone().unwrap());
        self.state.lock().unwrap().connections.extend(ends);
        let unanswered = Arc::new(Mutex::new(BTreeSet::new()));
        let (to_broker, to_client) = (broker.try_clone().unwrap(), client.try_clone().unwrap());
        let (proxy, lost) = (self.clone(), unanswered.clone());
        std::thread::spawn(move || proxy.requests(client, to_broker, &lost));
        std::thread::spawn(move || answers(broker, to_client, &unanswered));
    }

    /// Passes requests on until one of the ends is closed; `lost` gets the numbers of those whose
    /// answer is not to arrive.
    fn requests(&self, mut client: TcpStream, mut broker: TcpStream, lost: &Mutex<BTreeSet<i32>>) {
        while let Some(frame) = frame(&mut client) {
            let (api, correlation) = (
                i16::from_be_bytes([frame[4], frame[5]]),
                i32::from_be_bytes(frame[8..12].try_into().unwrap()),
            );
            self.wait(api);
            let mut wait = None;
            if api == ADD_PARTITIONS_TO_TXN || api == END_TXN {
                let (id, epoch) = producer(&frame);
                if api == ADD_PARTITIONS_TO_TXN {
                    self.note(Seen::Begins(id, epoch));
                } else {
                    self.note(Seen::Ends(id.clone(), epoch));
                    self.ended();
                    // Those of sources end by themselves: `ingest` tells that it does not know, and
                    // is run again.
                    let fault = if id.contains("-source-") {
                        None
                    } else {
                        self.state.lock().unwrap().faults.pop().flatten()
                    };
                    if fault.is_some() {
                        self.note(Seen::Harmed(id, epoch));
                    }
                    match fault {
                        None => {}
                        Some(Fault::RequestLost) => break,
                        Some(Fault::AnswerLost) => drop(lost.lock().unwrap().insert(correlation)),
                        Some(Fault::Delayed(time)) => wait = Some(time),
                    }
                }
            }
            if let Some(time) = wait {
                std::thread::park_timeout(time);
            }
            if broker.write_all(&frame).is_err() {
                break;
            }
        }
        client.shutdown(Shutdown::Both).ok();
        broker.shutdown(Shutdown::Both).ok();
    }
}

impl Drop for State {
    fn drop(&mut self) {
        for connection in &self.connections {
            connection.shutdown(Shutdown::Both).ok();
        }
    }
}

fn answers(mut broker: TcpStream, mut client: TcpStream, lost: &Mutex<BTreeSet<i32>>) {
    while let Some(frame) = frame(&mut broker) {
        let correlation = i32::from_be_bytes(frame[4..8].try_into().unwrap());
        if lost.lock().unwrap().remove(&correlation) || client.write_all(&frame).is_err() {
            break;
        }
    }
    client.shutdown(Shutdown::Both).ok();
    broker.shutdown(Shutdown::Both).ok();
}

/// One message with its length before it.
fn frame(stream: &mut TcpStream) -> Option<Vec<u8>> {
    let mut length = [0; 4];
    stream.read_exact(&mut length).ok()?;
    let size = u32::from_be_bytes(length) as usize;
    assert!((8..FRAME_BYTES_MAX).contains(&size), "a message of {size} bytes");
    let mut whole = length.to_vec();
    whole.resize(4 + size, 0);
    stream.read_exact(&mut whole[4..]).ok()?;
    Some(whole)
}

/// Transactional id and epoch at the start of a request: behind length, number, version,
/// correlation and the client's name.
fn producer(frame: &[u8]) -> (String, i16) {
    let sized = |from: usize| {
        let length = i16::from_be_bytes([frame[from], frame[from + 1]]).max(0) as usize;
        (from + 2, from + 2 + length)
    };
    let (_, behind_client) = sized(12);
    let (start, end) = sized(behind_client);
    let id = String::from_utf8(frame[start..end].to_vec()).unwrap();
    (id, i16::from_be_bytes([frame[end + 8], frame[end + 9]]))
}

/// Transactions that began under the epoch of a harmed request before a newer epoch was seen.
pub fn reused(seen: &[Seen]) -> Vec<Seen> {
    let mut harmed: BTreeMap<&str, i16> = BTreeMap::new();
    let mut wrong = Vec::new();
    for event in seen {
        match event {
            Seen::Harmed(id, epoch) => drop(harmed.insert(id, *epoch)),
            Seen::Begins(id, epoch) if harmed.get(id.as_str()) == Some(epoch) => {
                wrong.push(event.clone())
            }
            Seen::Begins(..) | Seen::Ends(..) => {}
        }
    }
    wrong
}
