//! Which controls and sequences may pass. What is not named here is removed.
//! Names and finals are those of ECMA-48, of DEC STD 070 and of xterm's "Control Sequences".

use super::TerminalPolicy;
use super::modes::{self, Change, Modes};

/// What becomes of a sequence.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Verdict {
    Remove,
    Pass,
    /// It passes, and the terminal answers.
    Ask,
    /// Something else passes in its stead.
    Instead(Vec<u8>),
}

use Verdict::{Ask, Instead, Pass, Remove};

/// What a full reset (RIS) becomes: it would also touch the title, the scrolled lines and the fonts.
const SOFT_RESET: &[u8] = b"\x1b[!p\x1b[H\x1b[2J";

fn allowed(allowed: bool, verdict: Verdict) -> Verdict {
    if allowed { verdict } else { Remove }
}

/// A C0 control.
pub(super) fn control(byte: u8, policy: TerminalPolicy, modes: &mut Modes) -> Verdict {
    match byte {
        // BEL BS HT LF VT FF CR
        0x07..=0x0d => Pass,
        // SO SI: the other character set.
        0x0e | 0x0f => {
            modes.change(Change::Shift, byte == 0x0e);
            Pass
        }
        // ENQ: answer-back.
        0x05 => allowed(policy.answers, Ask),
        _ => Remove,
    }
}

/// ESC, intermediates, final byte.
pub(super) fn escape(intermediates: &[u8], last: u8, policy: TerminalPolicy, modes: &mut Modes) -> Verdict {
    match (intermediates, last) {
        // DECBI DECSC DECRC DECFI IND NEL RI
        ([], b'6' | b'7' | b'8' | b'9' | b'D' | b'E' | b'M') => Pass,
        // HTS
        ([], b'H') => {
            modes.change(Change::Tabs, true);
            Pass
        }
        // DECKPAM DECKPNM
        ([], b'=' | b'>') => {
            modes.change(Change::Keypad, last == b'=');
            Pass
        }
        // RIS
        ([], b'c') => {
            let mut bytes = Vec::new();
            modes.undo(&mut bytes);
            bytes.extend_from_slice(SOFT_RESET);
            Instead(bytes)
        }
        // DECID
        ([], b'Z') => allowed(policy.answers, Ask),
        // SCS: graphics, United Kingdom, ASCII.
        ([set @ (b'(' | b')' | b'*' | b'+')], b'0' | b'A' | b'B') => {
            let which = match set {
                b'(' => Change::G0,
                b')' => Change::G1,
                b'*' => Change::G2,
                _ => Change::G3,
            };
            modes.change(which, last != b'B');
            Pass
        }
        // DECDHL DECSWL DECDWL DECALN
        ([b'#'], b'3' | b'4' | b'5' | b'6' | b'8') => Pass,
        _ => Remove,
    }
}

/// Parts of a control sequence.
struct Parts<'a> {
    /// `<`, `=`, `>`, `?`.
    private: Option<u8>,
    parameters: &'a [u8],
    intermediates: &'a [u8],
}

fn parts(held: &[u8]) -> Option<Parts<'_>> {
    let private = held.first().copied().filter(|b| (0x3c..0x40).contains(b));
    let rest = &held[usize::from(private.is_some())..];
    let end = rest.iter().position(|b| !(0x30..0x3c).contains(b)).unwrap_or(rest.len());
    let (parameters, intermediates) = rest.split_at(end);
    let sound = intermediates.iter().all(|b| (0x20..0x30).contains(b))
        && parameters.split(|b| matches!(b, b';' | b':')).all(|number| number.len() <= 5);
    sound.then_some(Parts { private, parameters, intermediates })
}

impl Parts<'_> {
    fn numbers(&self) -> impl Iterator<Item = u32> + '_ {
        self.parameters.split(|b| *b == b';').map(|number| {
            // One with sub-parameters is none that is looked for.
            let digit = |b: &u8| b.is_ascii_digit().then(|| u32::from(b - b'0'));
            number.iter().try_fold(0, |n, b| Some(n * 10 + digit(b)?)).unwrap_or(u32::MAX)
        })
    }
}

/// ESC `[`, parameters and intermediates, final byte.
pub(super) fn csi(held: &[u8], last: u8, policy: TerminalPolicy, modes: &mut Modes) -> Verdict {
    let Some(parts) = parts(held) else { return Remove };
    match (parts.private, parts.intermediates, last) {
        // ICH CUU CUD CUF CUB CNL CPL CHA CUP CHT, EL IL DL, DCH SU SD, ECH CBT, HPA HPR REP, VPA VPR HVP
        (None, [], b'@' | b'A'..=b'I' | b'K'..=b'M' | b'P' | b'S' | b'X' | b'Z') => Pass,
        (None, [], b'`' | b'a' | b'b' | b'd'..=b'f') => Pass,
        // TBC
        (None, [], b'g') => {
            modes.change(Change::Tabs, true);
            Pass
        }
        // SD; with more parameters it is the highlight mouse, which stops the terminal until it is told more.
        (None, [], b'T') if !parts.parameters.contains(&b';') => Pass,
        // ED, DECSED; 3 would erase what was scrolled away.
        (None | Some(b'?'), [], b'J') if parts.numbers().all(|n| n <= 2) => Pass,
        // DECSEL
        (Some(b'?'), [], b'K') => Pass,
        // SGR
        (None, [], b'm') => {
            modes.change(Change::Rendition, true);
            Pass
        }
        // DECSTBM; SCOSC or DECSLRM
        (None, [], b'r' | b's') => {
            if last == b'r' || !parts.parameters.is_empty() {
                modes.change(Change::Margins, true);
            }
            Pass
        }
        // SCORC
        (None, [], b'u') if parts.parameters.is_empty() => Pass,
        // SM RM
        (None, [], b'h' | b'l') if parts.parameters == b"4" => {
            modes.change(Change::Insert, last == b'h');
            Pass
        }
        // DECSET DECRST
        (Some(b'?'), [], b'h' | b'l') => private_modes(&parts, last, modes),
        // DSR, DECXCPR
        (None, [], b'n') if matches!(parts.parameters, b"5" | b"6") => Ask,
        (Some(b'?'), [], b'n') if parts.parameters == b"6" => Ask,
        // DA 1, DA 2, DA 3
        (None | Some(b'>'), [], b'c') if matches!(parts.parameters, b"" | b"0") => Ask,
        (Some(b'='), [], b'c') if matches!(parts.parameters, b"" | b"0") => allowed(policy.answers, Ask),
        // XTVERSION
        (Some(b'>'), [], b'q') if matches!(parts.parameters, b"" | b"0") => allowed(policy.answers, Ask),
        // DECRQM
        (None | Some(b'?'), b"$", b'p') => allowed(policy.answers, Ask),
        // DECSTR
        (None, b"!", b'p') => Pass,
        // DECSCUSR
        (None, b" ", b'q') => {
            modes.change(Change::CursorStyle, true);
            Pass
        }
        // DECSCA
        (None, b"\"", b'q') => {
            modes.change(Change::Protection, !matches!(parts.parameters, b"" | b"0" | b"2"));
            Pass
        }
        // SL SR
        (None, b" ", b'@' | b'A') => Pass,
        // DECIC DECDC
        (None, b"'", b'}' | b'~') => Pass,
        // DECCARA DECRARA DECCRA DECFRA DECERA DECSERA
        (None, b"$", b'r' | b't' | b'v' | b'x' | b'z' | b'{') => Pass,
        // XTWINOPS 22 and 23: the title is put aside and taken back.
        (None, [], b't') if matches!(parts.numbers().next(), Some(22 | 23)) => allowed(policy.title, Pass),
        _ => Remove,
    }
}

/// Only known modes pass: others lock the keyboard, resize the window or make the terminal talk.
fn private_modes(parts: &Parts<'_>, last: u8, modes: &mut Modes) -> Verdict {
    let known: Vec<u32> = parts.numbers().filter(|n| modes.set_private(*n, last == b'h')).collect();
    if known.is_empty() {
        return Remove;
    }
    let mut bytes = Vec::new();
    modes::private(&mut bytes, &known, last);
    Instead(bytes)
}

/// An operating system command.
pub(super) fn osc(text: &[u8], policy: TerminalPolicy, modes: &mut Modes) -> Verdict {
    let Ok(text) = std::str::from_utf8(text) else { return Remove };
    let Some((number, rest)) = text.split_once(';') else { return Remove };
    if text.chars().any(char::is_control) {
        return Remove;
    }
    match number {
        "0" | "1" | "2" => allowed(policy.title, Pass),
        "8" => hyperlink(rest, modes),
        "52" => allowed(policy.clipboard && clipboard(rest), Pass),
        "10" | "11" | "12" => allowed(policy.answers && rest == "?", Ask),
        "4" => {
            let asks = rest
                .strip_suffix(";?")
                .is_some_and(|n| (1..=3).contains(&n.len()) && n.bytes().all(|b| b.is_ascii_digit()));
            allowed(policy.answers && asks, Ask)
        }
        _ => Remove,
    }
}

/// `parameters ; address`; without an address the link ends.
fn hyperlink(rest: &str, modes: &mut Modes) -> Verdict {
    let Some((_, address)) = rest.split_once(';') else { return Remove };
    let web = ["http://", "https://"].iter().any(|scheme| address.starts_with(scheme));
    if !rest.is_ascii() || !(address.is_empty() || web) {
        return Remove;
    }
    modes.change(Change::Hyperlink, !address.is_empty());
    Pass
}

/// `selection ; base64`. `?` would read the clipboard.
fn clipboard(rest: &str) -> bool {
    rest.split_once(';').is_some_and(|(selection, data)| {
        selection.bytes().all(|b| matches!(b, b'c' | b'p' | b'q' | b's' | b'0'..=b'7'))
            && data.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'+' | b'/' | b'='))
    })
}

/// A device control string.
pub(super) fn dcs(text: &[u8], policy: TerminalPolicy) -> Verdict {
    // Only settings that exist: there were terminals that sent back what they did not know.
    let setting = matches!(text.strip_prefix(b"$q"), Some(b"m" | b"r" | b"s" | b" q" | b"\"q" | b"\"p"));
    let capability = text
        .strip_prefix(b"+q")
        .is_some_and(|names| !names.is_empty() && names.iter().all(|b| b.is_ascii_hexdigit() || *b == b';'));
    allowed(policy.answers && (setting || capability), Ask)
}
