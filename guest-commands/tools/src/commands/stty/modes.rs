//! The settings of `stty` by name: flags, characters, speeds, and words for several at once.

use agentos_guest::tty::{Termios, cc, cflag, iflag, lflag, oflag};

/// Which flags a mode is in; also the order and the lines in which modes are shown.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Group {
    Control,
    Input,
    Output,
    Local,
}

/// A flag, or with a mask one of several values of a field.
pub(super) struct Mode {
    pub(super) name: &'static str,
    pub(super) group: Group,
    bits: u32,
    pub(super) mask: u32,
    /// What `sane` makes of it; `None`: it stays.
    pub(super) sane: Option<bool>,
}

const fn flag(group: Group, name: &'static str, bits: u32, sane: Option<bool>) -> Mode {
    Mode { name, group, bits, mask: 0, sane }
}

const fn value(group: Group, name: &'static str, bits: u32, mask: u32, sane: bool) -> Mode {
    Mode { name, group, bits, mask, sane: Some(sane) }
}

const ON: Option<bool> = Some(true);
const OFF: Option<bool> = Some(false);

/// Fields that a terminal without a line only keeps.
const CMSPAR: u32 = 0o10_000_000_000;
const CRTSCTS: u32 = 0o20_000_000_000;
const OFILL: u32 = 0o100;
const OFDEL: u32 = 0o200;
const NLDLY: u32 = 0o400;
const CRDLY: u32 = 0o3000;
const BSDLY: u32 = 0o20_000;
const VTDLY: u32 = 0o40_000;
const FFDLY: u32 = 0o100_000;
const EXTPROC: u32 = 0o200_000;

/// Every mode, in the order in which `-a` shows them.
pub(super) const MODES: &[Mode] = &[
    flag(Group::Control, "parenb", cflag::PARENB, None),
    flag(Group::Control, "parodd", cflag::PARODD, None),
    flag(Group::Control, "cmspar", CMSPAR, None),
    Mode { name: "cs5", group: Group::Control, bits: 0, mask: cflag::CSIZE, sane: None },
    Mode { name: "cs6", group: Group::Control, bits: 0o20, mask: cflag::CSIZE, sane: None },
    Mode { name: "cs7", group: Group::Control, bits: 0o40, mask: cflag::CSIZE, sane: None },
    Mode { name: "cs8", group: Group::Control, bits: cflag::CS8, mask: cflag::CSIZE, sane: None },
    flag(Group::Control, "hupcl", cflag::HUPCL, None),
    flag(Group::Control, "cstopb", cflag::CSTOPB, None),
    flag(Group::Control, "cread", cflag::CREAD, ON),
    flag(Group::Control, "clocal", cflag::CLOCAL, None),
    flag(Group::Control, "crtscts", CRTSCTS, None),
    flag(Group::Input, "ignbrk", iflag::IGNBRK, OFF),
    flag(Group::Input, "brkint", iflag::BRKINT, ON),
    flag(Group::Input, "ignpar", iflag::IGNPAR, None),
    flag(Group::Input, "parmrk", iflag::PARMRK, None),
    flag(Group::Input, "inpck", iflag::INPCK, None),
    flag(Group::Input, "istrip", iflag::ISTRIP, None),
    flag(Group::Input, "inlcr", iflag::INLCR, OFF),
    flag(Group::Input, "igncr", iflag::IGNCR, OFF),
    flag(Group::Input, "icrnl", iflag::ICRNL, ON),
    flag(Group::Input, "ixon", iflag::IXON, None),
    flag(Group::Input, "ixoff", iflag::IXOFF, OFF),
    flag(Group::Input, "iuclc", iflag::IUCLC, OFF),
    flag(Group::Input, "ixany", iflag::IXANY, OFF),
    flag(Group::Input, "imaxbel", iflag::IMAXBEL, ON),
    flag(Group::Input, "iutf8", iflag::IUTF8, OFF),
    flag(Group::Output, "opost", oflag::OPOST, ON),
    flag(Group::Output, "olcuc", oflag::OLCUC, OFF),
    flag(Group::Output, "ocrnl", oflag::OCRNL, OFF),
    flag(Group::Output, "onlcr", oflag::ONLCR, ON),
    flag(Group::Output, "onocr", oflag::ONOCR, OFF),
    flag(Group::Output, "onlret", oflag::ONLRET, OFF),
    flag(Group::Output, "ofill", OFILL, OFF),
    flag(Group::Output, "ofdel", OFDEL, OFF),
    value(Group::Output, "nl1", NLDLY, NLDLY, false),
    value(Group::Output, "nl0", 0, NLDLY, true),
    value(Group::Output, "cr3", 0o3000, CRDLY, false),
    value(Group::Output, "cr2", 0o2000, CRDLY, false),
    value(Group::Output, "cr1", 0o1000, CRDLY, false),
    value(Group::Output, "cr0", 0, CRDLY, true),
    value(Group::Output, "tab3", oflag::XTABS, oflag::TABDLY, false),
    value(Group::Output, "tab2", 0o10_000, oflag::TABDLY, false),
    value(Group::Output, "tab1", 0o4000, oflag::TABDLY, false),
    value(Group::Output, "tab0", 0, oflag::TABDLY, true),
    value(Group::Output, "bs1", BSDLY, BSDLY, false),
    value(Group::Output, "bs0", 0, BSDLY, true),
    value(Group::Output, "vt1", VTDLY, VTDLY, false),
    value(Group::Output, "vt0", 0, VTDLY, true),
    value(Group::Output, "ff1", FFDLY, FFDLY, false),
    value(Group::Output, "ff0", 0, FFDLY, true),
    flag(Group::Local, "isig", lflag::ISIG, ON),
    flag(Group::Local, "icanon", lflag::ICANON, ON),
    flag(Group::Local, "iexten", lflag::IEXTEN, ON),
    flag(Group::Local, "echo", lflag::ECHO, ON),
    flag(Group::Local, "echoe", lflag::ECHOE, ON),
    flag(Group::Local, "echok", lflag::ECHOK, ON),
    flag(Group::Local, "echonl", lflag::ECHONL, OFF),
    flag(Group::Local, "noflsh", lflag::NOFLSH, OFF),
    flag(Group::Local, "xcase", lflag::XCASE, OFF),
    flag(Group::Local, "tostop", lflag::TOSTOP, OFF),
    flag(Group::Local, "echoprt", lflag::ECHOPRT, OFF),
    flag(Group::Local, "echoctl", lflag::ECHOCTL, ON),
    flag(Group::Local, "echoke", lflag::ECHOKE, ON),
    flag(Group::Local, "flusho", lflag::FLUSHO, OFF),
    flag(Group::Local, "extproc", EXTPROC, OFF),
];

/// Other names of modes.
const ALIASES: [(&str, &str); 7] = [
    ("hup", "hupcl"),
    ("tandem", "ixoff"),
    ("crterase", "echoe"),
    ("crtkill", "echoke"),
    ("ctlecho", "echoctl"),
    ("prterase", "echoprt"),
    ("tabs", "tab0"),
];

/// Control characters: name, index, what `sane` makes of it.
pub(super) const CHARACTERS: [(&str, usize, u8); 17] = [
    ("intr", cc::VINTR, 3),
    ("quit", cc::VQUIT, 0x1c),
    ("erase", cc::VERASE, 0x7f),
    ("kill", cc::VKILL, 0x15),
    ("eof", cc::VEOF, 4),
    ("eol", cc::VEOL, 0),
    ("eol2", cc::VEOL2, 0),
    ("swtch", cc::VSWTC, 0),
    ("start", cc::VSTART, 0x11),
    ("stop", cc::VSTOP, 0x13),
    ("susp", cc::VSUSP, 0x1a),
    ("rprnt", cc::VREPRINT, 0x12),
    ("werase", cc::VWERASE, 0x17),
    ("lnext", cc::VLNEXT, 0x16),
    ("discard", cc::VDISCARD, 0x0f),
    ("min", cc::VMIN, 1),
    ("time", cc::VTIME, 0),
];

/// Baud and the bits of them.
pub(super) const SPEEDS: [(u32, u32); 19] = [
    (0, 0),
    (50, 0o1),
    (75, 0o2),
    (110, 0o3),
    (134, 0o4),
    (150, 0o5),
    (200, 0o6),
    (300, 0o7),
    (600, 0o10),
    (1200, 0o11),
    (1800, 0o12),
    (2400, 0o13),
    (4800, 0o14),
    (9600, 0o15),
    (19_200, 0o16),
    (38_400, 0o17),
    (57_600, 0o10_001),
    (115_200, 0o10_002),
    (230_400, 0o10_003),
];

/// The speed in baud.
pub(super) fn speed(termios: &Termios) -> u32 {
    let bits = termios.cflag & cflag::CBAUD;
    SPEEDS.iter().find(|(_, b)| *b == bits).map_or(0, |(speed, _)| *speed)
}

impl Mode {
    fn word(&self, termios: &Termios) -> u32 {
        match self.group {
            Group::Control => termios.cflag,
            Group::Input => termios.iflag,
            Group::Output => termios.oflag,
            Group::Local => termios.lflag,
        }
    }

    /// Whether the flag is set, or the field has this value.
    pub(super) fn is_on(&self, termios: &Termios) -> bool {
        let word = self.word(termios);
        if self.mask == 0 { word & self.bits != 0 } else { word & self.mask == self.bits }
    }

    fn set(&self, termios: &mut Termios, on: bool) {
        let word = self.word(termios);
        let word = if on { word & !self.mask | self.bits } else { word & !(self.mask | self.bits) };
        match self.group {
            Group::Control => termios.cflag = word,
            Group::Input => termios.iflag = word,
            Group::Output => termios.oflag = word,
            Group::Local => termios.lflag = word,
        }
    }
}

/// Does what one word says; false if it is the name of no mode.
pub(super) fn apply(to: &mut Termios, word: &str) -> bool {
    let (name, on) = match word.strip_prefix('-') {
        Some(name) => (name, false),
        None => (word, true),
    };
    let name = ALIASES.iter().find(|(alias, _)| *alias == name).map_or(name, |(_, name)| name);
    if word == "-tabs" {
        return apply(to, "tab3");
    }
    match MODES.iter().find(|m| m.name == name) {
        // A value of a field is left by choosing another one.
        Some(mode) if mode.mask != 0 && !on => false,
        Some(mode) => {
            mode.set(to, on);
            true
        }
        None => several(to, name, on),
    }
}

/// Words that stand for several modes.
fn several(to: &mut Termios, name: &str, on: bool) -> bool {
    let cooked_input = iflag::BRKINT | iflag::IGNPAR | iflag::ISTRIP | iflag::ICRNL | iflag::IXON;
    let visible = lflag::ECHOE | lflag::ECHOCTL | lflag::ECHOKE;
    match (name, on) {
        ("sane", true) => {
            for mode in MODES {
                match mode.sane {
                    Some(true) => mode.set(to, true),
                    Some(false) if mode.mask == 0 => mode.set(to, false),
                    _ => {}
                }
            }
            for (_, which, sane) in CHARACTERS {
                to.cc[which] = sane;
            }
        }
        ("raw", true) | ("cooked", false) => {
            to.iflag = 0;
            to.oflag &= !oflag::OPOST;
            to.lflag &= !(lflag::ISIG | lflag::ICANON | lflag::XCASE);
            (to.cc[cc::VMIN], to.cc[cc::VTIME]) = (1, 0);
        }
        ("raw", false) | ("cooked", true) => {
            to.iflag |= cooked_input;
            to.oflag |= oflag::OPOST;
            to.lflag |= lflag::ISIG | lflag::ICANON;
        }
        ("cbreak", on) => {
            to.lflag = if on { to.lflag & !lflag::ICANON } else { to.lflag | lflag::ICANON };
        }
        ("nl", true) => {
            to.iflag &= !iflag::ICRNL;
            to.oflag &= !oflag::ONLCR;
        }
        ("nl", false) => {
            to.iflag = to.iflag & !(iflag::INLCR | iflag::IGNCR) | iflag::ICRNL;
            to.oflag = to.oflag & !(oflag::OCRNL | oflag::ONLRET) | oflag::ONLCR;
        }
        ("ek", true) => (to.cc[cc::VERASE], to.cc[cc::VKILL]) = (0x7f, 0x15),
        ("crt", true) => to.lflag |= visible,
        ("dec", true) => {
            (to.cc[cc::VINTR], to.cc[cc::VERASE], to.cc[cc::VKILL]) = (3, 0x7f, 0x15);
            to.lflag |= visible;
            to.iflag &= !iflag::IXANY;
        }
        ("decctlq", on) => {
            to.iflag = if on { to.iflag & !iflag::IXANY } else { to.iflag | iflag::IXANY };
        }
        ("evenp" | "parity", true) => {
            to.cflag = to.cflag & !(cflag::PARODD | cflag::CSIZE) | cflag::PARENB | 0o40;
        }
        ("oddp", true) => to.cflag = to.cflag & !cflag::CSIZE | cflag::PARENB | cflag::PARODD | 0o40,
        ("evenp" | "parity" | "oddp", false) | ("pass8" | "litout", true) => {
            to.cflag = to.cflag & !(cflag::PARENB | cflag::CSIZE) | cflag::CS8;
            if matches!(name, "pass8" | "litout") {
                to.iflag &= !iflag::ISTRIP;
            }
            if name == "litout" {
                to.oflag &= !oflag::OPOST;
            }
        }
        ("pass8" | "litout", false) => {
            to.cflag = to.cflag & !cflag::CSIZE | cflag::PARENB | 0o40;
            to.iflag |= iflag::ISTRIP;
            if name == "litout" {
                to.oflag |= oflag::OPOST;
            }
        }
        _ => return false,
    }
    true
}
