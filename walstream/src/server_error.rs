//! What the server said was wrong, field by field.

use std::fmt;

/// The fields of a server's error or notice. The texts are in the server's language; only codes are compared.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct ServerError {
    /// `ERROR`, `FATAL` or `PANIC`, never translated; for a notice `WARNING`, `NOTICE`, ….
    pub severity: String,
    /// The SQLSTATE, five characters.
    pub code: String,
    /// What happened, in the server's language.
    pub message: String,
    /// More of it.
    pub detail: Option<String>,
    /// What the server suggests.
    pub hint: Option<String>,
    /// Where it happened; while streaming this names slot, plugin and position.
    pub context: Option<String>,
}

impl ServerError {
    /// Reads the body of an ErrorResponse or NoticeResponse.
    ///
    /// Takes what it can: a broken report of an error must not hide the error. Bytes that are not UTF-8 are replaced,
    /// since before the client encoding is agreed upon the server may use its own.
    pub(crate) fn read(body: &[u8]) -> Self {
        let mut error = Self::default();
        for field in body.split(|byte| *byte == 0) {
            let Some((kind, text)) = field.split_first() else {
                break;
            };
            let text = String::from_utf8_lossy(text).into_owned();
            match kind {
                b'V' => error.severity = text,
                // Translated; counts only where the server sends no 'V' (before 9.6).
                b'S' if error.severity.is_empty() => error.severity = text,
                b'C' => error.code = text,
                b'M' => error.message = text,
                b'D' => error.detail = Some(text),
                b'H' => error.hint = Some(text),
                b'W' => error.context = Some(text),
                _ => {}
            }
        }
        error
    }
}

impl fmt::Display for ServerError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}: {}", self.severity, self.code, self.message)?;
        if let Some(detail) = &self.detail {
            write!(f, " ({detail})")?;
        }
        Ok(())
    }
}

impl std::error::Error for ServerError {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_every_field_and_prefers_the_untranslated_severity() {
        let error = ServerError::read(
            b"SFEHLER\0VERROR\0C42704\0MReplikations-Slot existiert nicht\0Dd\0Hh\0Ww\0Fslot.c\0L1\0RReplicationSlotAcquire\0\0",
        );
        assert_eq!(error.severity, "ERROR");
        assert_eq!(error.code, "42704");
        assert_eq!(
            (
                error.detail.as_deref(),
                error.hint.as_deref(),
                error.context.as_deref()
            ),
            (Some("d"), Some("h"), Some("w"))
        );
        assert_eq!(
            error.to_string(),
            "ERROR 42704: Replikations-Slot existiert nicht (d)"
        );
    }

    #[test]
    fn a_broken_report_is_still_a_report() {
        for body in [&b""[..], b"\0", b"M", b"Mcut of", b"M\xff\0\0", b"\0\0\0"] {
            let _ = ServerError::read(body);
        }
        assert_eq!(ServerError::read(b"Mcut of").message, "cut of");
    }
}
