//! Channel binding: the hash of the server's certificate that a login is tied to.

use sha2::{Digest, Sha224, Sha256, Sha384, Sha512};

use super::certificate::Certificate;
use super::der::{Der, tag};

/// `tls-server-end-point` of RFC 5929: the certificate, hashed as its issuer did to sign it, and never weaker than
/// SHA-256. `None` where the signature has no hash of its own (Ed25519), for which nothing is defined.
pub(crate) fn end_point(certificate: &[u8]) -> Option<Vec<u8>> {
    let hash = signature_hash(Certificate::read(certificate)?.signature_algorithm)?;
    Some(match hash {
        Hash::Sha224 => Sha224::digest(certificate).to_vec(),
        Hash::Sha256 => Sha256::digest(certificate).to_vec(),
        Hash::Sha384 => Sha384::digest(certificate).to_vec(),
        Hash::Sha512 => Sha512::digest(certificate).to_vec(),
    })
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Hash {
    Sha224,
    Sha256,
    Sha384,
    Sha512,
}

/// The hash of a signature algorithm. It is the issuer's choice: an RSA key may be signed for by ECDSA.
fn signature_hash(algorithm: &[u8]) -> Option<Hash> {
    // 1.2.840.113549.1.1 and 1.2.840.10045.4
    const PKCS1: &[u8] = &[0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 1, 1];
    const ECDSA: &[u8] = &[0x2a, 0x86, 0x48, 0xce, 0x3d, 4];
    let mut fields = Der::new(algorithm);
    let id = fields.take(tag::OID)?;
    if let Some(rest) = id.strip_prefix(PKCS1) {
        return match rest {
            // MD5 and SHA-1
            [4 | 5 | 11] => Some(Hash::Sha256),
            [12] => Some(Hash::Sha384),
            [13] => Some(Hash::Sha512),
            [14] => Some(Hash::Sha224),
            [10] => pss_hash(fields),
            _ => None,
        };
    }
    match id.strip_prefix(ECDSA)? {
        // SHA-1
        [1] | [3, 2] => Some(Hash::Sha256),
        [3, 1] => Some(Hash::Sha224),
        [3, 3] => Some(Hash::Sha384),
        [3, 4] => Some(Hash::Sha512),
        _ => None,
    }
}

/// RSA-PSS says its hash among its parameters; SHA-1 if it does not.
fn pss_hash(mut fields: Der<'_>) -> Option<Hash> {
    // 2.16.840.1.101.3.4.2
    const SHA2: &[u8] = &[0x60, 0x86, 0x48, 1, 0x65, 3, 4, 2];
    const SHA1: &[u8] = &[0x2b, 0x0e, 3, 2, 0x1a];
    let mut parameters = fields.inside(tag::SEQUENCE)?;
    let Some(hash) = parameters.optional(tag::context(0))? else {
        return Some(Hash::Sha256);
    };
    let id = Der::new(hash).inside(tag::SEQUENCE)?.take(tag::OID)?;
    if id == SHA1 {
        return Some(Hash::Sha256);
    }
    match id.strip_prefix(SHA2)? {
        [1] => Some(Hash::Sha256),
        [2] => Some(Hash::Sha384),
        [3] => Some(Hash::Sha512),
        [4] => Some(Hash::Sha224),
        _ => None,
    }
}
