//! What a terminal may be told by a guest: output goes through here before a terminal of the host gets it.
//! It draws nothing and knows no screen; which sequences pass is in `rules`, what is to be undone at the end in `modes`.
//!
//! The filter reads bytes as a terminal does (ECMA-48, DEC STD 070, the state machine of the VT500) and writes only whole
//! sequences that it has understood, each in its 7-bit form. So wherever it stops, the host's terminal is in its ground
//! state, and whatever another terminal would make of a broken sequence does not matter. UTF-8 is taken for granted: C1
//! controls are recognised as code points, never as bytes, and bytes that are no UTF-8 become U+FFFD.

mod modes;
mod rules;
#[cfg(test)]
mod tests;

use modes::Modes;
use rules::Verdict;

const ESC: u8 = 0x1b;
const BEL: u8 = 0x07;
const CAN: u8 = 0x18;
const SUB: u8 = 0x1a;
const DEL: u8 = 0x7f;
/// Stands for bytes that are no UTF-8.
const REPLACEMENT: &[u8] = "\u{fffd}".as_bytes();

/// Longest control sequence, bytes; longer ones are removed.
const CSI_BYTES: usize = 256;
/// Intermediate bytes of an escape sequence.
const ESCAPE_BYTES: usize = 3;
/// Longest title or hyperlink, bytes.
const STRING_BYTES: usize = 4096;
/// Longest text for the clipboard, bytes in base64.
const CLIPBOARD_BYTES: usize = 1 << 20;

/// What a guest may do to a terminal of the host beyond drawing on it; nothing by default.
///
/// Drawing is text, colours, the cursor, margins, the alternate screen, and what changes what the keys and the mouse send
/// while the guest has the terminal; all of it is undone at the end. Hyperlinks pass if they are `http` or `https`. The
/// reports of cursor position, status and kind of terminal (DSR 5 and 6, DA 1 and 2) may be asked for always: programs need
/// them, and the answers consist of numbers that the guest cannot choose. Never allowed are: reading the clipboard or the
/// title, moving and resizing the window, printing, locking the keyboard, erasing what was scrolled away, and strings for
/// other programs (APC, PM, SOS, most of DCS and OSC).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct TerminalPolicy {
    /// It may set the title of the window and of its icon (OSC 0, 1, 2).
    pub title: bool,
    /// It may write to the clipboard (OSC 52).
    pub clipboard: bool,
    /// It may ask for more than position and kind: answer-back (ENQ), settings (DECRQM, DECRQSS), capabilities (XTGETTCAP),
    /// version (XTVERSION, DA 3) and colours (OSC 4, 10 to 12).
    pub answers: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Text {
    /// Operating system command.
    Osc,
    /// Device control string.
    Dcs,
    /// Removed whatever it says.
    Other,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    Ground,
    /// After ESC.
    Escape,
    /// After ESC and an intermediate byte.
    Intermediate,
    /// After ESC `[`.
    Csi,
    /// In a string.
    Text(Text),
    /// In a string, after ESC.
    TextEscape(Text),
}

/// The filter of one terminal. It holds at most one unfinished sequence.
#[derive(Debug)]
pub struct TerminalFilter {
    policy: TerminalPolicy,
    state: State,
    /// The sequence so far, without what introduces it.
    held: Vec<u8>,
    /// The sequence is removed, whatever comes.
    spoilt: bool,
    /// The character so far.
    character: Vec<u8>,
    modes: Modes,
    asked: bool,
}

impl TerminalFilter {
    /// A filter at the beginning of output.
    #[must_use]
    pub fn new(policy: TerminalPolicy) -> Self {
        TerminalFilter {
            policy,
            state: State::Ground,
            held: Vec::new(),
            spoilt: false,
            character: Vec::new(),
            modes: Modes::default(),
            asked: false,
        }
    }

    /// Takes the next piece of output and appends what may be shown to `out`. Where pieces begin and end makes no
    /// difference.
    pub fn feed(&mut self, mut input: &[u8], out: &mut Vec<u8>) {
        while let Some(byte) = input.first().copied() {
            if self.state == State::Ground && self.character.is_empty() {
                let plain = input.iter().position(|b| !(0x20..DEL).contains(b)).unwrap_or(input.len());
                if plain > 0 {
                    out.extend_from_slice(&input[..plain]);
                    input = &input[plain..];
                    continue;
                }
            }
            self.step(byte, out);
            input = &input[1..];
        }
    }

    /// Ends the output: an unfinished sequence is removed, and what the guest has left switched on in the terminal is
    /// switched off again.
    pub fn finish(&mut self, out: &mut Vec<u8>) {
        self.broken_character(out);
        self.ground();
        self.modes.undo(out);
    }

    /// Ends the output of a terminal of which nobody knows what it has seen: all is switched off that the guest ever
    /// switched on.
    pub(super) fn undo_all(&mut self, out: &mut Vec<u8>) {
        self.ground();
        self.modes.undo_all(out);
    }

    /// Whether the terminal was asked for something since the last look: its answer comes as input.
    pub fn take_asked(&mut self) -> bool {
        std::mem::take(&mut self.asked)
    }

    fn ground(&mut self) {
        self.state = State::Ground;
        self.held.clear();
        // A long text for the clipboard is not kept for ever.
        self.held.shrink_to(STRING_BYTES);
        self.spoilt = false;
    }

    fn begin(&mut self, state: State) {
        self.ground();
        self.state = state;
    }

    fn hold(&mut self, byte: u8, most: usize) {
        if self.held.len() >= most {
            self.spoilt = true;
        }
        if !self.spoilt {
            self.held.push(byte);
        }
    }

    fn step(&mut self, byte: u8, out: &mut Vec<u8>) {
        match self.state {
            State::Text(kind) => return self.text(kind, byte, out),
            State::TextEscape(kind) => {
                if byte == b'\\' {
                    return self.end_text(kind, b"\x1b\\", out);
                }
                // The string was cut short by another sequence.
                self.begin(State::Escape);
            }
            _ => {}
        }
        if byte >= 0x80 || !self.character.is_empty() {
            if self.state != State::Ground {
                self.ground();
            }
            return self.beyond_ascii(byte, out);
        }
        match (self.state, byte) {
            (_, ESC) => self.begin(State::Escape),
            (_, CAN | SUB) => self.ground(),
            // Controls are obeyed in the middle of a sequence.
            (_, ..0x20) => self.control(byte, out),
            (_, DEL) => {}
            (State::Ground, _) => out.push(byte),
            (State::Escape, 0x20..0x30) => {
                self.state = State::Intermediate;
                self.hold(byte, ESCAPE_BYTES);
            }
            (State::Escape, b'[') => self.begin(State::Csi),
            (State::Escape, b']') => self.begin(State::Text(Text::Osc)),
            (State::Escape, b'P') => self.begin(State::Text(Text::Dcs)),
            // SOS, PM, APC; and the title of GNU screen.
            (State::Escape, b'X' | b'^' | b'_' | b'k') => self.begin(State::Text(Text::Other)),
            (State::Intermediate, 0x20..0x30) => self.hold(byte, ESCAPE_BYTES),
            (State::Escape | State::Intermediate, _) => {
                let verdict = if self.spoilt {
                    Verdict::Remove
                } else {
                    rules::escape(&self.held, byte, self.policy, &mut self.modes)
                };
                self.write(verdict, &[ESC], &[byte], out);
            }
            (State::Csi, 0x20..0x40) => self.hold(byte, CSI_BYTES),
            (State::Csi, _) => {
                let verdict = if self.spoilt {
                    Verdict::Remove
                } else {
                    rules::csi(&self.held, byte, self.policy, &mut self.modes)
                };
                self.write(verdict, b"\x1b[", &[byte], out);
            }
            // Strings are dealt with above.
            (State::Text(_) | State::TextEscape(_), _) => {}
        }
    }

    /// Ends a sequence.
    fn write(&mut self, verdict: Verdict, start: &[u8], end: &[u8], out: &mut Vec<u8>) {
        match verdict {
            Verdict::Remove => {}
            Verdict::Instead(bytes) => out.extend_from_slice(&bytes),
            Verdict::Pass | Verdict::Ask => {
                self.asked |= matches!(verdict, Verdict::Ask);
                out.extend_from_slice(start);
                out.extend_from_slice(&self.held);
                out.extend_from_slice(end);
            }
        }
        self.ground();
    }

    fn control(&mut self, byte: u8, out: &mut Vec<u8>) {
        match rules::control(byte, self.policy, &mut self.modes) {
            Verdict::Pass => out.push(byte),
            Verdict::Ask => {
                self.asked = true;
                out.push(byte);
            }
            Verdict::Remove | Verdict::Instead(_) => {}
        }
    }

    /// A byte in a string: the string is judged when it is complete.
    fn text(&mut self, kind: Text, byte: u8, out: &mut Vec<u8>) {
        match byte {
            ESC => self.state = State::TextEscape(kind),
            CAN | SUB => self.ground(),
            BEL if kind == Text::Osc => self.end_text(kind, &[BEL], out),
            // ST as a C1 control.
            0x9c if self.character == [0xc2] => {
                self.character.clear();
                self.held.pop();
                self.end_text(kind, b"\x1b\\", out);
            }
            _ => {
                self.character.clear();
                if byte == 0xc2 {
                    self.character.push(byte);
                }
                if kind == Text::Other || byte < 0x20 || byte == DEL {
                    self.spoilt = true;
                }
                let most = if self.policy.clipboard { CLIPBOARD_BYTES } else { STRING_BYTES };
                self.hold(byte, most);
            }
        }
        if !matches!(self.state, State::Text(_)) {
            self.character.clear();
        }
    }

    fn end_text(&mut self, kind: Text, end: &[u8], out: &mut Vec<u8>) {
        let (verdict, start): (_, &[u8]) = match kind {
            _ if self.spoilt => (Verdict::Remove, b""),
            Text::Osc => (rules::osc(&self.held, self.policy, &mut self.modes), b"\x1b]"),
            Text::Dcs => (rules::dcs(&self.held, self.policy), b"\x1bP"),
            Text::Other => (Verdict::Remove, b""),
        };
        self.write(verdict, start, end, out);
    }

    /// A byte of a character of several bytes, or one that ends an unfinished one.
    fn beyond_ascii(&mut self, byte: u8, out: &mut Vec<u8>) {
        self.character.push(byte);
        match std::str::from_utf8(&self.character) {
            Ok(text) => {
                // One character, since each one is taken as soon as it is complete.
                let code = text.chars().next().map_or(0, u32::from);
                match u8::try_from(code) {
                    // A C1 control is ESC and the byte 0x40 below.
                    Ok(c1 @ 0x80..0xa0) => {
                        self.character.clear();
                        self.begin(State::Escape);
                        self.step(c1 - 0x40, out);
                    }
                    _ => {
                        out.extend_from_slice(&self.character);
                        self.character.clear();
                    }
                }
            }
            Err(error) if error.error_len().is_none() => {}
            // The byte itself can begin nothing.
            Err(_) if self.character.len() == 1 => self.broken_character(out),
            Err(_) => {
                self.character.pop();
                self.broken_character(out);
                self.step(byte, out);
            }
        }
    }

    fn broken_character(&mut self, out: &mut Vec<u8>) {
        if !self.character.is_empty() {
            self.character.clear();
            // Within a string it was only part of what is removed.
            if self.state == State::Ground {
                out.extend_from_slice(REPLACEMENT);
            }
        }
    }
}
