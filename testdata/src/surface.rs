//! The public surface of a crate, so that nothing becomes public, or changes, by accident. It is read from rustdoc's
//! pages.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

/// Compares the surface of the crate in `folder` with the one that is written down in its `tests/api.txt`.
///
/// `BLESS=1` rewrites the file; read the difference before committing it. `target` is a folder for what rustdoc makes.
///
/// # Panics
///
/// If they differ, with the first line that does.
pub fn check_surface(folder: &str, target: &str) {
    let surface: String = pages(folder, target)
        .iter()
        .map(|(path, page)| surface(path, page))
        .collect();
    let path = Path::new(folder).join("tests/api.txt");
    if std::env::var_os("BLESS").is_some() {
        fs::write(&path, &surface).expect("api.txt can be written");
    }
    let written = fs::read_to_string(path).unwrap_or_default();
    for (number, (line, written)) in surface.lines().zip(written.lines()).enumerate() {
        assert_eq!(
            line,
            written,
            "api.txt, line {}; BLESS=1 rewrites it",
            number + 1
        );
    }
    assert_eq!(surface.lines().count(), written.lines().count());
}

/// Every page that rustdoc makes, by the path of its item.
fn pages(folder: &str, target: &str) -> Vec<(String, String)> {
    let target = format!("{target}/api");
    let output = Command::new(env!("CARGO"))
        .args([
            "doc",
            "--offline",
            "--no-deps",
            "--all-features",
            "--color=never",
        ])
        .args(["--manifest-path", &format!("{folder}/Cargo.toml")])
        .args(["--target-dir", &target])
        .output()
        .expect("cargo can be run");
    assert!(
        output.status.success(),
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
    let name = Path::new(folder).file_name().expect("a folder of a crate");
    let folder = Path::new(&target).join("doc").join(name);
    let read = |path: PathBuf| {
        fs::read_to_string(&path)
            .unwrap_or_else(|error| panic!("cannot read {}: {error}", path.display()))
    };
    let all = read(folder.join("all.html"));
    let list = between(&all, "id=\"main-content\"", "</section>").expect("a list of all items");
    let mut pages: Vec<_> = list
        .split("href=\"")
        .skip(1)
        .filter_map(|rest| rest.split('"').next())
        .filter(|link| !link.starts_with('#') && link.ends_with(".html"))
        .map(|link| {
            // `value/struct.Array.html` is the struct `value::Array`.
            let (module, file) = link.rsplit_once('/').unwrap_or(("", link));
            let name = file.split('.').nth(1).expect("a kind and a name");
            let path = [module, name].join("/");
            let path = path.trim_start_matches('/').replace('/', "::");
            (path, read(folder.join(link)))
        })
        .collect();
    pages.sort();
    pages
}

/// What a page says: the item's definition, its own functions, and the traits it implements.
fn surface(path: &str, page: &str) -> String {
    let list = |name: &str| {
        let start = format!("id=\"{name}implementations-list\"");
        between(page, &start, "implementations-list\"").unwrap_or_default()
    };
    let definition = between(page, "<pre class=\"rust item-decl\">", "</pre>").unwrap_or_default();
    let mut lines = vec![format!("{path}: {}", text(definition))];
    lines.extend(headers(list(""), "h4"));
    let mut traits = headers(list("trait-"), "h3");
    // Comes with PartialEq, and is the compiler's own business.
    traits.retain(|line| !line.contains("StructuralPartialEq"));
    traits.sort();
    lines.extend(traits);
    // What every type is by itself is worth a line only where one is not.
    let automatic = headers(list("synthetic-"), "h3");
    let lacks = |line: &String| {
        ["!Send ", "!Sync ", "!Unpin "]
            .iter()
            .any(|name| line.contains(name))
    };
    lines.extend(automatic.into_iter().filter(lacks));
    lines.join("\n") + "\n"
}

/// The signatures in a part of a page.
fn headers(part: &str, tag: &str) -> Vec<String> {
    part.split(&format!("<{tag} class=\"code-header\">"))
        .skip(1)
        .filter_map(|rest| rest.split(&format!("</{tag}>")).next())
        .map(|header| format!("  {}", text(header)))
        .collect()
}

fn between<'a>(text: &'a str, start: &str, end: &str) -> Option<&'a str> {
    let (_, rest) = text.split_once(start)?;
    Some(rest.split(end).next().unwrap_or(rest))
}

/// Without tags, on one line.
fn text(html: &str) -> String {
    let mut text = String::new();
    let mut rest = html;
    while let Some((before, tag)) = rest.split_once('<') {
        text.push_str(before);
        if tag.starts_with("div") || tag.starts_with("/div") {
            text.push(' ');
        }
        // The button over long lists is no part of the definition.
        let end = if tag.starts_with("summary") {
            "</summary>"
        } else {
            ">"
        };
        rest = tag.split_once(end).map_or("", |(_, rest)| rest);
    }
    text.push_str(rest);
    let text = text
        .replace("&lt;", "<")
        .replace("&gt;", ">")
        .replace("&#39;", "'")
        .replace("&quot;", "\"")
        .replace("&nbsp;", " ")
        .replace('\u{a0}', " ")
        // A note on iterators.
        .replace('ⓘ', "")
        .replace("&amp;", "&");
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}
