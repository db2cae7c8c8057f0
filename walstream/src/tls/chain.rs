//! From a server's certificate to a root, for certificates that `webpki` does not take but OpenSSL does.
//!
//! `openssl x509 -req` without a file of extensions, as PostgreSQL's documentation shows it, makes certificates of version
//! 1; and a CA's certificate may serve as a server's. Everything else goes through `webpki`.

use tokio_rustls::rustls::pki_types::{CertificateDer, SignatureVerificationAlgorithm};

use super::certificate::{BASIC_CONSTRAINTS, Certificate, EXTENDED_KEY_USAGE, KEY_USAGE};
use super::distrust::Distrust;

/// More certificates between a server's and a root than anybody has.
const LONGEST: u8 = 8;

/// KeyUsage: signing certificates.
const SIGNS_CERTIFICATES: u8 = 5;

/// Whether one of the roots vouches for a certificate at this time, in seconds since 1970.
pub(crate) fn check(
    leaf: &Certificate<'_>,
    between: &[CertificateDer<'_>],
    roots: &[CertificateDer<'_>],
    algorithms: &[&dyn SignatureVerificationAlgorithm],
    now: i64,
) -> Result<(), Distrust> {
    if !leaf.serves() {
        return Err(Distrust::NotForServers);
    }
    // Somebody who sends many of one name does not make us compute for long.
    let mut signatures = 16 + roots.len();
    let path = Path {
        between: &readable(between),
        roots: &readable(roots),
        algorithms,
        now,
    };
    path.climb(leaf, 0, &mut signatures)
}

fn readable<'a>(list: &'a [CertificateDer<'_>]) -> Vec<Certificate<'a>> {
    list.iter()
        .filter_map(|certificate| Certificate::read(certificate))
        .collect()
}

struct Path<'a> {
    between: &'a [Certificate<'a>],
    roots: &'a [Certificate<'a>],
    algorithms: &'a [&'a dyn SignatureVerificationAlgorithm],
    now: i64,
}

impl Path<'_> {
    /// From a certificate that `depth` authorities stand below, to a root.
    fn climb(
        &self,
        from: &Certificate<'_>,
        depth: u8,
        signatures: &mut usize,
    ) -> Result<(), Distrust> {
        valid_at(from, self.now)?;
        understood(from)?;
        let mut reason = Distrust::UnknownIssuer;
        for root in self.roots.iter().filter(|root| root.subject == from.issuer) {
            match self.issued(root, from, depth, signatures) {
                Ok(()) => return Ok(()),
                Err(error) => reason = error,
            }
        }
        let issuers = self.between.iter();
        for issuer in issuers.filter(|issuer| issuer.subject == from.issuer) {
            if depth == LONGEST || issuer.is_self_issued() {
                continue;
            }
            let climbed = self
                .issued(issuer, from, depth, signatures)
                .and_then(|()| self.climb(issuer, depth + 1, signatures));
            match climbed {
                Ok(()) => return Ok(()),
                Err(error) => reason = error,
            }
        }
        Err(reason)
    }

    fn issued(
        &self,
        issuer: &Certificate<'_>,
        certificate: &Certificate<'_>,
        depth: u8,
        signatures: &mut usize,
    ) -> Result<(), Distrust> {
        // A root of version 1 cannot say that it is one; who put it among the roots did.
        let is_old_root = issuer.version == 1 && issuer.is_self_issued();
        let may = match issuer.authority() {
            Some(longest) => longest.is_none_or(|longest| depth <= longest),
            None => is_old_root,
        };
        if !may || !issuer.allows(SIGNS_CERTIFICATES) {
            return Err(Distrust::UnknownIssuer);
        }
        *signatures = signatures.checked_sub(1).ok_or(Distrust::UnknownIssuer)?;
        signed_by(issuer, certificate, self.algorithms)
    }
}

/// Whether the issuer's key made the certificate's signature.
fn signed_by(
    issuer: &Certificate<'_>,
    certificate: &Certificate<'_>,
    algorithms: &[&dyn SignatureVerificationAlgorithm],
) -> Result<(), Distrust> {
    let mut fitting = algorithms
        .iter()
        .filter(|algorithm| {
            algorithm.public_key_alg_id().as_ref() == issuer.key_algorithm
                && algorithm.signature_alg_id().as_ref() == certificate.signature_algorithm
        })
        .peekable();
    if fitting.peek().is_none() {
        return Err(Distrust::Unsupported(
            "it is signed in a way that is not supported".into(),
        ));
    }
    fitting
        .any(|algorithm| {
            let signature = certificate.signature;
            algorithm
                .verify_signature(issuer.key, certificate.signed, signature)
                .is_ok()
        })
        .then_some(())
        .ok_or(Distrust::BadSignature)
}

/// Whether a certificate holds at this time.
pub(crate) fn valid_at(certificate: &Certificate<'_>, now: i64) -> Result<(), Distrust> {
    match now {
        _ if now < certificate.not_before => Err(Distrust::NotYetValid),
        _ if now > certificate.not_after => Err(Distrust::Expired),
        _ => Ok(()),
    }
}

/// Refuses what is critical and not looked at here, such as constraints on names.
fn understood(certificate: &Certificate<'_>) -> Result<(), Distrust> {
    let known = [
        BASIC_CONSTRAINTS,
        KEY_USAGE,
        EXTENDED_KEY_USAGE,
        super::certificate::SUBJECT_ALT_NAME,
    ];
    let mut extensions = certificate.extensions();
    match extensions.find(|extension| extension.critical && !known.contains(&extension.id)) {
        Some(_) => Err(Distrust::Unsupported(
            "it cannot be checked: a critical extension is unknown".into(),
        )),
        None => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use testdata::{Certificates, Wish};
    use tokio_rustls::rustls::crypto::ring;
    use tokio_rustls::rustls::pki_types::UnixTime;
    use tokio_rustls::rustls::pki_types::pem::PemObject;

    use super::*;

    fn der(certificate: &testdata::Certificate) -> CertificateDer<'static> {
        CertificateDer::from_pem_file(&certificate.file).unwrap()
    }

    fn believed(leaf: &[u8], between: &[CertificateDer<'_>], root: &CertificateDer<'_>) -> bool {
        let algorithms = ring::default_provider().signature_verification_algorithms;
        let Some(leaf) = Certificate::read(leaf) else {
            return false;
        };
        let now = i64::try_from(UnixTime::now().as_secs()).unwrap();
        check(
            &leaf,
            between,
            std::slice::from_ref(root),
            algorithms.all,
            now,
        )
        .is_ok()
    }

    #[test]
    fn a_bit_that_is_not_as_it_was_signed_is_seen_wherever_it_is() {
        let made = Certificates::new();
        let root = made.own("root", &Wish::authority("/CN=root"));
        let between = made.issued("between", &Wish::authority("/CN=between"), &root);
        let old = Wish {
            extensions: "",
            ..Wish::default()
        };
        let (leaf, root, between) = (
            der(&made.issued("leaf", &old, &between)),
            der(&root),
            der(&between),
        );
        assert!(believed(&leaf, std::slice::from_ref(&between), &root));
        assert!(!believed(&leaf, &[], &root));
        for byte in 0..leaf.len() {
            let mut changed = leaf.to_vec();
            changed[byte] ^= 1 << (byte % 8);
            assert!(
                !believed(&changed, std::slice::from_ref(&between), &root),
                "byte {byte}"
            );
        }
        for byte in 0..between.len() {
            let mut changed = between.to_vec();
            changed[byte] ^= 1 << (byte % 8);
            assert!(
                !believed(&leaf, &[changed.into()], &root),
                "byte {byte} of the one between"
            );
        }
        for end in 0..leaf.len() {
            assert!(!believed(
                &leaf[..end],
                std::slice::from_ref(&between),
                &root
            ));
        }
    }

    #[test]
    fn only_who_may_issue_is_followed_and_only_so_far() {
        let made = Certificates::new();
        fn extended<'a>(subject: &'a str, extensions: &'a str) -> Wish<'a> {
            Wish {
                subject,
                extensions,
                ..Wish::default()
            }
        }
        let old = Wish {
            extensions: "",
            ..Wish::default()
        };
        let root = made.own("root", &Wish::authority("/CN=root"));
        for (what, extensions, expected) in [
            ("an authority", "basicConstraints=critical,CA:TRUE", true),
            (
                "one that says no",
                "basicConstraints=critical,CA:FALSE",
                false,
            ),
            ("one that says nothing", "keyUsage=keyCertSign", false),
            ("one of version 1", "", false),
            (
                "one for other uses",
                "basicConstraints=CA:TRUE\nkeyUsage=digitalSignature",
                false,
            ),
            (
                "one for some names",
                "basicConstraints=CA:TRUE\nnameConstraints=critical,permitted;DNS:example",
                false,
            ),
        ] {
            let between = made.issued("between", &extended("/CN=between", extensions), &root);
            let leaf = made.issued("leaf", &old, &between);
            assert_eq!(
                believed(&der(&leaf), &[der(&between)], &der(&root)),
                expected,
                "{what}"
            );
        }
        // As far as the root allows: none between, or one.
        for (length, expected) in [("0", false), ("1", true)] {
            let extensions = format!("basicConstraints=critical,CA:TRUE,pathlen:{length}");
            let root = made.own("short", &extended("/CN=short", &extensions));
            let between = made.issued("middle", &Wish::authority("/CN=middle"), &root);
            let leaf = made.issued("end", &old, &between);
            assert_eq!(
                believed(&der(&leaf), &[der(&between)], &der(&root)),
                expected,
                "{length}"
            );
        }
    }
}
