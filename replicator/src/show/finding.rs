//! What a check found, as lines for people and as JSON, whose shape is documented in [`check`](crate::check).

use super::color::{END, Paint};
use super::json::{begin, comma, member, name, number, string};
use crate::check::{Finding, Mend, Place, Report, Verdict};

impl Report {
    /// One JSON object a line, each with its end.
    pub fn json(&self) -> String {
        let mut out = Vec::new();
        for finding in self.findings() {
            json(&mut out, finding);
        }
        begin(&mut out, "checked");
        for verdict in VERDICTS {
            number(&mut out, verdict.name(), self.count(verdict));
        }
        number(&mut out, "exit_code", self.exit_code());
        out.extend_from_slice(b"}\n");
        String::from_utf8(out).expect("names are text")
    }

    /// For people: what was found, each with what mends it, and a sum.
    pub fn text(&self, color: bool) -> String {
        let findings = self.findings();
        let width = findings.iter().map(|it| it.id.len()).max().unwrap_or(0);
        let mut out = String::new();
        for finding in findings {
            line(&mut out, finding, width, color);
        }
        let counts = VERDICTS.map(|verdict| format!("{} {}", self.count(verdict), verdict.name()));
        out.push_str(&counts.join(", "));
        out.push('\n');
        out
    }
}

const VERDICTS: [Verdict; 4] = [
    Verdict::Ok,
    Verdict::Warning,
    Verdict::Wrong,
    Verdict::Unknown,
];

fn json(out: &mut Vec<u8>, finding: &Finding) {
    begin(out, "finding");
    member(out, "id", finding.id);
    member(out, "side", finding.side());
    member(out, "verdict", finding.verdict.name());
    match &finding.about {
        Some(about) => member(out, "about", about),
        None => number(out, "about", "null"),
    }
    member(out, "reason", &finding.reason);
    name(out, "mend");
    out.push(b'[');
    for Mend { at, text } in &finding.mend {
        comma(out);
        out.extend_from_slice(b"{\"at\":");
        string(out, at.name());
        member(out, "text", text);
        out.push(b'}');
    }
    out.extend_from_slice(b"]}\n");
}

fn line(out: &mut String, finding: &Finding, width: usize, color: bool) {
    let paint = match finding.verdict {
        Verdict::Ok => Paint::Good,
        Verdict::Warning => Paint::Changed,
        Verdict::Wrong => Paint::Gone,
        Verdict::Unknown => Paint::Faint,
    };
    let (begin, end) = if color {
        (paint.begin(), END)
    } else {
        (&b""[..], &b""[..])
    };
    out.push_str(&String::from_utf8_lossy(begin));
    out.push_str(&format!("{:<8}", finding.verdict.name()));
    out.push_str(&String::from_utf8_lossy(end));
    out.push_str(&format!("{:<width$}  ", finding.id));
    if let Some(about) = &finding.about {
        out.push_str(&format!("{about}: "));
    }
    out.push_str(&finding.reason);
    out.push('\n');
    // Without it in front a statement can be taken from the line as it is.
    for Mend { at, text } in &finding.mend {
        let (place, end) = match at {
            Place::Source => ("at the source", ";"),
            Place::Destination => ("at the destination", ";"),
            Place::Shell => ("in a shell", ""),
            Place::Option => ("options", ""),
            Place::Hand => ("to do", ""),
        };
        out.push_str(&format!("{:8}{place}: {text}{end}\n", ""));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn report() -> Report {
        let mut report = Report::default();
        report.add(Finding::ok("source.version", "PostgreSQL 18.4"));
        report.add(
            Finding::wrong("source.table.select", "role \"a\" must not read it")
                .about("public.t")
                .mend(Mend::source("GRANT SELECT ON \"t\" TO \"a\""))
                .mend(Mend::hand("say so")),
        );
        report
    }

    /// Scripts depend on every byte of these.
    #[test]
    fn the_shape_stays() {
        assert_eq!(
            report().json(),
            concat!(
                r#"{"kind":"finding","id":"source.version","side":"source","verdict":"ok","about":null,"reason":"PostgreSQL 18.4","mend":[]}"#,
                "\n",
                r#"{"kind":"finding","id":"source.table.select","side":"source","verdict":"wrong","about":"public.t","reason":"role \"a\" must not read it","mend":[{"at":"source","text":"GRANT SELECT ON \"t\" TO \"a\""},{"at":"hand","text":"say so"}]}"#,
                "\n",
                r#"{"kind":"checked","ok":1,"warning":0,"wrong":1,"unknown":0,"exit_code":3}"#,
                "\n"
            )
        );
    }

    #[test]
    fn people_get_a_line_for_each_and_what_mends_it() {
        assert_eq!(
            report().text(false),
            "ok      source.version       PostgreSQL 18.4\n\
             wrong   source.table.select  public.t: role \"a\" must not read it\n\
             \u{20}       at the source: GRANT SELECT ON \"t\" TO \"a\";\n\
             \u{20}       to do: say so\n\
             1 ok, 0 warning, 1 wrong, 0 unknown\n"
        );
        assert!(report().text(true).contains("\u{1b}[31mwrong"));
    }
}
