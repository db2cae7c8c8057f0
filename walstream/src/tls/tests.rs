//! TLS against a server made of rustls, which shows what it heard, and against real ones with the files of a home.

use std::path::PathBuf;

use socket2::SockRef;
use testdata::{Certificate, Certificates, Server, Version, Wish};
use tokio::net::{TcpListener, TcpStream};
use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::pki_types::pem::PemObject;
use tokio_rustls::rustls::pki_types::{CertificateDer, PrivateKeyDer};
use tokio_rustls::rustls::{ProtocolVersion, ServerConfig};
use tokio_rustls::server;

use super::*;
use crate::Client;
use crate::config::SslCertMode;
use crate::config::{Config, RootCertificates};

pub(crate) fn acceptor(certificate: &Certificate, alpn: &[&[u8]]) -> TlsAcceptor {
    let chain = CertificateDer::pem_file_iter(&certificate.file).unwrap();
    let chain = chain.map(Result::unwrap).collect();
    let key = PrivateKeyDer::from_pem_file(&certificate.key).unwrap();
    let mut settings = ServerConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(chain, key)
        .unwrap();
    settings.alpn_protocols = alpn.iter().map(|name| name.to_vec()).collect();
    TlsAcceptor::from(Arc::new(settings))
}

type Shaken = (
    Result<(TlsStream<Socket>, Secured)>,
    io::Result<server::TlsStream<TcpStream>>,
);

/// Our side and the server's of one handshake.
pub(crate) async fn shake(tls: &Tls, host: &str, acceptor: &TlsAcceptor) -> Shaken {
    shake_with(tls, host, acceptor, 256 << 10).await
}

/// The same over sockets that hold about this many bytes on their way to the server.
pub(crate) async fn shake_with(
    tls: &Tls,
    host: &str,
    acceptor: &TlsAcceptor,
    room: usize,
) -> Shaken {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    SockRef::from(&listener).set_recv_buffer_size(room).unwrap();
    let address = listener.local_addr().unwrap();
    let socket = TcpStream::connect(address).await.unwrap();
    SockRef::from(&socket).set_send_buffer_size(room).unwrap();
    let (accepted, _) = listener.accept().await.unwrap();
    tokio::join!(handshake(socket, tls, host), acceptor.accept(accepted))
}

fn required() -> Tls {
    Tls {
        mode: SslMode::Require,
        ..Tls::default()
    }
}

#[tokio::test]
async fn the_host_is_said_in_the_clear_where_it_is_a_name_and_that_is_wanted() {
    let made = Certificates::new();
    let acceptor = acceptor(&made.own("server", &Wish::default()), &[ALPN]);
    let silent = Tls {
        server_name: false,
        ..required()
    };
    for (tls, host, said) in [
        (required(), "db.example", Some("db.example")),
        (required(), "localhost", Some("localhost")),
        (required(), "127.0.0.1", None),
        (required(), "::1", None),
        (required(), "not a name", None),
        (silent, "db.example", None),
    ] {
        let (ours, theirs) = shake(&tls, host, &acceptor).await;
        let (ours, theirs) = (ours.unwrap().0, theirs.unwrap());
        assert_eq!(theirs.get_ref().1.server_name(), said, "{host}");
        for alpn in [
            theirs.get_ref().1.alpn_protocol(),
            ours.get_ref().1.alpn_protocol(),
        ] {
            assert_eq!(alpn, Some(ALPN));
        }
    }
}

#[tokio::test]
async fn direct_tls_is_only_for_who_says_that_it_is_postgresql() {
    let made = Certificates::new();
    let certificate = made.own("server", &Wish::default());
    let direct = Tls {
        negotiation: SslNegotiation::Direct,
        ..required()
    };
    for (alpn, asked, direct_works) in [
        (&[ALPN][..], true, true),
        (&[], true, false),
        (&[b"http/1.1"], false, false),
    ] {
        let acceptor = acceptor(&certificate, alpn);
        assert_eq!(
            shake(&required(), "localhost", &acceptor).await.0.is_ok(),
            asked
        );
        match shake(&direct, "localhost", &acceptor).await.0 {
            Ok(_) => assert!(direct_works),
            Err(error) => assert!(!direct_works && error.kind() == ErrorKind::Tls, "{error:?}"),
        }
    }
}

#[tokio::test]
async fn the_version_is_kept_within_its_bounds() {
    let made = Certificates::new();
    let acceptor = acceptor(&made.own("server", &Wish::default()), &[]);
    for (least, most, version) in [
        (TlsVersion::V1_2, TlsVersion::V1_2, ProtocolVersion::TLSv1_2),
        (TlsVersion::V1_2, TlsVersion::V1_3, ProtocolVersion::TLSv1_3),
        (TlsVersion::V1_3, TlsVersion::V1_3, ProtocolVersion::TLSv1_3),
    ] {
        let tls = Tls {
            least,
            most,
            ..required()
        };
        let (ours, theirs) = shake(&tls, "localhost", &acceptor).await;
        assert_eq!(
            ours.unwrap().0.get_ref().1.protocol_version(),
            Some(version)
        );
        theirs.unwrap();
    }
    // A server that goes no further than 1.2.
    let server = Server::builder(Version::NEWEST)
        .tls(&made.own("old", &Wish::default()))
        .setting("ssl_max_protocol_version", "TLSv1.2")
        .start();
    let mut config = Config::new("127.0.0.1", "postgres")
        .with_port(server.port())
        .with_sslmode(SslMode::Require);
    Client::connect(&config).await.unwrap();
    config.tls.least = TlsVersion::V1_3;
    let error = Client::connect(&config).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Tls);
    assert!(
        error.hint().unwrap().contains("ssl_min_protocol_version"),
        "{error:?}"
    );
    config.tls.most = TlsVersion::V1_2;
    assert_eq!(
        Client::connect(&config).await.unwrap_err().kind(),
        ErrorKind::Config
    );
}

/// Certificates of version 1, whose signatures in the handshake are checked by other code, in both versions of TLS.
#[tokio::test]
async fn a_server_has_to_have_the_key_of_its_old_certificate() {
    let made = Certificates::new();
    let ca = made.own("ca", &Wish::authority("/CN=root"));
    let old = Wish {
        subject: "/CN=localhost",
        extensions: "",
        ..Wish::default()
    };
    let (good, other) = (
        made.issued("good", &old, &ca),
        made.issued("other", &old, &ca),
    );
    for version in [TlsVersion::V1_2, TlsVersion::V1_3] {
        let tls = Tls {
            mode: SslMode::VerifyFull,
            roots: RootCertificates::File(ca.file.clone()),
            least: version,
            most: version,
            ..Tls::default()
        };
        for (key, has_it) in [(&good.key, true), (&other.key, false)] {
            let chain = CertificateDer::pem_file_iter(&good.file).unwrap();
            let provider = ring::default_provider();
            let key = PrivateKeyDer::from_pem_file(key).unwrap();
            let key = provider.key_provider.load_private_key(key).unwrap();
            // Nobody compares key and certificate on this way.
            let shown = rustls::sign::CertifiedKey::new(chain.map(Result::unwrap).collect(), key);
            let settings = ServerConfig::builder_with_provider(Arc::new(provider))
                .with_safe_default_protocol_versions()
                .unwrap()
                .with_no_client_auth()
                .with_cert_resolver(Arc::new(rustls::sign::SingleCertAndKey::from(shown)));
            let acceptor = TlsAcceptor::from(Arc::new(settings));
            let (ours, _) = shake(&tls, "localhost", &acceptor).await;
            assert_eq!(ours.is_ok(), has_it, "{version:?}: {ours:?}");
        }
    }
}

/// A home with what the setter of the files' names would otherwise name.
fn in_home(made: &Certificates, files: &[(&str, &PathBuf)]) -> Tls {
    let home = made.path("home");
    let _ = std::fs::remove_dir_all(&home);
    std::fs::create_dir(&home).unwrap();
    for (name, from) in files {
        // Keeps the mode of a key.
        std::fs::copy(from, home.join(name)).unwrap();
    }
    Tls {
        home: Some(home),
        ..required()
    }
}

#[tokio::test]
async fn files_in_their_usual_places_are_used_without_being_named() {
    let made = Certificates::new();
    let ca = made.own("ca", &Wish::authority("/CN=root"));
    let other = made.own("other", &Wish::authority("/CN=other"));
    let certificate = made.issued("server", &Wish::default(), &ca);
    let client = made.issued("app", &Wish::client("/CN=app"), &ca);
    let revoked = made.revoked("revoked", &ca, &[&certificate], false);
    let nothing = made.revoked("nothing", &ca, &[], false);
    let server = Server::builder(Version::NEWEST)
        .tls(&certificate)
        .file("ca.crt", &ca.file)
        .setting("ssl_ca_file", "ca.crt")
        .allow("hostssl all app all cert")
        .start();
    testdata::Client::connect(&server, "postgres")
        .and_then(|mut client| client.batch("CREATE ROLE app LOGIN"))
        .unwrap();
    let (crt, key) = (&client.file, &client.key);
    let identity = [("postgresql.crt", crt), ("postgresql.key", key)];
    let with = |more: &[(&'static str, &PathBuf)]| in_home(&made, &[&identity, more].concat());
    let connects = async |tls: &Tls| {
        let mut config = Config::new("localhost", "app")
            .with_port(server.port())
            .with_database("postgres");
        config.tls = tls.clone();
        Client::connect(&config)
            .await
            .map(drop)
            .map_err(|error| error.to_string())
    };
    connects(&with(&[])).await.unwrap();
    connects(&with(&[("root.crt", &ca.file)])).await.unwrap();
    connects(&with(&[("root.crt", &ca.file), ("root.crl", &nothing)]))
        .await
        .unwrap();
    // No certificate, no entry.
    assert!(connects(&in_home(&made, &[])).await.is_err());
    assert!(
        connects(&in_home(&made, &[("postgresql.crt", crt)]))
            .await
            .is_err()
    );
    let hidden = Tls {
        certificate_mode: SslCertMode::Disable,
        ..with(&[])
    };
    assert!(connects(&hidden).await.is_err());
    // Where there is a root, sslmode=require asks it.
    let error = connects(&with(&[("root.crt", &other.file)]))
        .await
        .unwrap_err();
    assert!(error.contains("no root certificate vouches"), "{error}");
    let error = connects(&with(&[("root.crt", &ca.file), ("root.crl", &revoked)]))
        .await
        .unwrap_err();
    assert!(error.contains("revoked"), "{error}");

    // A folder of lists, instead of that file.
    let folder = made.path("lists");
    std::fs::create_dir(&folder).unwrap();
    std::fs::copy(&nothing, folder.join("a")).unwrap();
    let mut tls = with(&[("root.crt", &ca.file), ("root.crl", &revoked)]);
    tls.revoked_folder = Some(folder.clone());
    connects(&tls).await.unwrap();
    std::fs::copy(&revoked, folder.join("a")).unwrap();
    assert!(connects(&tls).await.unwrap_err().contains("revoked"));
}
