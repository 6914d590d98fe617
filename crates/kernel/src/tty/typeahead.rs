//! What was typed on the host and finds no room in the terminal yet. It waits in order, but a signal in it does not wait:
//! a program that never reads can still be interrupted.

use std::collections::VecDeque;

use agentos_abi::Signal;
use agentos_abi::tty::Termios;

use super::discipline::Discipline;

/// Typed bytes that wait for a terminal, see [`Terminal::poll_type`](super::Terminal::poll_type).
#[derive(Debug, Default)]
pub struct Typeahead {
    bytes: VecDeque<u8>,
    /// Bytes at the front that raise no signal under these attributes, and whether the one behind them is taken as it is.
    looked: usize,
    literal: bool,
    under: Option<Termios>,
}

impl Typeahead {
    /// Bytes that should wait at most.
    pub const BYTES: usize = 256 << 10;

    /// Whether nothing waits.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.bytes.is_empty()
    }

    /// Whether more should be taken from whoever types.
    #[must_use]
    pub fn has_room(&self) -> bool {
        self.bytes.len() < Self::BYTES
    }

    /// Puts more behind what waits.
    pub fn push(&mut self, typed: &[u8]) {
        self.bytes.extend(typed);
    }

    /// The first bytes that wait, at most so many.
    pub(super) fn first(&self, most: usize) -> Vec<u8> {
        self.bytes.iter().take(most).copied().collect()
    }

    /// The first byte behind `taken` others that would raise a signal. Looks at each byte once while the attributes stay.
    pub(super) fn signal(&mut self, discipline: &Discipline, taken: usize) -> Option<(usize, Signal)> {
        if self.under.as_ref() != Some(discipline.termios()) {
            self.under = Some(*discipline.termios());
            self.looked = 0;
        }
        if self.looked <= taken {
            (self.looked, self.literal) = (taken, discipline.literal());
        }
        let rest = self.bytes.range(self.looked..).copied();
        let found = discipline.find_signal(rest, &mut self.literal);
        self.looked = found.map_or(self.bytes.len(), |(distance, _)| self.looked + distance);
        found.map(|(_, signal)| (self.looked, signal))
    }

    /// Forgets the first `taken` bytes, and before that one at `early` that was taken out of turn.
    pub(super) fn forget(&mut self, taken: usize, early: Option<usize>) {
        if let Some(at) = early {
            self.bytes.remove(at);
        }
        self.bytes.drain(..taken);
        self.looked = self.looked.saturating_sub(taken);
    }
}
