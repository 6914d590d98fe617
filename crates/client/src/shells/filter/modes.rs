//! What a guest has changed in a terminal, so that it can be undone when the guest is gone.
//! It remembers modes, not the screen.

/// Private modes that pass (DECSET), and whether a terminal begins with them. In this order they are undone.
const PRIVATE: [(u32, bool); 25] = [
    (2026, false), // output is shown at once
    (6, false),    // origin
    (69, false),   // left and right margins
    (1049, false), // alternate screen, the cursor kept
    (1047, false), // alternate screen
    (47, false),   // alternate screen
    (1, false),    // cursor keys
    (5, false),    // reverse video
    (7, true),     // wrap
    (45, false),   // reverse wrap
    (66, false),   // keypad
    (9, false),    // mouse
    (1000, false), // mouse
    (1002, false), // mouse
    (1003, false), // mouse
    (1005, false), // mouse
    (1006, false), // mouse
    (1015, false), // mouse
    (1016, false), // mouse
    (1007, false), // wheel as arrow keys
    (1004, false), // focus
    (2004, false), // bracketed paste
    (12, false),   // blinking cursor
    (25, true),    // cursor
    (1048, false), // the cursor is put aside: an act, not a state
];
const KEEPS_CURSOR: u32 = 1048;

/// What else can be changed. In this order it is undone, after the private modes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Change {
    /// Characters push others aside.
    Insert,
    /// The keypad sends sequences.
    Keypad,
    Hyperlink,
    /// The second character set is in use.
    Shift,
    /// A character set is another one.
    G0,
    G1,
    G2,
    G3,
    /// Colours and the like.
    Rendition,
    /// Characters are protected from erasing.
    Protection,
    CursorStyle,
    Tabs,
    /// Undone first: the others need the whole screen.
    Margins,
}

const CHANGES: [Change; 13] = {
    use Change::{
        CursorStyle, G0, G1, G2, G3, Hyperlink, Insert, Keypad, Margins, Protection, Rendition, Shift, Tabs,
    };
    [Insert, Keypad, Hyperlink, Shift, G0, G1, G2, G3, Rendition, Protection, CursorStyle, Tabs, Margins]
};

/// Tab stops that are set anew.
const TAB_STOPS: usize = 63;

impl Change {
    fn bit(self) -> u64 {
        1 << (PRIVATE.len() + self as usize)
    }

    fn undo(self, out: &mut Vec<u8>) {
        let back: &[u8] = match self {
            Change::Insert => b"\x1b[4l",
            Change::Keypad => b"\x1b>",
            Change::Hyperlink => b"\x1b]8;;\x1b\\",
            Change::Shift => b"\x0f",
            Change::G0 => b"\x1b(B",
            Change::G1 => b"\x1b)B",
            Change::G2 => b"\x1b*B",
            Change::G3 => b"\x1b+B",
            Change::Rendition => b"\x1b[m",
            Change::Protection => b"\x1b[0\"q",
            Change::CursorStyle => b"\x1b[0 q",
            // Setting margins moves the cursor.
            Change::Margins => b"\x1b7\x1b[r\x1b8",
            Change::Tabs => {
                out.extend_from_slice(b"\x1b7\r\x1b[3g");
                for _ in 0..TAB_STOPS {
                    out.extend_from_slice(b"\x1b[8C\x1bH");
                }
                // The last ones were all set in the last column, which has none.
                b"\x1b[0g\x1b8"
            }
        };
        out.extend_from_slice(back);
    }
}

/// What was changed: a bit for each of [`PRIVATE`], then for each [`Change`].
#[derive(Debug, Default)]
pub(super) struct Modes {
    /// What is not as it was.
    now: u64,
    /// What was not as it was at any time.
    ever: u64,
}

/// Writes a sequence that sets or resets private modes.
pub(super) fn private(out: &mut Vec<u8>, modes: &[u32], last: u8) {
    let numbers: Vec<String> = modes.iter().map(u32::to_string).collect();
    out.extend_from_slice(b"\x1b[?");
    out.extend_from_slice(numbers.join(";").as_bytes());
    out.push(last);
}

impl Modes {
    fn set(&mut self, bit: u64, on: bool) {
        if on {
            self.now |= bit;
            self.ever |= bit;
        } else {
            self.now &= !bit;
        }
    }

    /// Sets or resets a private mode; false if it is not one that passes.
    pub(super) fn set_private(&mut self, mode: u32, on: bool) -> bool {
        let Some(at) = PRIVATE.iter().position(|(known, _)| *known == mode) else { return false };
        self.set(1 << at, on != PRIVATE[at].1 && mode != KEEPS_CURSOR);
        true
    }

    /// Something is changed, or brought back.
    pub(super) fn change(&mut self, what: Change, on: bool) {
        self.set(what.bit(), on);
    }

    /// Appends what brings the terminal back, and forgets the changes.
    pub(super) fn undo(&mut self, out: &mut Vec<u8>) {
        undo(std::mem::take(&mut self.now), out);
    }

    /// Appends what brings the terminal back from all that was ever changed.
    pub(super) fn undo_all(&mut self, out: &mut Vec<u8>) {
        self.now = 0;
        undo(std::mem::take(&mut self.ever), out);
    }
}

fn undo(changed: u64, out: &mut Vec<u8>) {
    let is = |change: Change| changed & change.bit() != 0;
    if is(Change::Margins) {
        Change::Margins.undo(out);
    }
    for (at, (mode, on)) in PRIVATE.iter().enumerate() {
        if changed & (1 << at) != 0 {
            private(out, &[*mode], if *on { b'h' } else { b'l' });
        }
    }
    for change in CHANGES.into_iter().filter(|change| *change != Change::Margins && is(*change)) {
        change.undo(out);
    }
}
