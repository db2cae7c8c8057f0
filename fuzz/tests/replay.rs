//! The bodies of the fuzz targets, run over captures and saved inputs: no fuzzer and no nightly toolchain needed.

use std::ffi::OsStr;
use std::fs;
use std::path::{Path, PathBuf};

use fuzz::BODIES;
use testdata::capture::{Streaming, captures};

fn entries(folder: &Path) -> Vec<PathBuf> {
    fs::read_dir(folder)
        .unwrap_or_else(|error| panic!("cannot read {}: {error}", folder.display()))
        .map(|entry| entry.expect("a folder can be listed").path())
        .collect()
}

/// Whether this target was left out for want of features.
fn lacks_features(target: &OsStr) -> bool {
    let all = cfg!(all(feature = "alloc", feature = "bytes", feature = "serde"));
    target == "rows" && !all
}

#[test]
fn saved_inputs_keep_the_promises() {
    let crashes = Path::new(env!("CARGO_MANIFEST_DIR")).join("crashes");
    for folder in entries(&crashes).iter().filter(|path| path.is_dir()) {
        let name = folder.file_name().unwrap_or_default();
        assert!(
            BODIES.iter().any(|(target, _)| name == *target) || lacks_features(name),
            "{} is no target's folder",
            folder.display()
        );
    }
    for &(target, body) in BODIES {
        let inputs = entries(&crashes.join(target));
        assert!(!inputs.is_empty(), "no inputs for {target}");
        for input in inputs {
            eprintln!("{}", input.display());
            body(&fs::read(input).expect("an input can be read"));
        }
    }
}

#[test]
fn captures_keep_the_promises() {
    for golden in captures() {
        eprintln!("{}", golden.name);
        let file = fs::read(&golden.path).expect("a capture can be read");
        fuzz::capture(&file);
        for cut in (0..file.len()).step_by(file.len() / 50 + 1) {
            fuzz::capture(&file[..cut]);
        }
        let capture = golden.capture();
        let parallel = capture.header.streaming == Streaming::Parallel;
        for binary in [false, true] {
            fuzz::decode(&fuzz::session(parallel, binary, capture.messages()));
        }
        for frame in &capture.frames {
            fuzz::frames(frame);
        }
        for message in capture.messages().filter(|message| message[0] == b'I') {
            // Behind the type, the table and the mark, or the transaction too.
            for row in [message.get(6..), message.get(10..)] {
                fuzz::tuple(row.unwrap_or_default());
            }
        }
    }
}

#[test]
fn seeds_keep_the_promises() {
    let mut met = vec![0; BODIES.len()];
    for (target, input) in fuzz::seeds() {
        let Some(at) = BODIES.iter().position(|(name, _)| *name == target) else {
            assert!(lacks_features(target.as_ref()), "{target} is no target");
            continue;
        };
        BODIES[at].1(&input);
        met[at] += 1;
    }
    assert!(met.iter().all(|&inputs| inputs > 0), "{met:?}");
}

#[test]
fn every_target_is_replayed() {
    let targets = Path::new(env!("CARGO_MANIFEST_DIR")).join("fuzz_targets");
    let mut targets: Vec<_> = entries(&targets)
        .iter()
        .filter_map(|path| Some(path.file_stem()?.to_str()?.to_owned()))
        .collect();
    targets.sort();
    targets.retain(|name| !lacks_features(name.as_ref()));
    assert!(targets.iter().eq(BODIES.iter().map(|(name, _)| name)));
}
