//! Stops beside peers that ignore GOAWAY: they are cut at the drain timeout, whatever keeps their connection open.

use std::io::{self, Read, Write};
use std::net::TcpStream;
use std::thread;

use dataflow_tests::binary::Service;
use dataflow_tests::eventually::{TIMEOUT, eventually_blocking};
use nix::sys::signal::Signal;

use super::{ANALYZE, REFLECT};

/// Nothing but the drain timeout ends a call of a peer that sends nothing.
const FLAGS: [&str; 6] =
    ["--drain-timeout", "1s", "--body-idle-timeout", "10m", "--upload-idle-timeout", "10m"];

/// Types of frames (RFC 9113, 6).
const DATA: u8 = 0;
const HEADERS: u8 = 1;
const SETTINGS: u8 = 4;
const GOAWAY: u8 = 7;

/// The flag of HEADERS by which they are complete.
const END_HEADERS: u8 = 4;

/// A peer that only sends. It acknowledges neither settings nor pings, and never closes its connection.
struct Peer {
    stream: TcpStream,
    /// Its next stream.
    next: u32,
}

// === impl Peer ===

impl Peer {
    fn connect(address: &str) -> Self {
        let mut stream = TcpStream::connect(address).unwrap();
        stream.set_read_timeout(Some(TIMEOUT)).unwrap();
        stream.set_write_timeout(Some(TIMEOUT)).unwrap();
        stream.write_all(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n").unwrap();
        let mut this = Self { stream, next: 1 };
        this.send(SETTINGS, 0, 0, &[]).unwrap();
        this
    }

    fn send(&mut self, kind: u8, flags: u8, stream: u32, payload: &[u8]) -> io::Result<()> {
        let length = u32::try_from(payload.len()).unwrap().to_be_bytes();
        let frame = [&length[1..], &[kind, flags], &stream.to_be_bytes(), payload].concat();
        self.stream.write_all(&frame)
    }

    /// Begins a call, whose body stays open.
    fn open(&mut self, path: &str, content_type: &str) -> io::Result<()> {
        // POST and http are in the static table of HPACK (RFC 7541, A), and the names of the other three; `te` is not.
        let text = |text: &str| [&[u8::try_from(text.len()).unwrap()], text.as_bytes()].concat();
        let block = [
            &[0x83, 0x86, 0x01][..],
            &text("localhost"),
            &[0x04],
            &text(path),
            &[0x0f, 0x10],
            &text(content_type),
            &[0x00],
            &text("te"),
            &text("trailers"),
        ];
        let stream = self.next;
        self.next += 2;
        self.send(HEADERS, END_HEADERS, stream, &block.concat())
    }

    /// Reads until the connection ends, and returns the types of the frames.
    fn frames(stream: TcpStream) -> Vec<u8> {
        let mut stream = io::BufReader::new(stream);
        let mut kinds = Vec::new();
        let mut head = [0; 9];
        while stream.read_exact(&mut head).is_ok() {
            let length = u32::from_be_bytes([0, head[0], head[1], head[2]]);
            kinds.push(head[3]);
            if stream.read_exact(&mut vec![0; length as usize]).is_err() {
                break;
            }
        }
        kinds
    }
}

/// Stops the service, while the peer begins call after call. It is cut, and the service ends.
#[track_caller]
fn is_cut(up: Service, mut peer: Peer, path: &str, content_type: &str) {
    let reading = {
        let stream = peer.stream.try_clone().unwrap();
        thread::spawn(|| Peer::frames(stream))
    };
    up.signal(Signal::SIGTERM);
    eventually_blocking(TIMEOUT, "it drains", || {
        up.log().iter().any(|line| line.contains("\"message\":\"service: draining\""))
    });
    eventually_blocking(TIMEOUT, "the peer is cut", || peer.open(path, content_type).is_err());
    let frames = reading.join().unwrap();
    assert!(frames.contains(&GOAWAY), "{frames:?}");
    let (code, log) = up.ended();
    assert_eq!(code, 0, "{log:#?}");
    let cut = "connection: closed, calls did not end in time";
    assert!(log.iter().any(|line| line.contains(cut) && line.contains("\"stopping\":true")), "{log:#?}");
}

#[test]
fn a_peer_that_ignores_goaway_is_cut_at_the_drain_timeout() {
    for path in [ANALYZE, REFLECT] {
        let up = Service::start("up", &FLAGS);
        let mut peer = Peer::connect(&up.address);
        peer.open(path, "application/grpc").unwrap();
        is_cut(up, peer, path, "application/grpc");
    }
}

#[test]
fn so_is_one_whose_rejected_upload_is_being_drained() {
    const TARGET: &str = "/v1/catalogues:analyze";
    let up = Service::start("up", &[&FLAGS[..], &["--max-body-bytes", "1MiB"]].concat());
    let mut peer = Peer::connect(&up.address);
    // Of a type that is not taken: the response does not wait for the body, the rest of which is drained.
    peer.open(TARGET, "image/png").unwrap();
    peer.send(DATA, 0, 1, b"x").unwrap();
    is_cut(up, peer, TARGET, "image/png");
}
