//! Terminals: the `termios` structure and its bits, window sizes and the numbers of the `tc*` calls. Values are those of
//! Linux on x86-64.

/// Number of control characters.
pub const NCCS: usize = 19;

/// Bytes of an encoded [`Termios`].
pub const TERMIOS_SIZE: usize = 36;

/// Bytes of an encoded [`Winsize`].
pub const WINSIZE_SIZE: usize = 8;

macro_rules! bits {
    ($($(#[$meta:meta])* $name:ident = $value:literal;)*) => { $($(#[$meta])* pub const $name: u32 = $value;)* };
}

/// Bits of `iflag`: what is done with input.
pub mod iflag {
    bits! {
        /// A break is ignored.
        IGNBRK = 0o1;
        /// A break is an interrupt.
        BRKINT = 0o2;
        /// Bytes with parity errors are ignored.
        IGNPAR = 0o4;
        /// Parity errors are marked.
        PARMRK = 0o10;
        /// Parity is checked.
        INPCK = 0o20;
        /// The eighth bit is cleared.
        ISTRIP = 0o40;
        /// A typed NL becomes CR.
        INLCR = 0o100;
        /// A typed CR is ignored.
        IGNCR = 0o200;
        /// A typed CR becomes NL.
        ICRNL = 0o400;
        /// Upper case becomes lower case.
        IUCLC = 0o1000;
        /// VSTOP and VSTART hold and release output.
        IXON = 0o2000;
        /// Any character releases output.
        IXANY = 0o4000;
        /// The terminal is told to hold its input.
        IXOFF = 0o10000;
        /// A bell is echoed when the input queue is full.
        IMAXBEL = 0o20000;
        /// Erasing takes a whole UTF-8 character.
        IUTF8 = 0o40000;
    }
}

/// Bits of `oflag`: what is done with output.
pub mod oflag {
    bits! {
        /// Output is processed at all.
        OPOST = 0o1;
        /// Lower case becomes upper case.
        OLCUC = 0o2;
        /// NL becomes CR NL.
        ONLCR = 0o4;
        /// CR becomes NL.
        OCRNL = 0o10;
        /// No CR at column 0.
        ONOCR = 0o20;
        /// NL does the work of CR.
        ONLRET = 0o40;
        /// Mask of the tab delays.
        TABDLY = 0o14000;
        /// Tabs become spaces.
        XTABS = 0o14000;
    }
}

/// Bits of `cflag`: the line. A virtual terminal has none; they are kept for who asks.
pub mod cflag {
    bits! {
        /// Mask of the speed.
        CBAUD = 0o10017;
        /// Hang up.
        B0 = 0;
        /// 9600 baud.
        B9600 = 0o15;
        /// 38400 baud.
        B38400 = 0o17;
        /// Mask of the character size.
        CSIZE = 0o60;
        /// Eight bits.
        CS8 = 0o60;
        /// Two stop bits.
        CSTOPB = 0o100;
        /// Input is received.
        CREAD = 0o200;
        /// Parity.
        PARENB = 0o400;
        /// Odd parity.
        PARODD = 0o1000;
        /// Hang up on the last close.
        HUPCL = 0o2000;
        /// No modem lines.
        CLOCAL = 0o4000;
    }
}

/// Bits of `lflag`: lines, echo and signals.
pub mod lflag {
    bits! {
        /// Typed characters may raise signals.
        ISIG = 0o1;
        /// Canonical mode: input comes in edited lines.
        ICANON = 0o2;
        /// Upper case with a backslash.
        XCASE = 0o4;
        /// Input is echoed.
        ECHO = 0o10;
        /// Erased characters vanish from the screen.
        ECHOE = 0o20;
        /// A killed line is followed by NL.
        ECHOK = 0o40;
        /// NL is echoed even without [`ECHO`].
        ECHONL = 0o100;
        /// Signals do not flush the queues.
        NOFLSH = 0o200;
        /// Background output raises SIGTTOU.
        TOSTOP = 0o400;
        /// Control characters are echoed as `^X`.
        ECHOCTL = 0o1000;
        /// Erased characters are echoed between `\` and `/`.
        ECHOPRT = 0o2000;
        /// A killed line vanishes from the screen.
        ECHOKE = 0o4000;
        /// Output is discarded.
        FLUSHO = 0o10000;
        /// Input is echoed anew.
        PENDIN = 0o40000;
        /// VLNEXT, VWERASE, VREPRINT and VEOL2 act.
        IEXTEN = 0o100000;
    }
}

/// Indices into `cc`: the control characters.
pub mod cc {
    macro_rules! indices {
        ($($(#[$meta:meta])* $name:ident = $value:literal;)*) => { $($(#[$meta])* pub const $name: usize = $value;)* };
    }
    indices! {
        /// Raises SIGINT.
        VINTR = 0;
        /// Raises SIGQUIT.
        VQUIT = 1;
        /// Erases a character.
        VERASE = 2;
        /// Erases the line.
        VKILL = 3;
        /// Ends the input.
        VEOF = 4;
        /// Without [`ICANON`](super::lflag::ICANON): tenths of a second that a read waits.
        VTIME = 5;
        /// Without [`ICANON`](super::lflag::ICANON): bytes that a read waits for.
        VMIN = 6;
        /// Not used.
        VSWTC = 7;
        /// Releases output.
        VSTART = 8;
        /// Holds output.
        VSTOP = 9;
        /// Raises SIGTSTP.
        VSUSP = 10;
        /// Ends a line, besides NL.
        VEOL = 11;
        /// Echoes the line anew.
        VREPRINT = 12;
        /// Not used.
        VDISCARD = 13;
        /// Erases a word.
        VWERASE = 14;
        /// Takes the next character as it is.
        VLNEXT = 15;
        /// Ends a line, besides NL.
        VEOL2 = 16;
    }
}

/// The value of a control character that does nothing (`_POSIX_VDISABLE`).
pub const VDISABLE: u8 = 0;

/// `tcsetattr`: at once.
pub const TCSANOW: u32 = 0;
/// `tcsetattr`: after all output was taken.
pub const TCSADRAIN: u32 = 1;
/// `tcsetattr`: after all output was taken; input that was not read is discarded.
pub const TCSAFLUSH: u32 = 2;

/// `tcflush`: input that was not read.
pub const TCIFLUSH: u32 = 0;
/// `tcflush`: output that was not taken.
pub const TCOFLUSH: u32 = 1;
/// `tcflush`: both.
pub const TCIOFLUSH: u32 = 2;

/// `tcflow`: hold the output.
pub const TCOOFF: u32 = 0;
/// `tcflow`: release the output.
pub const TCOON: u32 = 1;
/// `tcflow`: type VSTOP to the terminal.
pub const TCIOFF: u32 = 2;
/// `tcflow`: type VSTART to the terminal.
pub const TCION: u32 = 3;

/// The attributes of a terminal.
///
/// ```
/// use agentos_abi::tty::{Termios, lflag};
/// let mut raw = Termios::default();
/// assert!(raw.lflag & lflag::ICANON != 0);
/// raw.make_raw();
/// assert!(raw.lflag & lflag::ICANON == 0);
/// assert_eq!(Termios::decode(&raw.encode()), raw);
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Termios {
    /// Input: bits of [`iflag`].
    pub iflag: u32,
    /// Output: bits of [`oflag`].
    pub oflag: u32,
    /// The line: bits of [`cflag`].
    pub cflag: u32,
    /// Lines, echo and signals: bits of [`lflag`].
    pub lflag: u32,
    /// Control characters: indices of [`cc`].
    pub cc: [u8; NCCS],
}

impl Default for Termios {
    /// What a new terminal has (`stty sane`).
    fn default() -> Self {
        Self {
            iflag: iflag::ICRNL | iflag::IXON | iflag::IUTF8,
            oflag: oflag::OPOST | oflag::ONLCR,
            cflag: cflag::B38400 | cflag::CS8 | cflag::CREAD,
            lflag: lflag::ISIG
                | lflag::ICANON
                | lflag::ECHO
                | lflag::ECHOE
                | lflag::ECHOK
                | lflag::ECHOCTL
                | lflag::ECHOKE
                | lflag::IEXTEN,
            // ^C ^\ DEL ^U ^D, VTIME 0, VMIN 1, ^Q ^S ^Z, ^R ^O ^W ^V.
            cc: [3, 0x1c, 0x7f, 0x15, 4, 0, 1, 0, 0x11, 0x13, 0x1a, 0, 0x12, 0x0f, 0x17, 0x16, 0, 0, 0],
        }
    }
}

impl Termios {
    /// The bytes as they lie in guest memory, little endian.
    #[must_use]
    pub fn encode(&self) -> [u8; TERMIOS_SIZE] {
        let mut out = [0; TERMIOS_SIZE];
        for (i, word) in [self.iflag, self.oflag, self.cflag, self.lflag].into_iter().enumerate() {
            out[i * 4..i * 4 + 4].copy_from_slice(&word.to_le_bytes());
        }
        out[16..16 + NCCS].copy_from_slice(&self.cc);
        out
    }

    /// The attributes that these bytes hold.
    #[must_use]
    pub fn decode(bytes: &[u8; TERMIOS_SIZE]) -> Self {
        let word = |i: usize| u32::from_le_bytes([bytes[i], bytes[i + 1], bytes[i + 2], bytes[i + 3]]);
        let mut cc = [0; NCCS];
        cc.copy_from_slice(&bytes[16..16 + NCCS]);
        Self { iflag: word(0), oflag: word(4), cflag: word(8), lflag: word(12), cc }
    }

    /// Raw mode, as cfmakeraw(3): every byte is input, nothing is echoed or changed.
    pub fn make_raw(&mut self) {
        self.iflag &= !(iflag::IGNBRK
            | iflag::BRKINT
            | iflag::PARMRK
            | iflag::ISTRIP
            | iflag::INLCR
            | iflag::IGNCR
            | iflag::ICRNL
            | iflag::IXON);
        self.oflag &= !oflag::OPOST;
        self.lflag &= !(lflag::ECHO | lflag::ECHONL | lflag::ICANON | lflag::ISIG | lflag::IEXTEN);
        self.cflag = self.cflag & !(cflag::CSIZE | cflag::PARENB) | cflag::CS8;
        self.cc[cc::VMIN] = 1;
        self.cc[cc::VTIME] = 0;
    }
}

/// The size of a terminal's window.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Winsize {
    /// Lines of text; 0 is not known.
    pub rows: u16,
    /// Characters of a line; 0 is not known.
    pub cols: u16,
    /// Width in pixels; 0 is not known.
    pub xpixel: u16,
    /// Height in pixels; 0 is not known.
    pub ypixel: u16,
}

impl Winsize {
    /// The bytes as they lie in guest memory, little endian.
    #[must_use]
    pub fn encode(&self) -> [u8; WINSIZE_SIZE] {
        let mut out = [0; WINSIZE_SIZE];
        for (i, word) in [self.rows, self.cols, self.xpixel, self.ypixel].into_iter().enumerate() {
            out[i * 2..i * 2 + 2].copy_from_slice(&word.to_le_bytes());
        }
        out
    }

    /// The size that these bytes hold.
    #[must_use]
    pub fn decode(bytes: &[u8; WINSIZE_SIZE]) -> Self {
        let word = |i: usize| u16::from_le_bytes([bytes[i], bytes[i + 1]]);
        Self { rows: word(0), cols: word(2), xpixel: word(4), ypixel: word(6) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn layouts_round_trip() {
        let termios = Termios { iflag: 1, oflag: u32::MAX, cflag: 3, lflag: 0x1234_5678, cc: [7; NCCS] };
        assert_eq!(Termios::decode(&termios.encode()), termios);
        let size = Winsize { rows: 24, cols: 80, xpixel: 1, ypixel: u16::MAX };
        assert_eq!(Winsize::decode(&size.encode()), size);
    }
}
