//! Handshakes between both sides.

use rcgen::{BasicConstraints, CertificateParams, IsCa, Issuer, KeyPair};
use rustls::HandshakeKind;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;

use super::*;

/// A directory with an authority, the certificate of a server, and that of a client that is called `ada`.
fn certificates() -> tempfile::TempDir {
    let directory = tempfile::tempdir().unwrap();
    let write = |name: &str, text: String| std::fs::write(directory.path().join(name), text).unwrap();
    let mut params = CertificateParams::default();
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let key = KeyPair::generate().unwrap();
    write("ca.pem", params.self_signed(&key).unwrap().pem());
    let authority = Issuer::new(params, key);
    for name in ["localhost", "ada"] {
        let mut params = CertificateParams::new([name.to_owned()]).unwrap();
        params.distinguished_name.push(rcgen::DnType::CommonName, name);
        let key = KeyPair::generate().unwrap();
        write(&format!("{name}.pem"), params.signed_by(&key, &authority).unwrap().pem());
        write(&format!("{name}-key.pem"), key.serialize_pem());
    }
    directory
}

/// Two connections of one client: whom the server found at each, and whether the handshake was a whole one.
async fn connect_twice(asks: bool, presents: bool) -> Vec<(Option<String>, HandshakeKind)> {
    let directory = certificates();
    let file = |name: &str| directory.path().join(name);
    let ca = file("ca.pem");
    let server =
        ServerTls::read(&file("localhost.pem"), &file("localhost-key.pem"), asks.then_some(&*ca)).unwrap();
    let client = match presents {
        true => ClientTls::presenting(Some(&ca), &file("ada.pem"), &file("ada-key.pem")).unwrap(),
        false => ClientTls::trusting(Some(&ca)).unwrap(),
    };
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let mut found = Vec::new();
    for _ in 0..2 {
        let connecting = async {
            let stream = TcpStream::connect(address).await.unwrap();
            let mut stream = client.connect("localhost", stream).await.unwrap();
            // Tickets come with the first data.
            assert_eq!(stream.read_u8().await.unwrap(), 7);
            stream.get_ref().1.handshake_kind().unwrap()
        };
        let accepting = async {
            let (stream, _) = listener.accept().await.unwrap();
            let (mut stream, certificate) = server.accept(stream).await.unwrap();
            stream.write_u8(7).await.unwrap();
            stream.flush().await.unwrap();
            (stream, certificate)
        };
        let (kind, (_stream, certificate)) = tokio::join!(connecting, accepting);
        found.push((certificate.map(|found| found.identity().unwrap().to_owned()), kind));
    }
    found
}

#[tokio::test]
async fn a_port_that_asks_for_certificates_verifies_them_at_each_connection() {
    let (whole, resumed) = (HandshakeKind::Full, HandshakeKind::Resumed);
    let ada = Some("ada".to_owned());
    assert_eq!(connect_twice(true, true).await, [(ada.clone(), whole), (ada, whole)]);
    assert_eq!(connect_twice(true, false).await, [(None, whole), (None, whole)]);
    for presents in [true, false] {
        assert_eq!(connect_twice(false, presents).await, [(None, whole), (None, resumed)]);
    }
}
