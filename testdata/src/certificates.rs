//! Certificates of every kind that a server or a client may have, made by the program `openssl`.
//!
//! By that one because it makes what users have: keys in each of its forms, certificates of version 1, RSA-PSS, revocation
//! lists. What is made lies in a folder of its own, which is deleted with the last of it.

use std::ffi::OsStr;
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::port::random;

/// A folder of certificates and keys.
#[derive(Debug)]
pub struct Certificates {
    folder: PathBuf,
}

/// A certificate and its key, both in PEM form.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Certificate {
    /// The file of the certificate.
    pub file: PathBuf,
    /// The file of its key, which only its owner can read.
    pub key: PathBuf,
}

/// What a certificate is to be like.
#[derive(Clone, Debug)]
pub struct Wish<'a> {
    /// The kind of its key: arguments of `openssl genpkey`, such as `-algorithm ed25519`.
    pub key: &'a str,
    /// Its subject, such as `/CN=localhost`.
    pub subject: &'a str,
    /// Its extensions, a line each as in openssl's configuration; none at all makes a certificate of version 1.
    pub extensions: &'a str,
    /// How its issuer signs it, such as `-sha384`.
    pub signature: &'a str,
    /// Whether it held in 2020 only, instead of from now on; it is then signed with SHA-256.
    pub ended: bool,
}

/// An RSA key, as most servers have.
pub const RSA: &str = "-algorithm RSA -pkeyopt rsa_keygen_bits:2048";
/// A key on the curve P-256.
pub const P256: &str = "-algorithm EC -pkeyopt ec_paramgen_curve:P-256";
/// A key on the curve P-384.
pub const P384: &str = "-algorithm EC -pkeyopt ec_paramgen_curve:P-384";
/// An Ed25519 key.
pub const ED25519: &str = "-algorithm ed25519";

impl Default for Wish<'_> {
    /// A server's on this machine.
    fn default() -> Self {
        Self {
            key: P256,
            subject: "/CN=server",
            extensions: "subjectAltName=DNS:localhost,IP:127.0.0.1",
            signature: "-sha256",
            ended: false,
        }
    }
}

impl Wish<'_> {
    /// An authority's.
    pub fn authority(subject: &str) -> Wish<'_> {
        Wish {
            subject,
            extensions: "basicConstraints=critical,CA:TRUE\nkeyUsage=critical,keyCertSign,cRLSign\nsubjectKeyIdentifier=hash",
            ..Wish::default()
        }
    }

    /// A client's, whose common name is that of its user.
    pub fn client(subject: &str) -> Wish<'_> {
        Wish {
            subject,
            extensions: "extendedKeyUsage=clientAuth",
            ..Wish::default()
        }
    }
}

impl Certificates {
    /// An empty folder; `testdata/install` sweeps those whose process is gone.
    #[expect(clippy::new_without_default, reason = "it makes a folder")]
    pub fn new() -> Self {
        let name = format!(
            "testdata-{}-certificates-{:x}",
            std::process::id(),
            random()
        );
        let folder = std::env::temp_dir().join(name);
        fs::create_dir(&folder)
            .unwrap_or_else(|error| panic!("cannot make {}: {error}", folder.display()));
        Self { folder }
    }

    /// A path in the folder.
    pub fn path(&self, name: &str) -> PathBuf {
        self.folder.join(name)
    }

    /// Makes a certificate that is its own issuer.
    pub fn own(&self, name: &str, wish: &Wish<'_>) -> Certificate {
        self.make(name, wish, None)
    }

    /// Makes a certificate that another one issues.
    pub fn issued(&self, name: &str, wish: &Wish<'_>, issuer: &Certificate) -> Certificate {
        self.make(name, wish, Some(issuer))
    }

    fn make(&self, name: &str, wish: &Wish<'_>, issuer: Option<&Certificate>) -> Certificate {
        let certificate = Certificate {
            file: self.path(&format!("{name}.crt")),
            key: self.path(&format!("{name}.key")),
        };
        let request = self.path(&format!("{name}.csr"));
        openssl(words("genpkey", wish.key).arg("-out").arg(&certificate.key));
        only_ours(&certificate.key);
        openssl(
            words("req -new", "")
                .args(["-subj", wish.subject, "-key"])
                .arg(&certificate.key)
                .arg("-out")
                .arg(&request),
        );
        let mut command = if wish.ended {
            // `openssl x509` takes no times before now.
            let mut command = self.ca(name);
            command.args([
                "-startdate",
                "20200101000000Z",
                "-enddate",
                "20210101000000Z",
            ]);
            match issuer {
                Some(issuer) => command
                    .arg("-cert")
                    .arg(&issuer.file)
                    .arg("-keyfile")
                    .arg(&issuer.key),
                None => command
                    .arg("-selfsign")
                    .arg("-keyfile")
                    .arg(&certificate.key),
            };
            command
        } else {
            let mut command = words("x509 -req -days 30", wish.signature);
            command.args(["-set_serial", &(random() >> 1).to_string()]);
            match issuer {
                Some(issuer) => command
                    .arg("-CA")
                    .arg(&issuer.file)
                    .arg("-CAkey")
                    .arg(&issuer.key),
                None => command.arg("-signkey").arg(&certificate.key),
            };
            command
        };
        if !wish.extensions.is_empty() {
            let extensions = self.write(&format!("{name}.ext"), wish.extensions);
            command.arg("-extfile").arg(extensions);
        }
        command.arg("-in").arg(&request);
        openssl(command.arg("-out").arg(&certificate.file));
        certificate
    }

    /// Makes a list of the certificates that an authority has revoked; it may have ended in 2020.
    pub fn revoked(
        &self,
        name: &str,
        authority: &Certificate,
        revoked: &[&Certificate],
        ended: bool,
    ) -> PathBuf {
        let list = format!("{name}-list");
        let ca = || {
            let mut command = self.ca(&list);
            command.arg("-cert").arg(&authority.file);
            command.arg("-keyfile").arg(&authority.key);
            command
        };
        let mut command = ca();
        for certificate in revoked {
            openssl(ca().arg("-revoke").arg(&certificate.file));
        }
        let list = self.path(&format!("{name}.crl"));
        if ended {
            command.args([
                "-crl_lastupdate",
                "20200101000000Z",
                "-crl_nextupdate",
                "20200201000000Z",
            ]);
        } else {
            command.args(["-crldays", "30"]);
        }
        openssl(command.arg("-gencrl").arg("-out").arg(&list));
        list
    }

    /// The program's own authority, which remembers what it did.
    fn ca(&self, name: &str) -> Command {
        let path = self.path(&format!("{name}.conf"));
        if !path.exists() {
            let settings = format!(
                "[ca]\ndefault_ca = it\n[it]\ndatabase = {}\nnew_certs_dir = {}\nrand_serial = yes\nunique_subject = no\n\
                 crlnumber = {}\ndefault_md = sha256\npolicy = any\ncrl_extensions = list\n\
                 [any]\ncommonName = supplied\n[list]\nauthorityKeyIdentifier = keyid:always\n",
                self.write(&format!("{name}.txt"), "").display(),
                self.folder.display(),
                self.write(&format!("{name}.number"), "01").display(),
            );
            self.write(&format!("{name}.conf"), &settings);
        }
        let mut command = words("ca -batch -notext", "");
        command.arg("-config").arg(path);
        command
    }

    /// Another form of a key, by arguments of openssl such as `pkcs8 -topk8 -v2 aes-256-cbc -passout pass:x`.
    pub fn key_as(&self, name: &str, key: &Path, arguments: &str) -> PathBuf {
        let file = self.path(&format!("{name}.key"));
        openssl(
            words(arguments, "")
                .arg("-in")
                .arg(key)
                .arg("-out")
                .arg(&file),
        );
        only_ours(&file);
        file
    }

    /// One file out of several, such as a chain.
    pub fn joined(&self, name: &str, files: &[&Path]) -> PathBuf {
        let texts = files.iter().map(|file| {
            fs::read_to_string(file)
                .unwrap_or_else(|error| panic!("cannot read {}: {error}", file.display()))
        });
        self.write(name, &texts.collect::<String>())
    }

    /// A file of this text in the folder.
    pub fn write(&self, name: &str, text: &str) -> PathBuf {
        let path = self.path(name);
        fs::write(&path, text)
            .unwrap_or_else(|error| panic!("cannot write {}: {error}", path.display()));
        path
    }
}

impl Drop for Certificates {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.folder);
    }
}

fn words(first: &str, more: &str) -> Command {
    let mut command = Command::new("openssl");
    command
        .args(first.split_whitespace())
        .args(more.split_whitespace());
    command
}

fn openssl(command: &mut Command) {
    let output = command.output().unwrap_or_else(|error| {
        panic!("cannot run openssl ({error}); run testdata/install as root, which installs it")
    });
    let arguments: Vec<&OsStr> = command.get_args().collect();
    assert!(
        output.status.success(),
        "openssl {arguments:?} failed:\n{}",
        String::from_utf8_lossy(&output.stderr)
    );
}

fn only_ours(path: &Path) {
    fs::set_permissions(path, fs::Permissions::from_mode(0o600))
        .unwrap_or_else(|error| panic!("cannot protect {}: {error}", path.display()));
}
