//! Writes changes as JSON lines into files, each once: `batch_files URL SLOT PUBLICATION FOLDER`.
//!
//! A file appears whole, named after the position that it reaches, and only then is that position confirmed. So the
//! folder knows where to go on, whatever was killed and whenever.

mod folder;
mod line;

use std::error::Error;
use std::path::Path;

use walstream::{Event, Stream, Token};

const ENOUGH: usize = 1 << 20;

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [url, slot, publication, folder] = &*arguments else {
        return Err("usage: batch_files URL SLOT PUBLICATION FOLDER".into());
    };
    let folder = Path::new(folder);
    let mut stream = Stream::connect(url)
        .slot(slot)
        .publication(publication)
        .position(folder::last(folder)?)
        .start()
        .await?;
    let (mut lines, mut tokens) = (String::new(), Vec::new());
    while let Some(event) = stream.next_event().await? {
        // A position without changes says that nothing waits: what was gathered is written.
        let (token, waits) = match event {
            Event::Transaction(mut transaction) => {
                line::append(&mut lines, &mut transaction)?;
                (transaction.into_token(), lines.len() < ENOUGH)
            }
            Event::Idle(idle) => (idle.into_token(), false),
            _ => continue,
        };
        let position = token.lsn();
        tokens.push(token);
        if !waits {
            folder::store(folder, &lines, position)?;
            lines.clear();
            tokens.drain(..).for_each(Token::confirm);
        }
    }
    Ok(())
}
