//! Fuzz targets: what clients send before the element of the proxy that is known.

use super::*;

const PEER: &str = "spiffe://cluster.local/ns/a/sa/b";

/// The element of the proxy, in the forms in which it may be configured.
const ELEMENTS: [&str; 3] = [
    "By=spiffe://cluster.local/ns/g/sa/g;Hash=00;Subject=\"\";URI=spiffe://cluster.local/ns/a/sa/b",
    "By=spiffe://cluster.local/ns/g/sa/g;Hash=00;Subject=\"CN=b,O=a\";URI=spiffe://cluster.local/ns/a/sa/b;DNS=b",
    "By=spiffe://cluster.local/ns/g/sa/g;Hash=00;URI=spiffe://cluster.local/ns/a/sa/b",
];

fn no_header_of_a_client_replaces_the_peer(sent: &[u8]) {
    for element in ELEMENTS {
        let header = [sent, b",", element.as_bytes()].concat();
        assert!(matches!(identity(&header), None | Some(PEER)), "{}", header.escape_ascii());
    }
    // Whatever is found is in the header, and a name.
    if let Some(found) = identity(sent) {
        assert!(sent.windows(found.len()).any(|window| window == found.as_bytes()));
        assert!(found.starts_with(SCHEME) && name(found.as_bytes()).is_some(), "{found}");
    }
}

#[test]
fn any_header_names_one_peer_or_none() {
    bolero::check!().with_type::<Vec<u8>>().for_each(|sent| no_header_of_a_client_replaces_the_peer(sent));
}

/// The same of bytes that have a meaning, of which random ones have too few.
#[test]
fn any_pieces_of_a_header_name_one_peer_or_none() {
    const PIECES: [&str; 16] = [
        "\"",
        "\\",
        "\\\"",
        ";",
        ",",
        "=",
        " ",
        "URI=",
        "uri=\"",
        "By=",
        "Subject=\"",
        "Hash=0",
        "spiffe://forged/x",
        "x",
        "\"\"",
        "DNS=b",
    ];
    bolero::check!().with_type::<Vec<u8>>().for_each(|chosen| {
        let pieces: Vec<_> = chosen.iter().map(|&each| PIECES[usize::from(each) % PIECES.len()]).collect();
        no_header_of_a_client_replaces_the_peer(pieces.concat().as_bytes());
    });
}
