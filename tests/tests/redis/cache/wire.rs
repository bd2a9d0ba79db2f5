//! A proxy in front of Redis that can drop invalidation messages and delay replies without either side detecting it.

use std::net::Ipv4Addr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use dataflow_tests::eventually::TIMEOUT;
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::task::AbortHandle;
use tokio::time::timeout;

/// Forwards between clients and a Redis. It accepts no further connections when dropped.
pub(crate) struct Wire {
    /// The URL of the proxy.
    pub(crate) url: String,
    faults: Arc<Faults>,
    accepting: AbortHandle,
}

/// The faults that are injected into the replies of Redis.
#[derive(Debug, Default)]
struct Faults {
    /// Whether messages are dropped.
    drop_messages: AtomicBool,
    /// The number of dropped messages.
    lost: AtomicUsize,
    /// The number of forwarded messages.
    heard: AtomicUsize,
    late: watch::Sender<Late>,
}

/// Which replies are delayed.
#[derive(Debug, Default)]
struct Late {
    /// Replies that contain this text; none if it is empty.
    text: String,
    /// The number of delayed replies.
    held: usize,
}

// === impl Wire ===

impl Wire {
    /// Starts a proxy in front of the Redis at this loopback port.
    pub(crate) async fn before(port: u16) -> Self {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
        let url = format!("redis://{}", listener.local_addr().unwrap());
        let faults = Arc::<Faults>::default();
        let shared = Arc::clone(&faults);
        let accepting = tokio::spawn(async move {
            while let Ok((client, _)) = listener.accept().await {
                let server = TcpStream::connect((Ipv4Addr::LOCALHOST, port)).await;
                if let Ok(server) = server {
                    tokio::spawn(pass_on(client, server, Arc::clone(&shared)));
                }
            }
        });
        Self { url, faults, accepting: accepting.abort_handle() }
    }

    /// Starts or stops dropping messages.
    pub(crate) fn drop_messages(&self, lose: bool) {
        self.faults.drop_messages.store(lose, Ordering::Release);
    }

    /// The number of dropped messages.
    pub(crate) fn dropped(&self) -> usize {
        self.faults.lost.load(Ordering::Acquire)
    }
}

impl Wire {
    /// The number of forwarded messages.
    pub(crate) fn forwarded(&self) -> usize {
        self.faults.heard.load(Ordering::Acquire)
    }

    /// Delays every reply that contains this text, and all later ones on the same connection.
    pub(crate) fn delay(&self, text: &str) {
        self.faults.late.send_replace(Late { text: text.to_owned(), held: 0 });
    }

    /// Waits until a reply is delayed.
    pub(crate) async fn until_delayed(&self) {
        let mut late = self.faults.late.subscribe();
        let held = timeout(TIMEOUT, late.wait_for(|late| late.held > 0)).await;
        held.expect("a reply arrives in time").expect("the proxy runs");
    }

    /// Releases the delayed replies.
    pub(crate) fn release(&self) {
        self.faults.late.send_replace(Late::default());
    }
}

impl Faults {
    /// Whether to forward this; waits while it is delayed.
    async fn passes(&self, said: &[u8]) -> bool {
        if said.starts_with(b">") {
            let is_lost = self.drop_messages.load(Ordering::Acquire);
            let count = if is_lost { &self.lost } else { &self.heard };
            count.fetch_add(1, Ordering::AcqRel);
            return !is_lost;
        }
        let held_back = |late: &Late| {
            let text = late.text.as_bytes();
            !text.is_empty() && said.windows(text.len()).any(|window| window == text)
        };
        if held_back(&self.late.borrow()) {
            self.late.send_modify(|late| late.held += 1);
            let mut late = self.late.subscribe();
            late.wait_for(|late| !held_back(late)).await.expect("its sender exists");
        }
        true
    }
}

impl Drop for Wire {
    fn drop(&mut self) {
        self.accepting.abort();
    }
}

async fn pass_on(client: TcpStream, server: TcpStream, faults: Arc<Faults>) {
    client.set_nodelay(true).unwrap();
    server.set_nodelay(true).unwrap();
    let (mut from_client, mut to_client) = client.into_split();
    let (from_server, mut to_server) = server.into_split();
    let asking = tokio::io::copy(&mut from_client, &mut to_server);
    let answering = async {
        let mut from_server = BufReader::new(from_server);
        while let Ok(Some(said)) = frame(&mut from_server).await {
            if faults.passes(&said).await && to_client.write_all(&said).await.is_err() {
                return;
            }
        }
    };
    tokio::select! {
        _ = asking => {}
        () = answering => {}
    }
}

/// The next complete RESP3 frame of a server; none at the end.
async fn frame(reader: &mut (impl AsyncBufReadExt + Unpin)) -> std::io::Result<Option<Vec<u8>>> {
    let mut said = Vec::new();
    let mut parts = 1_i64;
    while parts > 0 {
        let begin = said.len();
        if reader.read_until(b'\n', &mut said).await? == 0 {
            return Ok(None);
        }
        let line = String::from_utf8_lossy(&said[begin..]).into_owned();
        let count: i64 = line[1..].trim_end().parse().unwrap_or(0);
        parts += match line.as_bytes()[0] {
            b'*' | b'~' | b'>' => count.max(0),
            b'%' => 2 * count,
            b'$' | b'=' | b'!' if count >= 0 => {
                let begin = said.len();
                said.resize(begin + usize::try_from(count).unwrap() + 2, 0);
                reader.read_exact(&mut said[begin..]).await?;
                0
            }
            _ => 0,
        };
        parts -= 1;
    }
    Ok(Some(said))
}

#[tokio::test]
async fn frames_are_split_at_their_ends() {
    let said: [&[u8]; 6] = [
        b"+OK\r\n",
        b"$5\r\na\r\nbc\r\n",
        b">3\r\n$7\r\nmessage\r\n$1\r\nc\r\n$0\r\n\r\n",
        b"%1\r\n+a\r\n*2\r\n:1\r\n$-1\r\n",
        b"_\r\n",
        b"*0\r\n",
    ];
    let all = said.concat();
    let mut reader = &all[..];
    for expected in said {
        assert_eq!(frame(&mut reader).await.unwrap().as_deref(), Some(expected));
    }
    assert_eq!(frame(&mut reader).await.unwrap(), None);
}
