//! Many calls a second, of which the service cannot serve any.

use std::net::SocketAddr;
use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use bytes::Bytes;
use h2::Reason;
use http::header::HeaderName;
use http::{HeaderMap, HeaderValue};
use tokio::time::{Interval, interval};

use super::CATEGORIZE;
use super::connection::Connection;

/// Headers of 60 KiB in total, and as many as make that with the 32 bytes that HTTP/2 adds to each.
const LARGE: usize = 60 * 1024;
const MANY: usize = 1_500;

pub(super) async fn hang_ups(address: SocketAddr) -> anyhow::Result<()> {
    let mut client = Connection::open(address).await?;
    let mut tick = pace();
    loop {
        tick.tick().await;
        for _ in 0..10 {
            match client.begin(CATEGORIZE).await {
                Ok((_answer, mut body)) => body.send_reset(Reason::CANCEL),
                // The service has closed the connection of this client.
                Err(_) => client = Connection::open(address).await?,
            }
        }
    }
}

/// One large header in one call, many small ones in the next.
pub(super) async fn header_bombs(address: SocketAddr) -> anyhow::Result<()> {
    let large = [(HeaderName::from_static("x-large"), HeaderValue::from_str(&"x".repeat(LARGE))?)];
    let large: HeaderMap = large.into_iter().collect();
    let mut many = HeaderMap::new();
    for number in 0..MANY {
        many.insert(HeaderName::from_bytes(format!("x-{number}").as_bytes())?, HeaderValue::from_static("x"));
    }
    let mut client = Connection::open(address).await?;
    let mut tick = pace();
    loop {
        tick.tick().await;
        for headers in [&large, &many] {
            match client.begin_with(CATEGORIZE, headers.clone()).await {
                Ok((answer, mut body)) => {
                    // It is rejected whether or not a message comes.
                    let _ = body.send_data(Bytes::from_static(&[0; 5]), true);
                    tokio::spawn(answer);
                }
                Err(_) => client = Connection::open(address).await?,
            }
        }
    }
}

/// Each token has the form of a valid one, and a key that the service knows, so that its signature is verified.
pub(super) async fn invalid_tokens(address: SocketAddr) -> anyhow::Result<()> {
    let mut client = Connection::open(address).await?;
    let encode = |part: &str| URL_SAFE_NO_PAD.encode(part);
    let mut number = 0_u64;
    let mut tick = pace();
    loop {
        tick.tick().await;
        for _ in 0..20 {
            number += 1;
            let claims = format!(r#"{{"sub":"{number}","exp":4000000000}}"#);
            let header = encode(r#"{"alg":"EdDSA","kid":"EdDSA"}"#);
            let signature = URL_SAFE_NO_PAD.encode(number.to_be_bytes().repeat(8));
            let bearer = format!("Bearer {header}.{}.{signature}", encode(&claims));
            match client.present(&bearer).await {
                Ok((answer, mut body)) => {
                    // It is refused whether or not a message comes.
                    let _ = body.send_data(Bytes::from_static(&[0; 5]), true);
                    tokio::spawn(answer);
                }
                // The service has closed the connection of this client.
                Err(_) => client = Connection::open(address).await?,
            }
        }
    }
}

fn pace() -> Interval {
    interval(Duration::from_millis(10))
}
