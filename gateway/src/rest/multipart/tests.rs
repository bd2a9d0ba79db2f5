//! Bodies, however they arrive, and every limit at its value and above it.

use axum::body::Body;
use bytes::Bytes;
use futures_util::{FutureExt, TryStreamExt};
use http::HeaderValue;
use http::header::CONTENT_TYPE;

use super::error::MultipartError;
use super::parser::MAX_IGNORED;
use super::*;

pub(super) const LIMITS: PartLimits = PartLimits { parts: 3, head_bytes: 100 };

/// The media type and the data of each part.
pub(super) type Parts = Vec<(String, Vec<u8>)>;

/// The parts of a body that arrives in these pieces.
pub(super) fn split(pieces: &[&[u8]]) -> Result<Parts, MultipartError> {
    let headers = HeaderMap::from_iter([(
        CONTENT_TYPE,
        HeaderValue::from_static("multipart/form-data; boundary=\"-b y\""),
    )]);
    let boundary = Boundary::read(&headers)?.expect("it is stated");
    let mut parser = Parser::new(&boundary, LIMITS);
    let mut parts = Parts::new();
    for piece in pieces {
        parser.push(piece);
        while let Some(event) = parser.next()? {
            match event {
                Event::Part(media_type) => parts.push((media_type, Vec::new())),
                Event::Data(data) => {
                    assert!(!data.is_empty());
                    parts.last_mut().expect("a part has begun").1.extend_from_slice(&data);
                }
            }
        }
    }
    parser.finish()?;
    Ok(parts)
}

const CSV: &str = "Content-Disposition: form-data; name=a\r\nContent-Type: text/csv\r\n\r\n";

/// A body with these parts.
fn body(parts: &[&str]) -> String {
    let parts: String = parts.iter().map(|part| format!("---b y\r\n{part}\r\n")).collect();
    format!("{parts}---b y--\r\n")
}

fn csv(data: &str) -> String {
    format!("{CSV}{data}")
}

#[test]
fn parts_are_the_same_however_they_arrive() {
    let check = |body: &str, expected: &[&str]| {
        let body = body.as_bytes();
        let expected: Parts =
            expected.iter().map(|data| ("text/csv".to_owned(), data.as_bytes().to_vec())).collect();
        assert_eq!(split(&[body]).as_ref(), Ok(&expected), "{}", body.escape_ascii());
        for at in 0..=body.len() {
            let (first, second) = body.split_at(at);
            assert_eq!(split(&[first, second]).as_ref(), Ok(&expected), "{at}: {}", body.escape_ascii());
        }
        let bytes: Vec<_> = body.chunks(1).collect();
        assert_eq!(split(&bytes).as_ref(), Ok(&expected), "{}", body.escape_ascii());
    };
    check(&body(&[&csv("a;b\r\n1;2\r\n"), &csv(""), &csv("x")]), &["a;b\r\n1;2\r\n", "", "x"]);
    // What is almost a delimiter is data.
    for almost in ["---b y", "\r\n---b", "\r\n--\r\n---b x", "\n---b y", "\r---b y\r\n", "\r\n\r\n---b"] {
        let data = format!("x{almost}");
        check(&body(&[&csv(&data)]), &[&data]);
    }
    check(
        "---b y \t\r\nContent-Disposition: form-data; name=a\r\nContent-Type: text/csv\r\n\r\nx\r\n---b y--",
        &["x"],
    );
    check(&format!("for people\r\n{}and the end", body(&[&csv("x")])), &["x"]);
    // The blank line after the head is the end of the line before the delimiter.
    check(&format!("---b y\r\n{CSV}---b y--\r\n"), &[""]);
}

#[test]
fn an_invalid_body_is_rejected_where_it_is() {
    let check = |body: &str, expected: MultipartError| {
        assert_eq!(split(&[body.as_bytes()]).as_ref(), Err(&expected), "{body:?}");
        let bytes: Vec<_> = body.as_bytes().chunks(1).collect();
        assert_eq!(split(&bytes), Err(expected), "{body:?}");
    };
    let whole = body(&[&csv("x"), &csv("y")]);
    for length in 0..whole.len() - 4 {
        let parts = whole[..length].matches("---b y\r\n").count();
        // Two hyphens, but not one, end the body.
        check(&whole[..length], MultipartError::Truncated { part: parts });
    }
    check("---b y--\r\n", MultipartError::NoParts);
    check("---b yz\r\n", MultipartError::DelimiterMalformed { part: 0 });
    check("---b y --\r\n", MultipartError::DelimiterMalformed { part: 0 });
    check("---b y-\r\n", MultipartError::DelimiterMalformed { part: 0 });
    check("---b y\n", MultipartError::DelimiterMalformed { part: 0 });
    check(&body(&[&csv("x\r\n---b yz")]), MultipartError::DelimiterMalformed { part: 1 });
    let invalid = |part, header, problem| MultipartError::HeadInvalid {
        part,
        error: head::HeadError { header, problem },
    };
    check(&body(&[&csv("x"), "\r\ny"]), invalid(2, "Content-Disposition", "it is missing"));
    let unfinished = format!("---b y\r\n{}\r\n---b y\r\n\r\n", CSV.trim_end());
    check(&unfinished, invalid(1, "headers", "a line is not a name, a colon and a value"));
}

#[test]
fn limits_hold_at_their_value_and_not_above() {
    let error = |body: String| {
        let whole = split(&[body.as_bytes()]).err();
        let bytes: Vec<_> = body.as_bytes().chunks(1).collect();
        assert_eq!(split(&bytes).err(), whole);
        whole
    };
    let x = csv("x");
    assert_eq!(error(body(&[x.as_str(); 3])), None);
    assert_eq!(error(body(&[x.as_str(); 4])), Some(MultipartError::TooManyParts { limit: 3 }));

    let head = |length: usize| {
        let head = CSV.trim_end().to_owned() + "\r\nX: ";
        let padding = "x".repeat(length - head.len());
        body(&[&format!("{head}{padding}\r\n\r\nx")])
    };
    assert_eq!(error(head(100)), None);
    assert_eq!(error(head(101)), Some(MultipartError::HeadTooLarge { part: 1, limit: 100 }));
    let endless = format!("---b y\r\n{}", "x".repeat(1000));
    assert_eq!(error(endless), Some(MultipartError::HeadTooLarge { part: 1, limit: 100 }));

    let padded = |spaces: usize| format!("---b y{}\r\n{x}\r\n---b y--", " ".repeat(spaces));
    assert_eq!(error(padded(100)), None);
    assert_eq!(error(padded(101)), Some(MultipartError::DelimiterMalformed { part: 0 }));

    let ignored = "i".repeat(MAX_IGNORED);
    let whole = body(&[&x]);
    let whole = whole.trim_end();
    assert_eq!(error(format!("{ignored}\r\n{whole}{ignored}")), None);
    assert_eq!(
        error(format!("{ignored}i\r\n{whole}")),
        Some(MultipartError::DelimiterMissing { limit: MAX_IGNORED })
    );
    assert_eq!(
        error(format!("{whole}{ignored}i")),
        Some(MultipartError::EpilogueTooLong { limit: MAX_IGNORED })
    );
}

#[test]
fn a_failure_is_kept_for_the_response() {
    let multipart = || {
        let content_type = HeaderValue::from_static("multipart/form-data; boundary=\"-b y\"");
        let headers = HeaderMap::from_iter([(CONTENT_TYPE, content_type)]);
        Multipart::read(&headers, LIMITS).unwrap().unwrap()
    };
    let check = |body: Body, expected: &str| {
        let body = StreamedBody::new(body);
        let breakage = body.breakage();
        let pieces = multipart().pieces(body).try_collect::<Vec<_>>().now_or_never().unwrap();
        let status = pieces.unwrap_err();
        assert!(status.message().contains(expected), "{status}");
        assert_eq!(breakage.get().unwrap().message(), status.message());
    };
    check(Body::from(format!("---b y\r\n{CSV}x")), "within part 1");
    let broken = stream::iter([Ok(Bytes::from("---b y\r\n")), Err("reset")]);
    check(Body::from_stream(broken), "reset");
    let whole = StreamedBody::new(Body::from(body(&[&csv("x")])));
    let pieces = multipart().pieces(whole).try_collect::<Vec<_>>().now_or_never().unwrap().unwrap();
    let pieces: Vec<_> = pieces.iter().map(|piece| (piece.content_type.as_str(), &piece.data[..])).collect();
    assert_eq!(pieces, [("text/csv", &b""[..]), ("", b"x")]);
}
