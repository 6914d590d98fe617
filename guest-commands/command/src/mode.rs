//! File modes: octal and symbolic changes as chmod takes them, and the ten letters that `ls` and `stat` show.

use agentos_guest::fs::{FileType, file_type};

/// One clause of a symbolic mode, or a whole octal mode.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Change {
    /// Permission bits of the users that the clause names (`u` 04700, `g` 02070, `o` 01007), or 0 for none named.
    who: u32,
    op: u8,
    /// Bits to set, take or add; for `u`, `g`, `o` copied.
    bits: u32,
    copy: Option<u32>,
    /// `X`: execute only for directories and files that somebody may execute.
    conditional: bool,
    /// Octal of five digits: it also takes the set-id bits of directories away.
    octal_full: bool,
}

/// A parsed mode operand of chmod, mkdir -m or install -m.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mode(Vec<Change>);

const SET_ID: u32 = 0o6000;

impl Mode {
    /// Reads `755`, `u=rwx,go+r`, `a-w`; `None` when it is no mode.
    pub fn parse(text: &str) -> Option<Mode> {
        if text.starts_with(|c: char| c.is_ascii_digit()) {
            let bits = u32::from_str_radix(text, 8).ok().filter(|bits| *bits <= 0o7777)?;
            let octal_full = text.len() >= 5;
            return Some(Mode(vec![Change {
                who: 0o7777,
                op: b'=',
                bits,
                copy: None,
                conditional: false,
                octal_full,
            }]));
        }
        let mut changes = Vec::new();
        for clause in text.split(',') {
            parse_clause(clause.as_bytes(), &mut changes)?;
        }
        Some(Mode(changes))
    }

    /// The permission bits of a file of mode `old` after the change. The umask counts where no user is named.
    pub fn apply(&self, old: u32, is_dir: bool, umask: u32) -> u32 {
        let mut mode = old & 0o7777;
        for change in &self.0 {
            let mut bits = change.bits;
            if let Some(from) = change.copy {
                bits = ((mode >> from) & 7) * 0o111;
            }
            if change.conditional && (is_dir || mode & 0o111 != 0) {
                bits |= 0o111;
            }
            // chmod keeps a directory's set-id bits unless the mode names them.
            let omit = if is_dir && !change.octal_full { SET_ID & !change.bits } else { 0 };
            let who = if change.who == 0 { 0o7777 } else { change.who };
            bits &= !omit & if change.who == 0 { !umask } else { who };
            match change.op {
                b'+' => mode |= bits,
                b'-' => mode &= !bits,
                _ => mode = (mode & (!who | omit)) | bits,
            }
        }
        mode
    }
}

fn parse_clause(clause: &[u8], changes: &mut Vec<Change>) -> Option<()> {
    let mut i = 0;
    let mut who = 0;
    while let Some(letter) = clause.get(i) {
        who |= match letter {
            b'u' => 0o4700,
            b'g' => 0o2070,
            b'o' => 0o1007,
            b'a' => 0o7777,
            _ => break,
        };
        i += 1;
    }
    let mut any = false;
    while let Some(op) = clause.get(i).copied().filter(|b| matches!(b, b'+' | b'-' | b'=')) {
        i += 1;
        any = true;
        let mut change = Change { who, op, bits: 0, copy: None, conditional: false, octal_full: false };
        match clause.get(i) {
            Some(b'u') => change.copy = Some(6),
            Some(b'g') => change.copy = Some(3),
            Some(b'o') => change.copy = Some(0),
            _ => {}
        }
        if change.copy.is_some() {
            i += 1;
        } else if clause.get(i).is_some_and(|b| (b'0'..b'8').contains(b)) {
            let digits = clause[i..].iter().take_while(|b| (b'0'..b'8').contains(b)).count();
            let text = std::str::from_utf8(&clause[i..i + digits]).ok()?;
            change.bits = u32::from_str_radix(text, 8).ok().filter(|bits| *bits <= 0o7777)?;
            i += digits;
        } else {
            while let Some(letter) = clause.get(i) {
                match letter {
                    b'r' => change.bits |= 0o444,
                    b'w' => change.bits |= 0o222,
                    b'x' => change.bits |= 0o111,
                    b'X' => change.conditional = true,
                    b's' => change.bits |= SET_ID,
                    b't' => change.bits |= 0o1000,
                    _ => break,
                }
                i += 1;
            }
        }
        changes.push(change);
    }
    (any && i == clause.len()).then_some(())
}

/// The nine permission letters, such as `rwxr-sr-t`.
pub fn permission_letters(mode: u32) -> String {
    let mut out = String::with_capacity(9);
    for (shift, special, letter) in [(6, 0o4000, 's'), (3, 0o2000, 's'), (0, 0o1000, 't')] {
        let rwx = mode >> shift;
        out.push(if rwx & 4 != 0 { 'r' } else { '-' });
        out.push(if rwx & 2 != 0 { 'w' } else { '-' });
        out.push(match (mode & special != 0, rwx & 1 != 0) {
            (false, false) => '-',
            (false, true) => 'x',
            (true, true) => letter,
            (true, false) => letter.to_ascii_uppercase(),
        });
    }
    out
}

/// The ten letters of `ls -l`.
pub fn letters(mode: u32) -> String {
    let kind = match file_type(mode) {
        FileType::File => '-',
        FileType::Dir => 'd',
        FileType::Symlink => 'l',
        FileType::Fifo => 'p',
        FileType::CharDevice => 'c',
        FileType::BlockDevice => 'b',
        FileType::Socket => 's',
        FileType::Other => '?',
    };
    format!("{kind}{}", permission_letters(mode))
}

#[cfg(test)]
mod tests {
    use super::{Mode, letters};

    #[test]
    fn changes() {
        for (text, old, is_dir, want) in [
            ("755", 0o644, false, 0o755),
            ("u+x", 0o644, false, 0o744),
            ("+x", 0o644, false, 0o755),
            ("+w", 0o444, false, 0o644),
            ("a+w", 0o444, false, 0o666),
            ("go=", 0o777, false, 0o700),
            ("g=u", 0o740, false, 0o770),
            ("u=rwx,go=rx", 0o000, false, 0o755),
            ("a+X", 0o644, false, 0o644),
            ("a+X", 0o644, true, 0o755),
            ("u+s,+t", 0o755, false, 0o5755),
            ("755", 0o2755, true, 0o2755),
            ("00755", 0o2755, true, 0o755),
            ("u-x+w", 0o500, false, 0o600),
            ("o+t", 0o755, true, 0o1755),
            ("a=r", 0o777, false, 0o444),
            ("=r", 0o777, false, 0o444),
        ] {
            let mode = Mode::parse(text).unwrap();
            assert_eq!(
                format!("{:o}", mode.apply(old, is_dir, 0o022)),
                format!("{want:o}"),
                "{text} on {old:o}"
            );
        }
        for bad in ["", "u", "u+z", "789", "77777", "u+x,", "z+r"] {
            assert_eq!(Mode::parse(bad), None, "{bad}");
        }
    }

    #[test]
    fn shown() {
        assert_eq!(letters(0o100_644), "-rw-r--r--");
        assert_eq!(letters(0o041_777), "drwxrwxrwt");
        assert_eq!(letters(0o104_644), "-rwSr--r--");
    }
}
