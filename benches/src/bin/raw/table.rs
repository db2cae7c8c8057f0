//! What is printed.

use benches::Sum;

use crate::Failure;
use crate::contestant::{CONTESTANTS, Contestant, Role, Run};

/// The results over one kind of rows.
pub(crate) struct Table {
    title: String,
    bytes: usize,
    rows: usize,
    /// The least CPU time of each contestant.
    least: Vec<u64>,
    sum: Option<Sum>,
}

impl Table {
    pub(crate) fn new(title: &str, bytes: usize, rows: usize) -> Self {
        Self {
            title: title.to_owned(),
            bytes,
            rows,
            least: vec![u64::MAX; CONTESTANTS.len()],
            sum: None,
        }
    }

    /// Adds a run; an error if it saw other rows than those before it.
    pub(crate) fn add(&mut self, contestant: &Contestant, run: Run) -> Result<(), Failure> {
        if let Some(sum) = run.sum
            && *self.sum.get_or_insert(sum) != sum
        {
            return Err(format!("{} saw other rows", contestant.name).into());
        }
        let place = CONTESTANTS
            .iter()
            .position(|other| other.name == contestant.name)
            .ok_or("a contestant that is not in the table")?;
        self.least[place] = self.least[place].min(run.cpu);
        Ok(())
    }

    pub(crate) fn print(&self) {
        let of = |role: Role| {
            let mut all = CONTESTANTS.iter().zip(&self.least);
            all.find(|(contestant, _)| contestant.role == role)
                .map_or(f64::NAN, |(_, least)| *least as f64)
        };
        let (reference, ours) = (of(Role::Reference), of(Role::Columns));
        println!(
            "{:<30} {:>8} {:>8} {:>16} {:>12}",
            self.title, "ns/row", "µs/MB", "× pg_recvlogical", "× our decoded"
        );
        println!(
            "{} rows of {} bytes",
            self.rows,
            self.bytes / self.rows.max(1)
        );
        let mut role = Role::Reference;
        for (contestant, least) in CONTESTANTS.iter().zip(&self.least) {
            if contestant.role != role {
                role = contestant.role;
                println!(
                    " {}",
                    match role {
                        Role::Bytes => "rows as bytes",
                        _ => "every column visited",
                    }
                );
            }
            let least = *least as f64;
            println!(
                "  {:<28} {:>8.1} {:>8.0} {:>16.2} {:>12.2}",
                contestant.title,
                least / self.rows as f64,
                least / 1000.0 / (self.bytes as f64 / 1e6),
                least / reference,
                least / ours
            );
        }
        println!();
    }
}
