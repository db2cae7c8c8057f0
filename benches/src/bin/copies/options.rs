//! The command line.

use crate::rows::{ROWS, Rows};
use crate::{Failure, Product};

pub(crate) const HELP: &str = "\
copies [OPTIONS] [TABLES…]

  --scale NUMBER       size of the tables, 1 without this: 0.1 for a tenth
  --rounds NUMBER      how often each copy is done, twice without this; the quickest counts
  --only NAME,…        these destinations: sqlite, postgres, mariadb
  --workers NUMBER,…   with --copy-workers of these numbers, 1,2 without this

Tables: narrow, pair, wide, large
";

/// What is to be measured.
#[derive(Debug)]
pub(crate) struct Options {
    pub(crate) rows: Vec<&'static Rows>,
    pub(crate) products: Vec<Product>,
    pub(crate) workers: Vec<usize>,
    pub(crate) scale: f64,
    pub(crate) rounds: usize,
}

impl Options {
    /// `None` where help is asked for.
    pub(crate) fn parse(
        mut arguments: impl Iterator<Item = String>,
    ) -> Result<Option<Self>, Failure> {
        let mut options = Self {
            rows: Vec::new(),
            products: Vec::new(),
            workers: Vec::new(),
            scale: 1.0,
            rounds: 2,
        };
        while let Some(argument) = arguments.next() {
            let mut value = || {
                let next = arguments.next();
                next.ok_or_else(|| format!("{argument} needs a value"))
            };
            match argument.as_str() {
                "--help" | "-h" => return Ok(None),
                "--scale" => options.scale = value()?.parse()?,
                "--rounds" => options.rounds = value()?.parse()?,
                "--only" => {
                    for name in value()?.split(',') {
                        let found = Product::ALL.iter().find(|product| product.name() == name);
                        let found = found.ok_or_else(|| format!("no destination is {name}"))?;
                        options.products.push(*found);
                    }
                }
                "--workers" => {
                    for number in value()?.split(',') {
                        options.workers.push(number.parse()?);
                    }
                }
                name => {
                    let found = ROWS.iter().find(|rows| rows.name == name);
                    let found = found.ok_or_else(|| format!("no tables are called {name}"))?;
                    options.rows.push(found);
                }
            }
        }
        if options.rows.is_empty() {
            options.rows = ROWS.iter().collect();
        }
        if options.products.is_empty() {
            options.products = Product::ALL.to_vec();
        }
        if options.workers.is_empty() {
            options.workers = vec![1, 2];
        }
        Ok(Some(options))
    }
}
