//! Random numbers of rand and srand: the same seed gives the same numbers. They are not those of another awk.

/// A generator (SplitMix64) and its seed.
#[derive(Debug)]
pub(crate) struct Random {
    seed: f64,
    state: u64,
}

impl Random {
    /// With seed 0, as every program begins.
    pub(crate) fn new() -> Random {
        Random { seed: 0.0, state: 0.0f64.to_bits() }
    }

    /// Sets the seed and returns the last one.
    pub(crate) fn seed(&mut self, seed: f64) -> f64 {
        self.state = seed.to_bits();
        std::mem::replace(&mut self.seed, seed)
    }

    /// The next number, from 0 up to but without 1.
    pub(crate) fn next(&mut self) -> f64 {
        self.state = self.state.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.state;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        ((z ^ (z >> 31)) >> 11) as f64 / (1u64 << 53) as f64
    }
}
