//! The line discipline as tables: attributes and what is typed, then the echo and what reads find.

use std::sync::Arc;

use agentos_abi::Signal;
use agentos_abi::tty::cc::{VEOL, VINTR, VMIN};
use agentos_abi::tty::{Termios, VDISABLE, Winsize, iflag, lflag, oflag};

use super::discipline::{Discipline, Typed};
use super::{INPUT_BYTES, OUTPUT_BYTES, Registry, pts_index, pts_number};
use crate::{Errno, Pid};

type Change = fn(&mut Termios);

fn typed(change: Change, input: &[u8]) -> (Discipline, Vec<u8>, Vec<Signal>) {
    let mut discipline = Discipline::new();
    let mut termios = Termios::default();
    change(&mut termios);
    discipline.set_termios(&termios);
    let (mut echo, mut signals) = (Vec::new(), Vec::new());
    for byte in input {
        if let Typed::Signal { signal, .. } = discipline.receive(*byte, &mut echo) {
            signals.push(signal);
        }
    }
    (discipline, echo, signals)
}

fn type_into(discipline: &mut Discipline, input: &[u8]) {
    for byte in input {
        discipline.receive(*byte, &mut Vec::new());
    }
}

/// All reads until one would wait, each of up to 100 bytes; an end of file is an empty one.
fn reads(discipline: &mut Discipline) -> Vec<String> {
    let mut all = Vec::new();
    let mut buf = [0; 100];
    while let Some(n) = discipline.read(&mut buf) {
        all.push(String::from_utf8_lossy(&buf[..n]).into_owned());
    }
    all
}

#[track_caller]
fn check(change: Change, input: &str, echo: &str, expected: &[&str]) {
    let (mut discipline, echoed, _) = typed(change, input.as_bytes());
    assert_eq!(String::from_utf8_lossy(&echoed), echo, "echo of {input:?}");
    assert_eq!(reads(&mut discipline), expected, "reads of {input:?}");
}

const SANE: Change = |_| ();
const RAW: Change = Termios::make_raw;

#[test]
fn canonical_lines() {
    check(SANE, "ab", "ab", &[]);
    check(SANE, "ab\n", "ab\r\n", &["ab\n"]);
    check(SANE, "ab\r", "ab\r\n", &["ab\n"]);
    check(SANE, "a\nb\nc", "a\r\nb\r\nc", &["a\n", "b\n"]);
    check(SANE, "\x04", "", &[""]);
    check(SANE, "ab\x04", "ab", &["ab"]);
    check(SANE, "ab\x04\x04", "ab", &["ab", ""]);
    check(SANE, "ab\x04cd\n", "abcd\r\n", &["ab", "cd\n"]);
    check(|t| t.cc[VEOL] = b';', "a;b", "a;b", &["a;"]);
}

#[test]
fn a_read_takes_at_most_a_line_and_leaves_the_rest() {
    let (mut discipline, ..) = typed(SANE, b"abc\nd\nef\x04");
    let mut buf = [0; 2];
    for expected in ["ab", "c\n", "d\n", "ef"] {
        assert_eq!(discipline.read(&mut buf), Some(2));
        assert_eq!(buf, expected.as_bytes());
    }
    assert_eq!(discipline.read(&mut buf), None, "the end of file went with the last byte before it");
}

#[test]
fn erasing() {
    check(SANE, "abc\x7f\x7fd\n", "abc\x08 \x08\x08 \x08d\r\n", &["ad\n"]);
    check(SANE, "\x7fa\n", "a\r\n", &["a\n"]);
    check(SANE, "a\x01\x7f\n", "a^A\x08 \x08\x08 \x08\r\n", &["a\n"]);
    check(SANE, "aé\x7f\n", "aé\x08 \x08\r\n", &["a\n"]);
    check(SANE, "ab cd\x17\n", "ab cd\x08 \x08\x08 \x08\r\n", &["ab \n"]);
    check(SANE, "ab  \x17\n", "ab  \x08 \x08\x08 \x08\x08 \x08\x08 \x08\r\n", &["\n"]);
    check(SANE, "ab\x15c\n", "ab\x08 \x08\x08 \x08c\r\n", &["c\n"]);
    check(SANE, "a\t\x7f\n", "a\t\x08\x08\x08\x08\x08\x08\x08\r\n", &["a\n"]);
    check(SANE, "a\nb\x7f\x7f\n", "a\r\nb\x08 \x08\r\n", &["a\n", "\n"]);
    check(|t| t.lflag &= !lflag::ECHOE, "ab\x7f\n", "ab^?\r\n", &["a\n"]);
    check(|t| t.lflag &= !lflag::ECHOKE, "ab\x15c\n", "ab^U\r\nc\r\n", &["c\n"]);
    check(|t| t.lflag &= !(lflag::ECHOKE | lflag::ECHOK), "ab\x15c\n", "ab^Uc\r\n", &["c\n"]);
    check(|t| t.lflag &= !lflag::IEXTEN, "ab\x17\n", "ab^W\r\n", &["ab\x17\n"]);
}

#[test]
fn echo() {
    check(SANE, "\x01\x1b[A\n", "^A^[[A\r\n", &["\x01\x1b[A\n"]);
    check(|t| t.lflag &= !lflag::ECHOCTL, "\x01\n", "\x01\r\n", &["\x01\n"]);
    check(|t| t.lflag &= !lflag::ECHO, "ab\n", "", &["ab\n"]);
    check(|t| t.lflag = t.lflag & !lflag::ECHO | lflag::ECHONL, "ab\n", "\r\n", &["ab\n"]);
    check(SANE, "ab\x12c\n", "ab^R\r\nabc\r\n", &["abc\n"]);
    check(SANE, "\x16\x03\n", "^\x08^C\r\n", &["\x03\n"]);
    check(SANE, "\x16\x16\n", "^\x08^V\r\n", &["\x16\n"]);
    check(|t| t.oflag &= !oflag::OPOST, "a\n", "a\n", &["a\n"]);
}

#[test]
fn input_mapping() {
    check(|t| t.iflag |= iflag::IGNCR, "a\rb\n", "ab\r\n", &["ab\n"]);
    check(|t| t.iflag &= !iflag::ICRNL, "a\rb\n", "a^Mb\r\n", &["a\rb\n"]);
    check(|t| t.iflag = t.iflag & !iflag::ICRNL | iflag::INLCR, "a\nb", "a^Mb", &[]);
    check(|t| t.iflag |= iflag::IUCLC, "AbC\n", "abc\r\n", &["abc\n"]);
    let (mut discipline, ..) = typed(|t| t.iflag |= iflag::ISTRIP, b"\xe1\n");
    assert_eq!(reads(&mut discipline), ["a\n"]);
}

#[test]
fn raw_mode_passes_all() {
    check(RAW, "a\r\x03\x04\x7f\n", "", &["a\r\x03\x04\x7f\n"]);
    check(
        |t| {
            t.make_raw();
            t.lflag |= lflag::ECHO;
            t.oflag |= oflag::OPOST;
        },
        "a\n\x04",
        "a\r\n^D",
        &["a\n\x04"],
    );
}

#[test]
fn signals() {
    for (input, expected, echo) in [
        (&b"ab\x03"[..], Signal::SIGINT, "ab^C"),
        (b"\x1c", Signal::SIGQUIT, "^\\"),
        (b"x\x1a", Signal::SIGTSTP, "x^Z"),
    ] {
        let (mut discipline, echoed, signals) = typed(SANE, input);
        assert_eq!(signals, [expected]);
        assert_eq!(String::from_utf8_lossy(&echoed), echo);
        assert!(reads(&mut discipline).is_empty(), "what was typed before it is gone");
    }
    let (mut discipline, _, signals) = typed(|t| t.lflag |= lflag::NOFLSH, b"ab\x03\n");
    assert_eq!((signals, reads(&mut discipline)), (vec![Signal::SIGINT], vec!["ab\n".to_owned()]));
    let (mut discipline, _, signals) = typed(|t| t.cc[VINTR] = VDISABLE, b"\x03\0\n");
    assert_eq!((signals, reads(&mut discipline)), (vec![], vec!["\x03\0\n".to_owned()]));
    let (_, _, signals) = typed(|t| t.lflag &= !lflag::ISIG, b"\x03\x1a");
    assert!(signals.is_empty());
}

#[test]
fn flow_control() {
    assert!(typed(SANE, b"\x13").0.held());
    assert!(!typed(SANE, b"\x13\x11").0.held());
    assert!(typed(SANE, b"\x13a").0.held());
    assert!(!typed(|t| t.iflag |= iflag::IXANY, b"\x13a").0.held());
    assert!(!typed(SANE, b"\x13\x03").0.held(), "a signal releases");
    check(|t| t.iflag &= !iflag::IXON, "\x13\n", "^S\r\n", &["\x13\n"]);
}

#[test]
fn changing_the_mode_keeps_what_was_typed() {
    let (mut discipline, ..) = typed(SANE, b"ab\ncd");
    let mut raw = Termios::default();
    raw.make_raw();
    discipline.set_termios(&raw);
    assert_eq!(reads(&mut discipline), ["ab\ncd"]);
    type_into(&mut discipline, b"x");
    discipline.set_termios(&Termios::default());
    assert_eq!(discipline.readable(), None);
    type_into(&mut discipline, b"y\r");
    assert_eq!(reads(&mut discipline), ["xy\n"]);
}

/// What is typed before a program has set its mode means what it would mean afterwards.
#[test]
fn what_is_typed_ahead_is_taken_in_the_mode_in_which_it_is_read() {
    let raw = || {
        let mut raw = Termios::default();
        raw.make_raw();
        raw
    };
    for (typed, bytes, lines) in [
        (&b"one\rtwo\r"[..], "one\rtwo\r", &["one\n", "two\n"][..]),
        (b"one\r\x04", "one\r\x04", &["one\n", ""]),
        (b"\x04", "\x04", &[""]),
        (b"ob\x7fne\r", "ob\x7fne\r", &["one\n"]),
        (b"one\x15two\n", "one\x15two\n", &["two\n"]),
        (b"a\x16\x04b\n", "a\x16\x04b\n", &["a\x04b\n"]),
        // Flow control and signals were none when they were typed.
        (b"\x13\x03\n", "\x13\x03\n", &["\x13\x03\n"]),
    ] {
        let (mut discipline, ..) = self::typed(RAW, typed);
        discipline.set_termios(&Termios::default());
        assert!(!discipline.held());
        assert_eq!(reads(&mut discipline), lines, "{typed:?}");
        let (mut discipline, ..) = self::typed(RAW, typed);
        assert_eq!(reads(&mut discipline), [bytes], "{typed:?}");
    }
    // There and back: ends of file stay where they were, and none is lost.
    let (mut discipline, ..) = self::typed(SANE, b"fg\rtwo\r\x04ab\x04c");
    for _ in 0..3 {
        discipline.set_termios(&raw());
        discipline.set_termios(&Termios::default());
    }
    assert_eq!(reads(&mut discipline), ["fg\n", "two\n", "", "ab"]);
    discipline.set_termios(&raw());
    assert_eq!(reads(&mut discipline), ["c"]);
}

#[test]
fn a_change_of_the_mode_loses_nothing_of_a_full_queue() {
    let bytes: Vec<u8> = [b"a\n", &vec![b'x'; INPUT_BYTES - 2][..]].concat();
    let (mut discipline, ..) = typed(RAW, &bytes);
    discipline.set_termios(&Termios::default());
    assert_eq!(discipline.readable(), Some(2));
    let mut raw = Termios::default();
    raw.make_raw();
    discipline.set_termios(&raw);
    let mut all = vec![0; 2 * INPUT_BYTES];
    assert_eq!(discipline.read(&mut all), Some(INPUT_BYTES));
    assert_eq!(&all[..INPUT_BYTES], bytes);
    // One line that has no room for its end can be read.
    let (mut discipline, ..) = typed(RAW, &vec![b'x'; INPUT_BYTES]);
    discipline.set_termios(&Termios::default());
    assert_eq!(discipline.read(&mut all), Some(INPUT_BYTES - 1));
    type_into(&mut discipline, b"\n");
    assert_eq!(discipline.readable(), Some(2));
}

#[test]
fn poll_waits_for_vmin() {
    let (mut discipline, ..) = typed(
        |t| {
            t.make_raw();
            t.cc[VMIN] = 3;
        },
        b"ab",
    );
    assert_eq!(discipline.ready(), None);
    discipline.receive(b'c', &mut Vec::new());
    assert_eq!(discipline.ready(), Some(3));
}

#[test]
fn a_line_without_end_is_bounded_and_can_be_ended() {
    let (mut discipline, echo, _) = typed(SANE, &vec![b'x'; 3 * INPUT_BYTES]);
    assert_eq!(echo.iter().filter(|b| **b == 7).count(), 2 * INPUT_BYTES + 1, "the rest rings the bell");
    assert_eq!(discipline.receive(b'\n', &mut Vec::new()), Typed::Taken);
    assert_eq!(discipline.readable(), Some(INPUT_BYTES));
    // Lines that nobody reads make the writer wait.
    assert_eq!(discipline.receive(b'y', &mut Vec::new()), Typed::Full);
    assert_eq!(discipline.receive(b'\x04', &mut Vec::new()), Typed::Full);
    assert!(matches!(discipline.receive(3, &mut Vec::new()), Typed::Signal { flush: true, .. }));
    let (mut discipline, ..) = typed(RAW, &vec![b'x'; 3 * INPUT_BYTES]);
    assert_eq!(discipline.read(&mut vec![0; 3 * INPUT_BYTES]), Some(INPUT_BYTES));
}

#[test]
fn ends_of_file_are_bounded() {
    let (mut discipline, ..) = typed(SANE, &vec![4; 3 * INPUT_BYTES]);
    assert_eq!(reads(&mut discipline).len(), INPUT_BYTES);
}

#[test]
fn output_processing() {
    let cases: [(Change, &[u8], &[u8]); 7] = [
        (SANE, b"a\nb\n", b"a\r\nb\r\n"),
        (|t| t.oflag &= !oflag::OPOST, b"a\nb\n", b"a\nb\n"),
        (|t| t.oflag &= !oflag::ONLCR, b"a\nb\n", b"a\nb\n"),
        (|t| t.oflag |= oflag::OCRNL, b"a\rb", b"a\nb"),
        (|t| t.oflag |= oflag::ONOCR, b"\ra\r", b"a\r"),
        (|t| t.oflag |= oflag::XTABS, b"ab\tc", b"ab      c"),
        (|t| t.oflag |= oflag::OLCUC, b"ab", b"AB"),
    ];
    for (change, written, shown) in cases {
        let registry = Registry::new(1, crate::Warning::default());
        let master = registry.create(std::sync::Weak::new(), Winsize::default(), 0).unwrap();
        let slave = master.pty().slave().unwrap();
        let mut termios = Termios::default();
        change(&mut termios);
        master.pty().set_termios(&termios, false);
        assert_eq!(slave.try_write(written), Ok(written.len()));
        let mut buf = [0; 64];
        let n = master.try_read(&mut buf).unwrap();
        assert_eq!(&buf[..n], shown, "{:?}", String::from_utf8_lossy(written));
    }
}

fn pair() -> (super::PtyMaster, super::PtySlave) {
    let registry = Registry::new(2, crate::Warning::default());
    let master = registry.create(std::sync::Weak::new(), Winsize::default(), 0).unwrap();
    let slave = master.pty().slave().unwrap();
    (master, slave)
}

#[test]
fn the_output_is_bounded_and_makes_the_writer_wait() {
    let (master, slave) = pair();
    let much = vec![b'x'; 2 * OUTPUT_BYTES];
    let taken = slave.try_write(&much).unwrap();
    assert!(taken <= OUTPUT_BYTES && taken > OUTPUT_BYTES - 16);
    assert_eq!(slave.try_write(b"x"), Err(Errno::EAGAIN));
    // Echo passes the bound a little, and then is lost.
    for _ in 0..100 {
        master.try_write(&[b'y'; 1000]).unwrap();
        master.pty().flush(true, false);
    }
    let mut shown = vec![0; 4 * OUTPUT_BYTES];
    let n = master.try_read(&mut shown).unwrap();
    assert!(n <= OUTPUT_BYTES + INPUT_BYTES, "{n}");
    assert_eq!(slave.try_write(b"x"), Ok(1));
}

#[test]
fn held_output_waits_and_its_echo_comes_later() {
    let (master, slave) = pair();
    assert_eq!(master.try_write(b"\x13ab"), Ok(3));
    assert_eq!(slave.try_write(b"x"), Err(Errno::EAGAIN));
    let mut buf = [0; 16];
    assert_eq!(master.try_read(&mut buf), Err(Errno::EAGAIN));
    assert_eq!(master.try_write(b"\x11"), Ok(1));
    assert_eq!(master.try_read(&mut buf), Ok(2));
    assert_eq!(slave.try_write(b"x"), Ok(1));
}

#[test]
fn a_signal_reaches_a_program_that_does_not_read() {
    let (master, slave) = pair();
    let lines = [b"x\n".repeat(INPUT_BYTES), b"\x03z\n".to_vec()].concat();
    let mut rest = &lines[..];
    while !rest.is_empty() {
        rest = &rest[master.try_write(rest).unwrap()..];
    }
    let mut buf = [0; 16];
    assert_eq!(slave.try_read(&mut buf), Ok(2));
    assert_eq!(&buf[..2], b"z\n", "what found no room was discarded by the signal");
}

#[test]
fn ends_of_a_pair() {
    let (master, slave) = pair();
    let mut buf = [0; 16];
    slave.try_write(b"bye").unwrap();
    drop(slave);
    assert_eq!(master.try_read(&mut buf), Ok(3), "what was written before is still read");
    assert_eq!(master.try_read(&mut buf), Err(Errno::EIO));
    assert_eq!(master.try_write(b"x"), Err(Errno::EIO));
    let again = master.pty().slave().unwrap();
    assert_eq!(master.try_read(&mut buf), Err(Errno::EAGAIN), "an open slave revives it");
    let pty = Arc::clone(master.pty());
    drop(master);
    assert_eq!(again.try_read(&mut buf), Ok(0));
    assert_eq!(again.try_write(b"x"), Err(Errno::EIO));
    assert!(pty.slave().is_err());
}

#[test]
fn a_hang_up_kills_what_was_open_and_not_what_is_opened_later() {
    let (master, slave) = pair();
    master.pty().hang_up();
    assert!(slave.hung_up() && master.hung_up());
    let later = master.pty().slave().unwrap();
    drop(slave);
    assert!(!later.hung_up() && !master.hung_up());
}

#[test]
fn numbers_are_the_lowest_free_ones_and_bounded() {
    let registry = Registry::new(3, crate::Warning::default());
    let new = || registry.create(std::sync::Weak::new(), Winsize::default(), 0);
    let (a, b, c) = (new().unwrap(), new().unwrap(), new().unwrap());
    assert_eq!([&a, &b, &c].map(|m| m.pty().index()), [0, 1, 2]);
    assert_eq!(new().map(|_| ()), Err(Errno::ENOSPC));
    drop(b);
    assert_eq!(new().unwrap().pty().index(), 1);
    for index in [0, 1, 255, 256, 65_535] {
        assert_eq!(pts_index(pts_number(index)), Some(index));
    }
    assert_eq!(pts_index(crate::device::rdev(1, 3)), None);
}

#[test]
fn a_session_has_one_terminal_and_a_terminal_one_session() {
    let registry = Registry::new(3, crate::Warning::default());
    let new = || registry.create(std::sync::Weak::new(), Winsize::default(), 0).unwrap();
    let (a, b) = (new(), new());
    assert_eq!(registry.give(a.pty(), Pid(5), Pid(5)), Ok(()));
    assert_eq!(registry.give(a.pty(), Pid(6), Pid(6)), Err(Errno::EPERM));
    assert_eq!(registry.give(b.pty(), Pid(5), Pid(5)), Err(Errno::EPERM));
    assert_eq!(registry.of_session(Pid(5)).unwrap().index(), 0);
    drop(a);
    assert!(registry.of_session(Pid(5)).is_none());
    assert_eq!(registry.give(b.pty(), Pid(5), Pid(5)), Ok(()));
}

/// Whatever is typed, set and read in whatever order: no panic, and every queue stays within its bound.
#[test]
fn random_use_stays_within_bounds() {
    use rand::{Rng, SeedableRng, rngs::StdRng};
    for seed in 0..8 {
        let mut random = StdRng::seed_from_u64(seed);
        let (master, slave) = pair();
        let mut buf = vec![0; 3000];
        for _ in 0..300 {
            match random.random_range(0..8) {
                0 => {
                    let mut termios = Termios::default();
                    termios.iflag ^= random.random::<u32>() & random.random::<u32>() & 0o77777;
                    termios.oflag ^= random.random::<u32>() & random.random::<u32>() & 0o177_777;
                    termios.lflag ^= random.random::<u32>() & random.random::<u32>() & 0o177_777;
                    termios.cc[random.random_range(0..17)] = random.random();
                    master.pty().set_termios(&termios, random.random_bool(0.2));
                }
                1 => master.pty().hold(random.random_bool(0.3)),
                2 | 3 => {
                    let n = random.random_range(0..buf.len());
                    let _ = slave.try_read(&mut buf[..n]);
                }
                4 => {
                    let n = random.random_range(0..buf.len());
                    let _ = master.try_read(&mut buf[..n]);
                }
                5 => {
                    let data: Vec<u8> =
                        (0..random.random_range(0..20_000)).map(|_| random.random()).collect();
                    let _ = slave.try_write(&data);
                }
                _ => {
                    // Mostly control characters and letters, which do more than others.
                    let most = if random.random_bool(0.5) { 32 } else { 255 };
                    let data: Vec<u8> = (0..3000).map(|_| random.random_range(0..=most)).collect();
                    let _ = master.try_write(&data);
                }
            }
        }
        master.pty().hold(false);
        let mut all = vec![0; 4 * OUTPUT_BYTES];
        let shown = master.try_read(&mut all).unwrap_or(0);
        assert!(shown <= OUTPUT_BYTES + INPUT_BYTES, "{shown}");
        let mut raw = Termios::default();
        raw.make_raw();
        master.pty().set_termios(&raw, false);
        assert!(slave.try_read(&mut all).unwrap_or(0) <= INPUT_BYTES);
    }
}
