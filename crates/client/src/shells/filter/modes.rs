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

/// What was changed.
#[derive(Debug, Default)]
pub(super) struct Modes {
    /// One bit for each of [`PRIVATE`] that is not as it was.
    changed: u32,
    insert: bool,
    keypad: bool,
    rendition: bool,
    margins: bool,
    character_set: bool,
    cursor_style: bool,
    hyperlink: bool,
}

/// Writes a sequence that sets or resets private modes.
pub(super) fn private(out: &mut Vec<u8>, modes: &[u32], last: u8) {
    let numbers: Vec<String> = modes.iter().map(u32::to_string).collect();
    out.extend_from_slice(b"\x1b[?");
    out.extend_from_slice(numbers.join(";").as_bytes());
    out.push(last);
}

impl Modes {
    /// Sets or resets a private mode; false if it is not one that passes.
    pub(super) fn set_private(&mut self, mode: u32, on: bool) -> bool {
        let Some(at) = PRIVATE.iter().position(|(known, _)| *known == mode) else { return false };
        if on != PRIVATE[at].1 && mode != KEEPS_CURSOR {
            self.changed |= 1 << at;
        } else {
            self.changed &= !(1 << at);
        }
        true
    }

    pub(super) fn insert(&mut self, on: bool) {
        self.insert = on;
    }

    pub(super) fn keypad(&mut self, on: bool) {
        self.keypad = on;
    }

    pub(super) fn rendition(&mut self) {
        self.rendition = true;
    }

    pub(super) fn margins(&mut self) {
        self.margins = true;
    }

    pub(super) fn character_set(&mut self) {
        self.character_set = true;
    }

    pub(super) fn cursor_style(&mut self) {
        self.cursor_style = true;
    }

    pub(super) fn hyperlink(&mut self, open: bool) {
        self.hyperlink = open;
    }

    /// Appends what brings the terminal back, and forgets the changes.
    pub(super) fn undo(&mut self, out: &mut Vec<u8>) {
        let was = std::mem::take(self);
        if was.margins {
            // Setting margins moves the cursor.
            out.extend_from_slice(b"\x1b7\x1b[r\x1b8");
        }
        for (at, (mode, on)) in PRIVATE.iter().enumerate() {
            if was.changed & (1 << at) != 0 {
                private(out, &[*mode], if *on { b'h' } else { b'l' });
            }
        }
        for (changed, back) in [
            (was.insert, &b"\x1b[4l"[..]),
            (was.keypad, b"\x1b>"),
            (was.hyperlink, b"\x1b]8;;\x1b\\"),
            (was.character_set, b"\x0f\x1b(B"),
            (was.rendition, b"\x1b[m"),
            (was.cursor_style, b"\x1b[0 q"),
        ] {
            if changed {
                out.extend_from_slice(back);
            }
        }
    }
}
