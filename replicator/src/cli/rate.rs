//! Bytes in a second, as people write them.

/// `20MB`, `20MB/s`, `512KiB` or a number of bytes; never none at all.
pub(super) fn rate(text: &str) -> Result<u64, String> {
    let wrong = || "not a number of bytes such as 20MB or 512KiB, above 0".to_owned();
    let amount = text.strip_suffix("/s").unwrap_or(text).trim();
    let digits = amount.trim_end_matches(|it: char| it.is_ascii_alphabetic());
    let unit: u64 = match &amount[digits.len()..] {
        "" | "B" => 1,
        "kB" | "KB" => 1000,
        "MB" => 1_000_000,
        "GB" => 1_000_000_000,
        "kiB" | "KiB" => 1 << 10,
        "MiB" => 1 << 20,
        "GiB" => 1 << 30,
        _ => return Err(wrong()),
    };
    let number: u64 = digits.trim_end().parse().map_err(|_| wrong())?;
    number
        .checked_mul(unit)
        .filter(|&it| it > 0)
        .ok_or_else(wrong)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rates_have_units() {
        for (text, bytes) in [
            ("1", 1),
            ("900 B", 900),
            ("512KiB", 512 << 10),
            ("20MB", 20_000_000),
            ("20 MB/s", 20_000_000),
            ("3GiB/s", 3 << 30),
        ] {
            assert_eq!(rate(text), Ok(bytes), "{text}");
        }
    }

    #[test]
    fn what_is_no_rate_is_refused() {
        for text in [
            "",
            "0",
            "0MB",
            "-1",
            "1.5MB",
            "MB",
            "20mb",
            "20Mb",
            "20 MB/min",
            "99999999999GB",
            "é",
        ] {
            assert!(rate(text).is_err(), "{text}");
        }
    }
}
