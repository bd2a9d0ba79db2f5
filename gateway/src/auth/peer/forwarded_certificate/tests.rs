//! Headers as proxies write them, and as callers forge them.

use super::super::MAX_IDENTITY;
use super::*;

const PEER: &str = "spiffe://cluster.local/ns/a/sa/b";

#[track_caller]
fn check(header: &str, expected: Option<&str>) {
    assert_eq!(identity(header.as_bytes()), expected, "{header}");
}

#[test]
fn the_uri_of_the_only_element_is_the_peer() {
    let by = "By=spiffe://cluster.local/ns/dataflow/sa/gateway";
    let hash = "Hash=468ed33be74eee6556d90c0149c1309e9ba61d6425303443c0748a02dd8de688";
    let known = Some(PEER);
    check(&format!("URI={PEER}"), known);
    check(&format!("{by};{hash};Subject=\"\";URI={PEER}"), known);
    check(&format!("{by};{hash};Subject=\"CN=b,O=acme\";URI={PEER};DNS=b.a.svc;DNS=b"), known);
    check(&format!("{by};{hash};Cert=\"-----BEGIN%20CERTIFICATE-----%0A\";Chain=\"x\";URI={PEER}"), known);
    check(&format!("uri={PEER};{by}"), known);
    check(&format!("URI=\"{PEER}\""), known);
    check(&format!("{by};Subject=\"CN=a\\\"b;URI=spiffe://other/x,By=c\";URI={PEER}"), known);
    check(&format!("Subject=\"CN=a\\\\\";URI={PEER}"), known);
    check(&format!("{by};Hash=;URI={PEER}"), known);
    check(&format!("Novel=1;URI={PEER}"), known);
}

#[test]
fn the_last_element_counts() {
    let client = "By=spiffe://cluster.local/ns/x/sa/y;URI=spiffe://cluster.local/ns/forged/sa/admin";
    check(&format!("{client},By=spiffe://g;URI={PEER}"), Some(PEER));
    check(&format!("{client}, By=spiffe://g;URI={PEER}"), Some(PEER));
    check(&format!("{client},{client},URI={PEER}"), Some(PEER));
    // An element without an identity is not that of the proxy before it.
    check(&format!("URI={PEER},By=spiffe://g;Hash=0;Subject=\"\""), None);
    check(&format!("URI={PEER},By=spiffe://g;URI="), None);
    check(&format!("URI={PEER},"), None);
}

#[test]
fn an_ambiguous_or_malformed_header_names_no_peer() {
    for header in [
        "",
        " ",
        "URI",
        "URI=",
        "=URI",
        ";",
        ",",
        "spiffe://cluster.local/ns/a/sa/b",
        "URI=https://cluster.local/a",
        "URI=spiffe://",
        "URI=spiffe:///ns/a",
        "URI=spiffe://./a",
        "URI=SPIFFE://cluster.local/a",
        "URI=spiffe://a/b c",
        "URI=spiffe://a/b%20",
        "URI=spiffe://a/b?c=d",
        "URI=spiffe://a/\u{e9}",
        "URI=\"spiffe://a/b",
        "URI=\"spiffe://a/b\\",
        "URI=\"spiffe://a/b\"c",
        "URI=\"spiffe://a/b\" ",
        "URI=spiffe://a/b\"",
        "URI=spiffe://a\"/b",
        "URI=spiffe://a/b;",
        "URI=spiffe://a/b;;Hash=0",
        "URI=spiffe://a/b;Hash",
        "URI =spiffe://a/b",
        "URI= spiffe://a/b",
        "U-RI=spiffe://a/b",
        "DNS=a;Subject=\"CN=a\"",
        // Several of one certificate: an SVID has one.
        "URI=spiffe://a/b;URI=spiffe://a/c",
        "URI=spiffe://a/b;uri=spiffe://a/b",
        "URI=spiffe://a/b;URI=spiffe://a/b;URI=spiffe://a/b",
        "URI=;URI=spiffe://a/b",
        // A client opens quotation marks in which the element of the proxy would disappear.
        "URI=spiffe://a/forged;Subject=\",By=spiffe://g;Hash=0;Subject=\"\";URI=spiffe://a/b",
        "URI=spiffe://a/forged;Subject=\",By=spiffe://g;Hash=0;URI=spiffe://a/b",
        "URI=spiffe://a/forged;Subject=\"\\,By=spiffe://g;Hash=0;Subject=\"CN=b\";URI=spiffe://a/b",
    ] {
        check(header, None);
    }
}

#[test]
fn an_identity_has_a_length() {
    let longest = format!("{SCHEME}{}", "x".repeat(MAX_IDENTITY - SCHEME.len()));
    check(&format!("URI={longest}"), Some(&longest));
    check(&format!("URI={longest}x"), None);
}
