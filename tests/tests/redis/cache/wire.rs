//! The way to Redis, on which signals can be made to get lost and answers to be late, without anybody noticing.

use std::net::Ipv4Addr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use dataflow_tests::eventually::TIMEOUT;
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::task::AbortHandle;
use tokio::time::timeout;

/// Passes on what is said between clients and a Redis. Dropped, it takes no further connections.
pub(crate) struct Wire {
    /// Where clients find Redis behind this.
    pub(crate) url: String,
    mischief: Arc<Mischief>,
    accepting: AbortHandle,
}

/// What is done to what Redis says.
#[derive(Debug, Default)]
struct Mischief {
    /// Whether signals get lost.
    deaf: AtomicBool,
    /// How many did.
    lost: AtomicUsize,
    /// How many signals came through.
    heard: AtomicUsize,
    late: watch::Sender<Late>,
}

/// Which answers are held back.
#[derive(Debug, Default)]
struct Late {
    /// Those that contain this text; none when it is empty.
    text: String,
    /// How many are.
    held: usize,
}

// === impl Wire ===

impl Wire {
    /// Stands before the Redis at this port of loopback.
    pub(crate) async fn before(port: u16) -> Self {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
        let url = format!("redis://{}", listener.local_addr().unwrap());
        let mischief = Arc::<Mischief>::default();
        let shared = Arc::clone(&mischief);
        let accepting = tokio::spawn(async move {
            while let Ok((client, _)) = listener.accept().await {
                let server = TcpStream::connect((Ipv4Addr::LOCALHOST, port)).await;
                if let Ok(server) = server {
                    tokio::spawn(pass_on(client, server, Arc::clone(&shared)));
                }
            }
        });
        Self { url, mischief, accepting: accepting.abort_handle() }
    }

    /// From now on signals get lost, or no longer.
    pub(crate) fn lose_signals(&self, lose: bool) {
        self.mischief.deaf.store(lose, Ordering::Release);
    }

    /// How many were lost.
    pub(crate) fn lost(&self) -> usize {
        self.mischief.lost.load(Ordering::Acquire)
    }
}

impl Wire {
    /// How many signals came through.
    pub(crate) fn heard(&self) -> usize {
        self.mischief.heard.load(Ordering::Acquire)
    }

    /// Holds back every answer that contains this text, and what comes after it on the same connection.
    pub(crate) fn hold_back(&self, text: &str) {
        self.mischief.late.send_replace(Late { text: text.to_owned(), held: 0 });
    }

    /// Waits until an answer is held back.
    pub(crate) async fn until_held(&self) {
        let mut late = self.mischief.late.subscribe();
        let held = timeout(TIMEOUT, late.wait_for(|late| late.held > 0)).await;
        held.expect("an answer comes in time").expect("the wire is there");
    }

    /// Lets go what is held back.
    pub(crate) fn let_go(&self) {
        self.mischief.late.send_replace(Late::default());
    }
}

impl Mischief {
    /// Whether this is to be passed on; waits until it is time.
    async fn passes(&self, said: &[u8]) -> bool {
        if said.starts_with(b">") {
            let is_lost = self.deaf.load(Ordering::Acquire);
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
            late.wait_for(|late| !held_back(late)).await.expect("its sender is here");
        }
        true
    }
}

impl Drop for Wire {
    fn drop(&mut self) {
        self.accepting.abort();
    }
}

async fn pass_on(client: TcpStream, server: TcpStream, mischief: Arc<Mischief>) {
    client.set_nodelay(true).unwrap();
    server.set_nodelay(true).unwrap();
    let (mut from_client, mut to_client) = client.into_split();
    let (from_server, mut to_server) = server.into_split();
    let asking = tokio::io::copy(&mut from_client, &mut to_server);
    let answering = async {
        let mut from_server = BufReader::new(from_server);
        while let Ok(Some(said)) = frame(&mut from_server).await {
            if mischief.passes(&said).await && to_client.write_all(&said).await.is_err() {
                return;
            }
        }
    };
    tokio::select! {
        _ = asking => {}
        () = answering => {}
    }
}

/// The next whole thing that a server says (RESP3); none at the end.
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
async fn what_a_server_says_is_parted_where_it_ends() {
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
