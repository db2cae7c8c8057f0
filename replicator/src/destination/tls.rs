//! TLS to a destination server, as its URL asks for it: the same words for every product.
//!
//! Parameters and modes have libpq's names; those that MySQL's programs use are understood as well.

use std::fs::File;
use std::path::PathBuf;

use crate::error::{Error, Result};

/// What is asked of a connection.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Tls {
    /// How much of it.
    pub(crate) mode: Mode,
    /// Whose signatures count; the system's without it.
    pub(crate) roots: Option<PathBuf>,
    /// Our own certificate and its key.
    pub(crate) identity: Option<(PathBuf, PathBuf)>,
}

/// How much is asked, from nothing to everything.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Mode {
    /// No TLS.
    Disable,
    /// Where the server has it, whoever the server is.
    #[default]
    Prefer,
    /// Always, whoever the server is.
    Require,
    /// And a certificate that somebody trusted has signed.
    VerifyCa,
    /// And that names the host.
    VerifyFull,
}

/// What parameters say, one after the other; a later one counts.
#[derive(Clone, Debug, Default)]
pub(crate) struct Parameters {
    mode: Option<Mode>,
    roots: Option<String>,
    certificate: Option<String>,
    key: Option<String>,
}

/// What libpq calls the roots that the system trusts.
const SYSTEM: &str = "system";

impl Parameters {
    /// Takes a parameter if it is about TLS; says whether it is.
    ///
    /// # Errors
    ///
    /// A mode that does not exist, or that no driver of ours has.
    pub(crate) fn take(&mut self, name: &str, value: &str) -> Result<bool> {
        let place = match &*name.to_ascii_lowercase().replace('_', "-") {
            "sslmode" | "ssl-mode" => {
                self.mode = Some(mode(value)?);
                return Ok(true);
            }
            "sslrootcert" | "ssl-root-cert" | "ssl-ca" => &mut self.roots,
            "sslcert" | "ssl-cert" => &mut self.certificate,
            "sslkey" | "ssl-key" => &mut self.key,
            _ => return Ok(false),
        };
        *place = Some(value.to_owned()).filter(|value| !value.is_empty());
        Ok(true)
    }

    /// All of them together.
    ///
    /// Roots are there to be used: who names some without a mode, or with one that asks for nobody's signature, means
    /// `verify-ca`, and who names the system's means `verify-full`.
    ///
    /// # Errors
    ///
    /// A file that cannot be read, or half of an identity.
    pub(crate) fn settle(self) -> Result<Tls> {
        let system = self.roots.as_deref() == Some(SYSTEM);
        let mode = match (self.mode, &self.roots) {
            // As libpq: anybody may have a certificate of a public authority.
            (Some(mode), Some(_)) if system && mode != Mode::VerifyFull => {
                return Err(refuse("sslrootcert=system needs sslmode=verify-full"));
            }
            (None, Some(_)) if system => Mode::VerifyFull,
            (None | Some(Mode::Require), Some(_)) => Mode::VerifyCa,
            (mode, _) => mode.unwrap_or_default(),
        };
        let identity = match (self.certificate, self.key) {
            (None, None) => None,
            (Some(certificate), Some(key)) => {
                Some((file("sslcert", &certificate)?, file("sslkey", &key)?))
            }
            (Some(_), None) => return Err(refuse("sslcert needs sslkey beside it")),
            (None, Some(_)) => return Err(refuse("sslkey needs sslcert beside it")),
        };
        let roots = self.roots.filter(|_| !system);
        let roots = roots.map(|name| file("sslrootcert", &name)).transpose()?;
        Ok(Tls {
            mode,
            roots,
            identity,
        })
    }
}

fn mode(text: &str) -> Result<Mode> {
    match &*text.to_ascii_lowercase().replace('_', "-") {
        "disable" | "disabled" => Ok(Mode::Disable),
        "prefer" | "preferred" => Ok(Mode::Prefer),
        "require" | "required" => Ok(Mode::Require),
        "verify-ca" => Ok(Mode::VerifyCa),
        "verify-full" | "verify-identity" => Ok(Mode::VerifyFull),
        "allow" => Err(refuse("sslmode=allow is not supported there")),
        other => Err(refuse(&format!("sslmode={other} is unknown"))),
    }
}

/// Now rather than at each attempt to connect.
fn file(parameter: &str, name: &str) -> Result<PathBuf> {
    match File::open(name) {
        Ok(_) => Ok(PathBuf::from(name)),
        Err(error) => Err(refuse(&format!("{parameter}={name} cannot be read")).caused_by(error)),
    }
}

fn refuse(what: &str) -> Error {
    Error::usage(format!("in the URL of the destination, {what}")).with_hint(
        "sslmode is disable, prefer, require, verify-ca or verify-full; sslrootcert, sslcert and sslkey name PEM files",
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn settle(parameters: &[(&str, &str)]) -> Result<Tls> {
        let mut all = Parameters::default();
        for (name, value) in parameters {
            assert!(all.take(name, value)?, "{name}");
        }
        all.settle()
    }

    #[test]
    fn modes_have_the_names_of_both_products() {
        for (text, mode) in [
            ("disable", Mode::Disable),
            ("DISABLED", Mode::Disable),
            ("Prefer", Mode::Prefer),
            ("REQUIRED", Mode::Require),
            ("verify_ca", Mode::VerifyCa),
            ("verify-full", Mode::VerifyFull),
            ("VERIFY_IDENTITY", Mode::VerifyFull),
        ] {
            for name in ["sslmode", "ssl-mode", "ssl_mode"] {
                assert_eq!(settle(&[(name, text)]).unwrap().mode, mode, "{text}");
            }
        }
        assert_eq!(settle(&[]).unwrap(), Tls::default());
        assert!(!Parameters::default().take("sslpassword", "x").unwrap());
    }

    #[test]
    fn roots_are_there_to_be_used() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("root.pem");
        File::create(&file).unwrap();
        let name = file.to_str().unwrap();
        for (given, settled) in [
            (None, Mode::VerifyCa),
            (Some("require"), Mode::VerifyCa),
            (Some("prefer"), Mode::Prefer),
            (Some("verify-full"), Mode::VerifyFull),
        ] {
            let mut all = vec![("sslrootcert", name)];
            all.extend(given.map(|mode| ("sslmode", mode)));
            let tls = settle(&all).unwrap();
            assert_eq!(
                (tls.mode, tls.roots),
                (settled, Some(file.clone())),
                "{given:?}"
            );
        }
        let system = settle(&[("ssl-ca", "system")]).unwrap();
        assert_eq!((system.mode, system.roots), (Mode::VerifyFull, None));
        let both = settle(&[("sslcert", name), ("ssl-key", name)]).unwrap();
        assert_eq!(both.identity, Some((file.clone(), file.clone())));
    }

    #[test]
    fn what_cannot_be_meant_is_refused() {
        for (parameters, words) in [
            (&[("sslmode", "yes")][..], "sslmode=yes is unknown"),
            (&[("sslmode", "allow")], "not supported"),
            (
                &[("sslrootcert", "/nowhere.pem")],
                "sslrootcert=/nowhere.pem cannot be read",
            ),
            (&[("sslcert", "/x")], "sslkey beside it"),
            (&[("sslkey", "/x")], "sslcert beside it"),
            (
                &[("sslrootcert", "system"), ("sslmode", "require")],
                "needs sslmode=verify-full",
            ),
        ] {
            let error = settle(parameters).unwrap_err();
            assert_eq!(error.exit_code(), 2);
            assert!(error.to_string().contains(words), "{error}");
        }
    }
}
