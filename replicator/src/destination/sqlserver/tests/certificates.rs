//! Which servers are trusted.

use std::path::Path;
use std::sync::Arc;

use testdata::{Certificate, Certificates, Wish};
use tokio_rustls::rustls::ServerConfig;
use tokio_rustls::rustls::crypto::ring;
use tokio_rustls::rustls::pki_types::pem::PemObject;
use tokio_rustls::rustls::pki_types::{CertificateDer, PrivateKeyDer};

use super::endpoint::{Encryption, Endpoint};
use super::{open, usual, words};
use crate::destination::sqlserver::url::Address;
use crate::destination::sqlserver::wire::Wire;

fn server(certificate: &Certificate) -> Encryption {
    let chain = vec![CertificateDer::from_pem_file(&certificate.file).unwrap()];
    let key = PrivateKeyDer::from_pem_file(&certificate.key).unwrap();
    let config = ServerConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(chain, key)
        .unwrap();
    Encryption::Wanted(Arc::new(config))
}

fn authority<'a>() -> Wish<'a> {
    Wish {
        subject: "/CN=authority",
        extensions: "basicConstraints=critical,CA:TRUE",
        ..Wish::default()
    }
}

fn root(mode: &str, file: &Path) -> String {
    format!("sslmode={mode}&sslrootcert={}", file.display())
}

#[tokio::test]
async fn a_certificate_is_looked_at_as_far_as_it_is_asked_for() {
    let folder = Certificates::new();
    let trusted = folder.own("trusted", &authority());
    let other = folder.own("other", &authority());
    let here = folder.issued("here", &Wish::default(), &trusted);
    let elsewhere = Wish {
        extensions: "subjectAltName=DNS:elsewhere.example",
        ..Wish::default()
    };
    let elsewhere = folder.issued("elsewhere", &elsewhere, &trusted);
    let ours = Endpoint::start(server(&here), usual).await;
    let theirs = Endpoint::start(server(&elsewhere), usual).await;
    for (endpoint, parameters, trusts) in [
        (&ours, "sslmode=require".to_owned(), true),
        (&ours, "sslmode=prefer".to_owned(), true),
        (&ours, root("verify-full", &trusted.file), true),
        (&ours, root("verify-full", &other.file), false),
        (&ours, root("verify-ca", &other.file), false),
        (&ours, "sslmode=verify-full".to_owned(), false),
        (&theirs, root("verify-ca", &trusted.file), true),
        (&theirs, root("verify-full", &trusted.file), false),
    ] {
        let url = endpoint.url(&parameters);
        match open(&url).await {
            Ok(_) => {
                assert!(trusts, "{parameters}");
                let wire = Wire::connect(&Address::read(&url).unwrap()).await.unwrap();
                assert!(wire.is_encrypted());
            }
            Err(error) => {
                assert!(!trusts, "{parameters}: {}", words(&error));
                assert_eq!(error.exit_code(), 2, "{}", words(&error));
                let hint = error.hint().unwrap_or_default();
                assert!(hint.contains("sslrootcert"), "{hint}");
                assert!(words(&error).contains("certificate"), "{}", words(&error));
            }
        }
    }
}

#[tokio::test]
async fn a_root_that_is_none_is_a_mistake_in_the_url() {
    let folder = Certificates::new();
    let server_of_ours = folder.own("own", &Wish::default());
    let endpoint = Endpoint::start(server(&server_of_ours), usual).await;
    let error = open(&endpoint.url(&root("verify-ca", &server_of_ours.key)))
        .await
        .unwrap_err();
    assert_eq!(error.exit_code(), 2, "{}", words(&error));
}

#[tokio::test]
async fn tls_is_had_where_both_sides_have_it() {
    let folder = Certificates::new();
    let certificate = folder.own("own", &Wish::default());
    let only = Endpoint::start(server(&certificate), usual).await;
    let none = Endpoint::start(Encryption::None, usual).await;
    for (endpoint, mode, refusal) in [
        (&only, "disable", Some("it wants TLS")),
        (&none, "require", Some("it offers no TLS")),
        (&none, "disable", None),
        (&none, "prefer", None),
    ] {
        let url = endpoint.url(&format!("sslmode={mode}"));
        match (open(&url).await, refusal) {
            (Ok(_), None) => {
                let wire = Wire::connect(&Address::read(&url).unwrap()).await.unwrap();
                assert!(!wire.is_encrypted());
            }
            (Err(error), Some(refusal)) => {
                assert!(error.to_string().contains(refusal), "{error}");
                assert_eq!(error.exit_code(), 2);
            }
            (opened, _) => panic!("{mode}: {opened:?}"),
        }
        // Nobody logs in before that is settled.
        assert_eq!(endpoint.heard().is_empty(), refusal.is_some(), "{mode}");
    }
}
