//! Random numbers of rand and srand: those of gawk for the same seed, so that what a script draws is what it drew elsewhere.
//! They are for nothing that must not be guessed.
//!
//! The generator is the additive one of BSD's random(3) with 63 words, filled by the multiplicative one of Park and Miller;
//! its numbers are shuffled, as Bays and Durham do: each one drawn says which of 512 comes next.

/// The words of the generator.
const DEGREE: usize = 63;
/// How far behind the front the rear is.
const APART: usize = 1;
/// How many numbers are shuffled.
const SHUFFLED: usize = 512;
/// One more than the largest number of random(3).
const RANGE: f64 = 2_147_483_648.0;

/// A generator and its seed.
#[derive(Debug)]
pub(crate) struct Random {
    seed: f64,
    /// `None` until the first number is drawn: most programs draw none.
    state: Option<Box<State>>,
}

#[derive(Debug)]
struct State {
    words: [u32; DEGREE],
    front: usize,
    rear: usize,
    waiting: [u32; SHUFFLED],
    last: u32,
}

impl State {
    fn new(seed: u32) -> State {
        let mut words = [seed; DEGREE];
        for i in 1..DEGREE {
            words[i] = park_miller(words[i - 1]);
        }
        let mut state = State { words, front: APART, rear: 0, waiting: [0; SHUFFLED], last: 0 };
        for i in 0..SHUFFLED {
            state.waiting[i] = state.additive();
        }
        state.last = state.additive();
        for _ in 0..10 * DEGREE {
            state.draw();
        }
        state
    }

    /// The next 31 bits.
    fn draw(&mut self) -> u32 {
        let new = self.additive();
        self.last = std::mem::replace(&mut self.waiting[self.last as usize % SHUFFLED], new);
        self.last
    }

    fn additive(&mut self) -> u32 {
        let sum = self.words[self.front].wrapping_add(self.words[self.rear]);
        self.words[self.front] = sum;
        self.front = (self.front + 1) % DEGREE;
        self.rear = (self.rear + 1) % DEGREE;
        sum >> 1
    }
}

/// 7^5 * x modulo 2^31 - 1, of signed numbers.
fn park_miller(x: u32) -> u32 {
    let x = if x == 0 { 123_459_876 } else { i64::from(x as i32) };
    let next = 16807 * (x % 127_773) - 2836 * (x / 127_773);
    (if next < 0 { next + 0x7fff_ffff } else { next }) as u32
}

impl Random {
    /// With seed 1, as every program begins.
    pub(crate) fn new() -> Random {
        Random { seed: 1.0, state: None }
    }

    /// Sets the seed and returns the last one.
    pub(crate) fn seed(&mut self, seed: f64) -> f64 {
        let seed = seed.trunc();
        self.state = None;
        std::mem::replace(&mut self.seed, seed)
    }

    /// The next number, from 0 up to but without 1.
    pub(crate) fn next(&mut self) -> f64 {
        let seed = self.seed as i64 as u32;
        let state = self.state.get_or_insert_with(|| Box::new(State::new(seed)));
        loop {
            let (low, high) = (f64::from(state.draw()), f64::from(state.draw()));
            let number = (0.5 + (low / RANGE + high) / RANGE) - 0.5;
            if number < 1.0 {
                return number;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::Random;

    #[test]
    fn the_same_seed_gives_the_same_numbers() {
        let mut random = Random::new();
        assert_eq!(random.seed(42.0), 1.0);
        let first: Vec<f64> = (0..100).map(|_| random.next()).collect();
        assert_eq!(random.seed(42.9), 42.0);
        let again: Vec<f64> = (0..100).map(|_| random.next()).collect();
        assert_eq!(first, again);
        assert!(first.iter().all(|n| (0.0..1.0).contains(n)));
    }
}
