//! A certificate: whose it is, who issued it, and until when it holds.

use super::der::{Der, tag};

/// A certificate of any version, read but not believed.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Certificate<'a> {
    /// What the issuer has signed.
    pub(crate) signed: &'a [u8],
    /// 1 or 3.
    pub(crate) version: u8,
    pub(crate) issuer: &'a [u8],
    pub(crate) subject: &'a [u8],
    /// Seconds since 1970.
    pub(crate) not_before: i64,
    pub(crate) not_after: i64,
    /// The public key with its kind, as SubjectPublicKeyInfo.
    pub(crate) key_info: &'a [u8],
    pub(crate) key_algorithm: &'a [u8],
    pub(crate) key: &'a [u8],
    extensions: Der<'a>,
    pub(crate) signature_algorithm: &'a [u8],
    pub(crate) signature: &'a [u8],
}

/// An extension of a certificate.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Extension<'a> {
    pub(crate) id: &'a [u8],
    pub(crate) critical: bool,
    pub(crate) value: &'a [u8],
}

pub(crate) const SUBJECT_ALT_NAME: &[u8] = &[0x55, 0x1d, 0x11];
pub(crate) const BASIC_CONSTRAINTS: &[u8] = &[0x55, 0x1d, 0x13];
pub(crate) const KEY_USAGE: &[u8] = &[0x55, 0x1d, 0x0f];
pub(crate) const EXTENDED_KEY_USAGE: &[u8] = &[0x55, 0x1d, 0x25];
const COMMON_NAME: &[u8] = &[0x55, 0x04, 0x03];

impl<'a> Certificate<'a> {
    /// Reads a certificate's DER; `None` if it is none.
    pub(crate) fn read(der: &'a [u8]) -> Option<Self> {
        let mut outer = Der::new(der);
        let mut certificate = outer.inside(tag::SEQUENCE)?;
        let signed = certificate.whole(tag::SEQUENCE)?;
        let signature_algorithm = certificate.take(tag::SEQUENCE)?;
        let signature = bits(&mut certificate)?;
        if !outer.is_empty() || !certificate.is_empty() {
            return None;
        }

        let mut fields = Der::new(signed).inside(tag::SEQUENCE)?;
        let version = match fields.optional(tag::context(0))? {
            None => 1,
            Some(version) => match Der::new(version).take(tag::INTEGER)? {
                [version @ 0..=2] => version + 1,
                _ => return None,
            },
        };
        fields.take(tag::INTEGER)?;
        // The same as outside, or the signature would be another than the one that was signed for.
        if fields.take(tag::SEQUENCE)? != signature_algorithm {
            return None;
        }
        let issuer = fields.take(tag::SEQUENCE)?;
        let mut validity = fields.inside(tag::SEQUENCE)?;
        let (not_before, not_after) = (time(&mut validity)?, time(&mut validity)?);
        let subject = fields.take(tag::SEQUENCE)?;
        let key_info = fields.whole(tag::SEQUENCE)?;
        let mut key = Der::new(key_info).inside(tag::SEQUENCE)?;
        let key_algorithm = key.take(tag::SEQUENCE)?;
        let key = bits(&mut key)?;
        // Unique identifiers of issuer and subject, which nobody writes.
        fields.optional(0x81)?;
        fields.optional(0x82)?;
        let extensions = match fields.optional(tag::context(3))? {
            Some(extensions) => Der::new(extensions).inside(tag::SEQUENCE)?,
            None => Der::new(&[]),
        };
        if !fields.is_empty() {
            return None;
        }
        let certificate = Self {
            signed,
            version,
            issuer,
            subject,
            not_before,
            not_after,
            key_info,
            key_algorithm,
            key,
            extensions,
            signature_algorithm,
            signature,
        };
        certificate.checked()
    }

    /// Itself if its extensions can be read, and none is there twice.
    fn checked(self) -> Option<Self> {
        let mut rest = self.extensions;
        let mut seen = Vec::new();
        while !rest.is_empty() {
            let id = extension(&mut rest)?.id;
            if seen.contains(&id) {
                return None;
            }
            seen.push(id);
        }
        Some(self)
    }

    pub(crate) fn extensions(&self) -> impl Iterator<Item = Extension<'a>> + use<'a> {
        let mut rest = self.extensions;
        std::iter::from_fn(move || extension(&mut rest))
    }

    pub(crate) fn extension(&self, id: &[u8]) -> Option<Extension<'a>> {
        self.extensions().find(|extension| extension.id == id)
    }

    /// Whether it says that it is its own issuer, as root certificates do.
    pub(crate) fn is_self_issued(&self) -> bool {
        self.issuer == self.subject
    }

    /// Whether it may issue others, and how many may stand between it and the last of them.
    pub(crate) fn authority(&self) -> Option<Option<u8>> {
        let constraints = self.extension(BASIC_CONSTRAINTS)?.value;
        let mut fields = Der::new(constraints).inside(tag::SEQUENCE)?;
        if fields.optional(tag::BOOLEAN)? != Some(&[0xff]) {
            return None;
        }
        match fields.optional(tag::INTEGER)? {
            Some(&[length @ 0..0x80]) => Some(Some(length)),
            // More than any chain has.
            Some(_) | None => Some(None),
        }
    }

    /// Whether a use of the key is allowed, numbered as in KeyUsage; all are where nothing is said.
    pub(crate) fn allows(&self, usage: u8) -> bool {
        let Some(extension) = self.extension(KEY_USAGE) else {
            return true;
        };
        Der::new(extension.value)
            .take(tag::BIT_STRING)
            .and_then(|bits| bits.get(1 + usize::from(usage / 8)))
            .is_some_and(|byte| byte & (0x80 >> (usage % 8)) != 0)
    }

    /// Whether it may be used by a TLS server: says so, or does not say what for.
    pub(crate) fn serves(&self) -> bool {
        const SERVER: &[u8] = &[0x2b, 6, 1, 5, 5, 7, 3, 1];
        const ANY: &[u8] = &[0x55, 0x1d, 0x25, 0];
        let Some(extension) = self.extension(EXTENDED_KEY_USAGE) else {
            return true;
        };
        let Some(mut purposes) = Der::new(extension.value).inside(tag::SEQUENCE) else {
            return false;
        };
        std::iter::from_fn(|| purposes.take(tag::OID)).any(|id| id == SERVER || id == ANY)
    }

    /// The first common name of its subject.
    pub(crate) fn common_name(&self) -> Option<&'a [u8]> {
        let mut parts = Der::new(self.subject);
        while let Some(mut part) = parts.inside(tag::SET) {
            while let Some(mut attribute) = part.inside(tag::SEQUENCE) {
                if attribute.take(tag::OID)? == COMMON_NAME {
                    return Some(attribute.value()?.1);
                }
            }
        }
        None
    }
}

fn extension<'a>(rest: &mut Der<'a>) -> Option<Extension<'a>> {
    let mut fields = rest.inside(tag::SEQUENCE)?;
    Some(Extension {
        id: fields.take(tag::OID)?,
        critical: fields.optional(tag::BOOLEAN)? == Some(&[0xff]),
        value: fields.take(tag::OCTET_STRING)?,
    })
}

/// A BIT STRING of whole bytes.
fn bits<'a>(der: &mut Der<'a>) -> Option<&'a [u8]> {
    match der.take(tag::BIT_STRING)?.split_first()? {
        (0, bytes) => Some(bytes),
        _ => None,
    }
}

/// A time, as seconds since 1970.
fn time(der: &mut Der<'_>) -> Option<i64> {
    let (century, text) = match der.value()? {
        (tag::UTC_TIME, text) => (None, text),
        (tag::GENERALIZED_TIME, text) => {
            let (century, text) = text.split_at_checked(2)?;
            (Some(digits(century)?), text)
        }
        _ => return None,
    };
    let text = text.strip_suffix(b"Z")?;
    if text.len() != 12 {
        return None;
    }
    let mut fields = text.chunks_exact(2).map(digits);
    let mut next = || fields.next().flatten();
    let (year, month, day) = (next()?, next()?, next()?);
    let (hour, minute, second) = (next()?, next()?, next()?);
    if !(1..=12).contains(&month) || !(1..=31).contains(&day) {
        return None;
    }
    // Two digits of a year count from 1950.
    let year = year + 100 * century.unwrap_or(if year < 50 { 20 } else { 19 });
    // Days of the Gregorian calendar, whose years are counted from March so that the leap day comes last.
    let (year, month) = if month > 2 {
        (year, month - 3)
    } else {
        (year - 1, month + 9)
    };
    let days = 365 * year + year / 4 - year / 100 + year / 400 + (153 * month + 2) / 5 + day - 1;
    const DAYS_TO_1970: i64 = 719_468;
    Some((days - DAYS_TO_1970) * 86_400 + hour * 3600 + minute * 60 + second)
}

fn digits(text: &[u8]) -> Option<i64> {
    text.iter().try_fold(0, |number, digit| {
        digit
            .is_ascii_digit()
            .then(|| number * 10 + i64::from(digit - b'0'))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_seconds_since_1970() {
        for (kind, text, seconds) in [
            (tag::UTC_TIME, "700101000000Z", Some(0)),
            (tag::UTC_TIME, "491231235959Z", Some(2_524_607_999)),
            (tag::UTC_TIME, "500101000000Z", Some(-631_152_000)),
            (tag::GENERALIZED_TIME, "20000229120000Z", Some(951_825_600)),
            (
                tag::GENERALIZED_TIME,
                "20500101000000Z",
                Some(2_524_608_000),
            ),
            (
                tag::GENERALIZED_TIME,
                "21000301000000Z",
                Some(4_107_542_400),
            ),
            (tag::UTC_TIME, "7001010000Z", None),
            (tag::UTC_TIME, "701301000000Z", None),
            (tag::UTC_TIME, "70010100000xZ", None),
            (tag::OCTET_STRING, "700101000000Z", None),
        ] {
            let length = u8::try_from(text.len()).unwrap();
            let der = [&[kind, length][..], text.as_bytes()].concat();
            assert_eq!(time(&mut Der::new(&der)), seconds, "{text}");
        }
    }

    #[test]
    fn lengths_that_lead_out_of_the_bytes_are_no_der() {
        for der in [
            &[0x30][..],
            &[0x30, 1],
            &[0x30, 0x80, 0, 0],
            &[0x30, 0x82, 1],
            &[0x30, 0x84, 0xff, 0xff, 0xff, 0xff, 0],
            &[0x30, 0x85, 0, 0, 0, 0, 0],
        ] {
            assert_eq!(Der::new(der).value(), None, "{der:x?}");
        }
    }
}
