//! Which denials were told already: each is told at once, and again when it came ten, a hundred, a thousand times. A guest
//! that is denied in a loop, or in many ways, floods nobody.

use std::collections::HashMap;

use super::{Denial, Operation};

/// Different denials that are remembered; those beyond are counted together.
const DIFFERENT: usize = 100;
/// Longest resource that is remembered, bytes.
const RESOURCE: usize = 4096;

/// Counts of denials.
#[derive(Debug, Default)]
pub(crate) struct Told {
    counts: HashMap<(Operation, Vec<u8>), u64>,
    others: u64,
}

impl Told {
    /// Counts a denial; how often it came, if that is to be told. For one beyond those that are remembered it is how many
    /// such came.
    pub(crate) fn count(&mut self, denial: &Denial) -> Option<u64> {
        let resource = &denial.resource[..denial.resource.len().min(RESOURCE)];
        let room = self.counts.len() < DIFFERENT;
        let count = match self.counts.get_mut(&(denial.operation, resource.to_vec())) {
            Some(count) => count,
            None if room => self.counts.entry((denial.operation, resource.to_vec())).or_default(),
            None => &mut self.others,
        };
        *count += 1;
        is_power_of_ten(*count).then_some(*count)
    }
}

fn is_power_of_ten(count: u64) -> bool {
    count.checked_ilog10().is_some_and(|digits| 10_u64.pow(digits) == count)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::permissions::{By, Domain};

    #[test]
    fn a_flood_is_told_in_few_words() {
        let denial = |n: usize| Denial {
            operation: Operation::Read,
            resource: format!("/{n}").into_bytes(),
            by: By::Default(Domain::Fs),
        };
        let mut told = Told::default();
        let heard: Vec<_> = (0..12_345).filter_map(|_| told.count(&denial(0))).collect();
        assert_eq!(heard, [1, 10, 100, 1000, 10_000]);
        let heard = (1..1_000_000).filter_map(|n| told.count(&denial(n))).count();
        assert_eq!(heard, DIFFERENT - 1 + 6);
        assert_eq!(told.counts.len(), DIFFERENT);
    }
}
