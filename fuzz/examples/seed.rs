//! Writes the corpus that fuzzing begins with: `cargo run -p fuzz --example seed`.

use std::collections::HashMap;
use std::fs;
use std::path::Path;

fn main() -> std::io::Result<()> {
    let corpus = Path::new(env!("CARGO_MANIFEST_DIR")).join("corpus");
    let mut count = HashMap::new();
    for (target, input) in fuzz::seeds() {
        let folder = corpus.join(target);
        fs::create_dir_all(&folder)?;
        let number = count.entry(target).or_insert(0_usize);
        fs::write(folder.join(format!("seed-{number:05}")), input)?;
        *number += 1;
    }
    for &(target, _) in fuzz::BODIES {
        let inputs = count.get(target).copied().unwrap_or_default();
        println!("{target}: {inputs} inputs");
    }
    Ok(())
}
