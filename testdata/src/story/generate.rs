//! Random stories.

use super::{Deed, Step, Story};
use crate::random::Random;

/// What a story is to be like.
#[derive(Clone, Copy, Debug)]
pub struct Shape {
    /// About how many steps.
    pub steps: u64,
    /// How many transactions are open at a time, at most.
    pub open: u64,
    /// Whether transactions are prepared.
    pub prepares: bool,
    /// Whether those that are prepared at the end stay so.
    pub undecided: bool,
}

pub(super) fn generate(random: &mut Random, shape: &Shape) -> Story {
    let mut story = Teller {
        steps: Vec::new(),
        open: Vec::new(),
        next: 0,
    };
    for _ in 0..shape.steps {
        story.step(random, shape);
    }
    story.end(random, shape)
}

struct Teller {
    steps: Vec<Step>,
    /// Transactions, and whether each is prepared.
    open: Vec<(u32, bool)>,
    next: u32,
}

impl Teller {
    fn tell(&mut self, transaction: u32, deed: Deed) {
        self.steps.push(Step {
            id: u32::try_from(self.steps.len()).expect("a short story"),
            transaction,
            deed,
        });
    }

    fn step(&mut self, random: &mut Random, shape: &Shape) {
        let number = self.open.len() as u64;
        if number == 0 || number < shape.open && random.chance(25) {
            self.open.push((self.next, false));
            self.next += 1;
            if random.chance(15) {
                self.tell(self.next - 1, Deed::Origin);
            }
        }
        let at = usize::try_from(random.below(self.open.len() as u64)).expect("an index");
        let (transaction, prepared) = self.open[at];
        if prepared {
            if random.chance(30) {
                self.finish(random, at);
            } else {
                self.loose(random, transaction);
            }
            return;
        }
        let table = usize::try_from(random.below(4)).expect("below 4");
        let deed = match random.below(100) {
            0..28 => Deed::Insert(table),
            28..40 => Deed::Update(table, random.chance(40)),
            40..48 => Deed::Delete(table),
            48..51 => Deed::Truncate(
                table,
                random.chance(30),
                u8::try_from(random.below(4)).expect("below 4"),
            ),
            51..54 => Deed::Message,
            54..58 => Deed::Alter(table),
            58..68 => Deed::Savepoint,
            68..72 => Deed::Release,
            72..78 => Deed::RollbackTo(usize::try_from(random.below(3)).expect("below 3")),
            78..84 => return self.loose(random, transaction),
            84..88 if shape.prepares => {
                self.open[at].1 = true;
                Deed::Prepare(u8::try_from(random.below(3)).expect("below 3"))
            }
            _ => return self.finish(random, at),
        };
        self.tell(transaction, deed);
    }

    fn loose(&mut self, random: &mut Random, transaction: u32) {
        let table = usize::try_from(random.below(4)).expect("below 4");
        let deed = random.pick(&[Deed::Loose, Deed::Analyze(table), Deed::Noise]);
        self.tell(transaction, deed);
    }

    fn finish(&mut self, random: &mut Random, at: usize) {
        let (transaction, _) = self.open.swap_remove(at);
        let deed = if random.chance(75) {
            Deed::Commit
        } else {
            Deed::Abort
        };
        self.tell(transaction, deed);
    }

    /// Nearly all that is open ends; what does not is what a server goes on with for ever.
    fn end(mut self, random: &mut Random, shape: &Shape) -> Story {
        while let Some(last) = self.open.len().checked_sub(1) {
            let (_, prepared) = self.open[last];
            if prepared && !shape.undecided || !prepared && random.chance(80) {
                self.finish(random, last);
            } else {
                self.open.pop();
            }
        }
        self.tell(0, Deed::Noise);
        Story { steps: self.steps }
    }
}
