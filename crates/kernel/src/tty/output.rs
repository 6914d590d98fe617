//! Output processing (POSIX 11.2.3): what becomes of the bytes that a program writes.

use agentos_abi::tty::oflag::{OCRNL, OLCUC, ONLCR, ONLRET, ONOCR, OPOST, TABDLY, XTABS};
use agentos_abi::tty::{Termios, iflag::IUTF8};

/// The most bytes that one byte becomes: a tab at column 0.
pub(super) const MOST: usize = 8;

/// Where the cursor is, as far as the discipline has to know.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Column {
    /// Characters from the left edge; not bounded by the width of the window.
    pub(super) now: usize,
    /// Where the line that is being typed began.
    pub(super) line: usize,
}

/// Whether `byte` continues a UTF-8 character.
pub(super) fn continues(termios: &Termios, byte: u8) -> bool {
    termios.iflag & IUTF8 != 0 && byte & 0xc0 == 0x80
}

impl Column {
    /// Puts what `byte` becomes at the end of `out`.
    pub(super) fn put(&mut self, termios: &Termios, byte: u8, out: &mut impl Extend<u8>) {
        let has = |bit: u32| termios.oflag & bit != 0;
        if !has(OPOST) {
            out.extend([byte]);
            return;
        }
        match byte {
            b'\n' => {
                if has(ONLCR) {
                    out.extend([b'\r']);
                }
                if has(ONLCR | ONLRET) {
                    self.now = 0;
                }
                self.line = self.now;
                out.extend([b'\n']);
            }
            b'\r' if has(ONOCR) && self.now == 0 => {}
            b'\r' if has(OCRNL) => {
                if has(ONLRET) {
                    (self.now, self.line) = (0, 0);
                }
                out.extend([b'\n']);
            }
            b'\r' => {
                (self.now, self.line) = (0, 0);
                out.extend([b'\r']);
            }
            b'\t' => {
                let spaces = 8 - self.now % 8;
                self.now += spaces;
                if termios.oflag & TABDLY == XTABS {
                    out.extend(std::iter::repeat_n(b' ', spaces));
                } else {
                    out.extend([b'\t']);
                }
            }
            0x08 => {
                self.now = self.now.saturating_sub(1);
                out.extend([byte]);
            }
            _ => {
                if !byte.is_ascii_control() && !continues(termios, byte) {
                    self.now += 1;
                }
                out.extend([if has(OLCUC) { byte.to_ascii_uppercase() } else { byte }]);
            }
        }
    }
}
