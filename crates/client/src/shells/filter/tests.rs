//! The filter: what passes and what does not, as a table; and for any bytes, that pieces make no difference and that
//! nothing forbidden comes out.

use proptest::prelude::*;

use super::{ESC, TerminalFilter, TerminalPolicy};

const NOTHING: TerminalPolicy = TerminalPolicy { title: false, clipboard: false, answers: false };
const ALL: TerminalPolicy = TerminalPolicy { title: true, clipboard: true, answers: true };

fn filtered(input: &[u8], policy: TerminalPolicy) -> Vec<u8> {
    let (mut filter, mut out) = (TerminalFilter::new(policy), Vec::new());
    filter.feed(input, &mut out);
    out
}

#[track_caller]
fn check(input: &str, expect: &str, policy: TerminalPolicy) {
    let got = filtered(input.as_bytes(), policy);
    assert_eq!(String::from_utf8_lossy(&got), expect, "from {input:?}");
    for cut in 0..=input.len() {
        let (mut filter, mut out) = (TerminalFilter::new(policy), Vec::new());
        filter.feed(&input.as_bytes()[..cut], &mut out);
        filter.feed(&input.as_bytes()[cut..], &mut out);
        assert_eq!(out, got, "{input:?} cut at {cut}");
    }
}

#[test]
fn drawing_passes() {
    for text in [
        "plain text\r\n\ttab\x08\x07",
        "größer 漢字 🦀 \u{a0}",
        "\x1b[1;31mred\x1b[0m \x1b[38;2;1;2;3m\x1b[48:5:9m\x1b[4:3m",
        "\x1b[H\x1b[2J\x1b[K\x1b[10;20H\x1b[5A\x1b[3L\x1b[2M\x1b[4P\x1b[@\x1b[X\x1b[S\x1b[T\x1b[b",
        "\x1b7\x1b8\x1bM\x1bD\x1bE\x1bH\x1b[s\x1b[u\x1b[3;20r\x1b[3g",
        "\x1b(0lqk\x1b(B\x0e\x0f\x1b#8",
        "\x1b[?25l\x1b[?25h\x1b[?1049h\x1b[?1049l\x1b[?7l\x1b[?1h\x1b=\x1b>\x1b[4h\x1b[4l",
        "\x1b[?1000;1006h\x1b[?2004h\x1b[?2004l\x1b[?2026h",
        "\x1b[2 q\x1b[!p\x1b[1\"q\x1b[2 @\x1b[1'}\x1b[1;1;5;5$z",
        "\x1b[6n\x1b[5n\x1b[c\x1b[0c\x1b[>c\x1b[?6n",
        "\x1b]8;id=1;https://example.org/a?b\x1b\\link\x1b]8;;\x1b\\",
        "\x1b]8;;http://example.org\x07link\x1b]8;;\x07",
    ] {
        check(text, text, NOTHING);
        check(text, text, ALL);
    }
}

#[test]
fn what_is_allowed_passes_and_else_does_not() {
    for (text, policy) in [
        ("\x1b]0;title\x07", TerminalPolicy { title: true, ..NOTHING }),
        ("\x1b]2;títle\x1b\\", TerminalPolicy { title: true, ..NOTHING }),
        ("\x1b[22;0;0t\x1b[23;0;0t", TerminalPolicy { title: true, ..NOTHING }),
        ("\x1b]52;c;aGVsbG8=\x07", TerminalPolicy { clipboard: true, ..NOTHING }),
        ("\x05", TerminalPolicy { answers: true, ..NOTHING }),
        ("\x1bZ\x1b[=c\x1b[>q\x1b[?2026$p\x1b[4$p", TerminalPolicy { answers: true, ..NOTHING }),
        ("\x1b]11;?\x07\x1b]4;12;?\x1b\\", TerminalPolicy { answers: true, ..NOTHING }),
        ("\x1bP$qm\x1b\\\x1bP+q544e;524742\x1b\\", TerminalPolicy { answers: true, ..NOTHING }),
    ] {
        check(&format!("a{text}b"), &format!("a{text}b"), policy);
        check(&format!("a{text}b"), "ab", NOTHING);
    }
}

#[test]
fn what_acts_on_the_terminal_never_passes() {
    for text in [
        // The clipboard and the title are not read.
        "\x1b]52;c;?\x07",
        "\x1b]52;c;not base64!\x07",
        "\x1b[21t",
        "\x1b[20t",
        // The window.
        "\x1b[8;50;100t",
        "\x1b[2t",
        "\x1b[?3h",
        "\x1b[?1042;1043h",
        // Printing, the keyboard, lines scrolled away, character encoding, 8-bit answers.
        "\x1b[5i",
        "\x1b[?5i",
        "\x1b[2h",
        "\x1b[12l",
        "\x1b[20h",
        "\x1b[3J",
        "\x1b%@",
        "\x1b G",
        "\x12\x14\x00\x7f\x11\x13",
        // What makes keys send something else and is not undone.
        "\x1b[>4;2m",
        "\x1b[>1u",
        "\x1b[?u",
        // Settings, tests, reports.
        "\x1b[x",
        "\x1b[2;1y",
        "\x1b[61\"p",
        "\x1b[?15n",
        "\x1b[1;1;1;1;1;1*y",
        "\x1b[1;2;3;4;5T",
        // Strings.
        "\x1bPq#0;2;0;0;0~\x1b\\",
        "\x1bPtmux;\x1b\x1b\\",
        "\x1bP$q|\x1b\\",
        "\x1bP+qzz\x1b\\",
        "\x1b_Gf=24;AAAA\x1b\\",
        "\x1b^private\x1b\\",
        "\x1bXstart\x1b\\",
        "\x1bktitle\x1b\\",
        "\x1b]4;1;#ff0000\x07",
        "\x1b]10;red\x07",
        "\x1b]104\x07",
        "\x1b]7;file:///etc\x07",
        "\x1b]9;note\x07",
        "\x1b]133;A\x07",
        "\x1b]1337;File=:AAAA\x07",
        "\x1b]777;notify;a;b\x1b\\",
        "\x1b]8;;file:///etc/passwd\x07",
        "\x1b]8;;javascript:alert(1)\x07",
        "\x1b]0;two\nlines\x07",
        "\x1b]0;c1 \u{9b}31m\x07",
        // Not well formed.
        "\x1b[1?2h",
        "\x1b[1 2m",
        "\x1b[123456A",
        "\x1b(%5",
    ] {
        check(&format!("a{text}b"), "ab", ALL);
        check(&format!("a{text}b"), "ab", NOTHING);
    }
}

#[test]
fn c1_controls_are_what_they_stand_for() {
    check("\u{9b}31mred", "\x1b[31mred", NOTHING);
    check("a\u{9d}0;title\u{9c}b", "ab", NOTHING);
    check("a\u{9d}0;title\u{9c}b", "a\x1b]0;title\x1b\\b", ALL);
    check("a\u{90}q data\u{9c}b", "ab", ALL);
    check("a\u{85}b", "a\x1bEb", NOTHING);
    // ST within a character is none.
    check("\x1b]0;Ü\x07", "\x1b]0;Ü\x07", ALL);
}

#[test]
fn what_is_no_utf8_is_replaced() {
    for (bytes, expect) in [
        (&b"a\x9b31mb"[..], "a\u{fffd}31mb"),
        (b"\xff\xfe", "\u{fffd}\u{fffd}"),
        (b"\xe2\x82a", "\u{fffd}a"),
        (b"\xe2\x82\xac", "€"),
        (b"\xc3\x1b[m", "\u{fffd}\x1b[m"),
        (b"\xed\xa0\x80", "\u{fffd}\u{fffd}\u{fffd}"),
        // A sequence is given up at it.
        (b"\x1b[3\xc3\xa41m", "ä1m"),
    ] {
        assert_eq!(String::from_utf8_lossy(&filtered(bytes, NOTHING)), expect, "{bytes:?}");
    }
}

#[test]
fn sequences_are_cut_short_as_a_terminal_does() {
    check("a\x1b[3\x181mb", "a1mb", NOTHING);
    check("a\x1b[3\x1b[1mb", "a\x1b[1mb", NOTHING);
    check("a\x1b]0;never ended\x1b[1mb", "a\x1b[1mb", NOTHING);
    check("a\x1bPnever ended\x1ab", "ab", NOTHING);
    // A control in the middle is obeyed at once.
    check("a\x1b[3\r\n1mb", "a\r\n\x1b[31mb", NOTHING);
    check("a\x1b[3\x051mb", "a\x1b[31mb", NOTHING);
}

#[test]
fn only_known_modes_of_a_list_pass() {
    check("\x1b[?25;3;1049;9999h", "\x1b[?25;1049h", NOTHING);
    check("\x1bc", "\x1b[!p\x1b[H\x1b[2J", NOTHING);
}

#[test]
fn what_is_held_is_bounded() {
    for (start, policy, most) in
        [("\x1b]0;", NOTHING, 8 << 10), ("\x1b]52;c;", ALL, 2 << 20), ("\x1b[", ALL, 8 << 10)]
    {
        let (mut filter, mut out) = (TerminalFilter::new(policy), Vec::new());
        filter.feed(start.as_bytes(), &mut out);
        for _ in 0..4096 {
            filter.feed(&[b'1'; 1024], &mut out);
        }
        assert!(filter.held.capacity() <= most, "{start:?} holds {}", filter.held.capacity());
        filter.feed(b"\x07m\x1b\\after", &mut out);
        assert!(out.ends_with(b"after") && out.len() < 16, "{}", out.len());
        assert!(filter.held.capacity() <= 8 << 10);
    }
}

#[test]
fn what_is_left_on_is_undone_once() {
    let undone = |input: &str| {
        let (mut filter, mut out) = (TerminalFilter::new(NOTHING), Vec::new());
        filter.feed(input.as_bytes(), &mut out);
        out.clear();
        filter.finish(&mut out);
        let mut again = Vec::new();
        filter.finish(&mut again);
        assert_eq!(again, b"");
        String::from_utf8(out).unwrap()
    };
    assert_eq!(undone("text"), "");
    assert_eq!(undone("\x1b[?1049h\x1b[?25l\x1b[?1002;1006h"), "\x1b[?1049l\x1b[?1002l\x1b[?1006l\x1b[?25h");
    assert_eq!(undone("\x1b[?1049h\x1b[?1049l\x1b[?25l\x1b[?25h\x1b[?2004h\x1b[?2004l"), "");
    assert_eq!(undone("\x1b[31mred"), "\x1b[m");
    assert_eq!(undone("\x1b[2;5r\x1b=\x1b[4h"), "\x1b7\x1b[r\x1b8\x1b[4l\x1b>");
    assert_eq!(undone("\x1b(0\x1b[5 q"), "\x1b(B\x1b[0 q");
    assert_eq!(undone("\x1b)0\x0e"), "\x0f\x1b)B");
    assert_eq!(undone("\x1b(0\x1b(B\x0e\x0f\x1b[1\"q\x1b[0\"q"), "");
    assert_eq!(undone("\x1b[1\"q"), "\x1b[0\"q");
    assert_eq!(undone("\x1b]8;;https://a\x07open"), "\x1b]8;;\x1b\\");
    assert_eq!(undone("half a \x1b]0;tit"), "");
    assert_eq!(undone("half a \u{20ac}"), "");
}

#[test]
fn tab_stops_are_set_anew() {
    for input in ["\x1b[3g", "\x1b[5C\x1bH", "\x1b[?69h\x1b[5;9s\x1b[0g"] {
        let (mut filter, mut out) = (TerminalFilter::new(NOTHING), Vec::new());
        filter.feed(input.as_bytes(), &mut out);
        out.clear();
        filter.finish(&mut out);
        let mut stops = [false; 200];
        let (mut column, mut rest) = (7, &out[..]);
        let mut kept = column;
        while !rest.is_empty() {
            let (taken, last) = match rest {
                [b'\r', ..] => (1, b'\r'),
                [ESC, b'[', tail @ ..] => {
                    let end = tail.iter().position(u8::is_ascii_alphabetic).unwrap();
                    (end + 3, tail[end])
                }
                [ESC, last, ..] => (2, *last),
                other => panic!("{other:?}"),
            };
            match (&rest[..taken], last) {
                (_, b'\r') => column = 0,
                (b"\x1b[3g", _) => stops.fill(false),
                (b"\x1b[0g", _) => stops[column] = false,
                (b"\x1b[8C", _) => column = (column + 8).min(stops.len() - 1),
                (b"\x1bH", _) => stops[column] = true,
                (b"\x1b7", _) => kept = column,
                (b"\x1b8", _) => column = kept,
                (_, b'l' | b'r') => {}
                (other, _) => panic!("{other:?}"),
            }
            rest = &rest[taken..];
        }
        assert_eq!(column, 7);
        let set: Vec<usize> = (0..stops.len()).filter(|at| stops[*at]).collect();
        assert_eq!(set, (8..stops.len()).step_by(8).collect::<Vec<_>>());
    }
}

#[test]
fn what_nobody_knows_the_terminal_has_seen_is_undone_all_the_same() {
    let (mut filter, mut out) = (TerminalFilter::new(NOTHING), Vec::new());
    filter.feed(b"\x1b[?1049h\x1b[?1049l\x1b[4h\x1b[4l\x1b[?25l", &mut out);
    out.clear();
    filter.finish(&mut out);
    assert_eq!(out, b"\x1b[?25h");
    out.clear();
    filter.undo_all(&mut out);
    assert_eq!(out, b"\x1b[?1049l\x1b[?25h\x1b[4l");
}

#[test]
fn it_tells_when_the_terminal_will_answer() {
    let (mut filter, mut out) = (TerminalFilter::new(NOTHING), Vec::new());
    filter.feed(b"\x1b[31m\x1b[?2026$p\x05", &mut out);
    assert!(!filter.take_asked());
    filter.feed(b"\x1b[6", &mut out);
    assert!(!filter.take_asked());
    filter.feed(b"n", &mut out);
    assert!(filter.take_asked() && !filter.take_asked());
}

/// Looks at what came out with other eyes: sequence by sequence, each against a short list.
fn forbidden(out: &[u8], policy: TerminalPolicy) -> Option<String> {
    let text = match std::str::from_utf8(out) {
        Ok(text) => text,
        Err(error) => return Some(error.to_string()),
    };
    let mut rest = text;
    while let Some(c) = rest.chars().next() {
        let after = &rest[c.len_utf8()..];
        if c == '\x05' && policy.answers {
            rest = after;
            continue;
        }
        if c != '\x1b' {
            if c.is_control() && !"\x07\x08\t\n\x0b\x0c\r\x0e\x0f".contains(c) {
                return Some(format!("{c:?}"));
            }
            rest = after;
            continue;
        }
        let Some(kind) = after.chars().next() else { return Some("an ESC at the end".into()) };
        let (length, fine) = match kind {
            '[' => {
                let Some(end) = after[1..].find(|c| ('\x40'..='\x7e').contains(&c)) else {
                    return Some("an unfinished CSI".into());
                };
                let end = end + 2;
                let (body, last) = (&after[1..end - 1], &after[end - 1..end]);
                let plain = body.bytes().all(|b| b.is_ascii_digit() || b == b';' || b == b':');
                let fine = match last {
                    "n" => matches!(body, "5" | "6" | "?6"),
                    "t" => {
                        body.ends_with('$')
                            || (policy.title && (body.starts_with("22") || body.starts_with("23")))
                    }
                    "J" => !body.contains('3'),
                    "h" | "l" => body == "4" || body.starts_with('?'),
                    "c" => matches!(body, "" | "0" | ">" | ">0") || (policy.answers && body.starts_with('=')),
                    "p" => body == "!" || (policy.answers && body.ends_with('$')),
                    "q" => body.ends_with([' ', '"']) || (policy.answers && body.starts_with('>')),
                    "i" | "x" | "y" | "w" => body.ends_with('$') && last == "x",
                    _ => plain || body.starts_with('?') && last == "K" || body.ends_with([' ', '\'', '$']),
                };
                (end, fine)
            }
            ']' => {
                let end = after.find(['\x07', '\x1b']).unwrap_or(after.len());
                let body = &after[1..end];
                let close = if after[end..].starts_with('\x07') { 1 } else { 2 };
                let fine = body.starts_with("8;")
                    || (policy.title && ["0;", "1;", "2;"].iter().any(|n| body.starts_with(n)))
                    || (policy.clipboard && body.starts_with("52;") && !body.contains('?'))
                    || (policy.answers && body.ends_with('?'));
                (end + close, fine && after.len() >= end + close)
            }
            'P' => {
                let end = after.find('\x1b').unwrap_or(after.len());
                (end + 2, policy.answers && after.len() >= end + 2)
            }
            '(' | ')' | '*' | '+' | '#' => (2, after.len() >= 2),
            'Z' => (1, policy.answers),
            other => (1, "6789DEHM=>".contains(other)),
        };
        if !fine {
            return Some(format!("ESC {:?}", &after[..length.min(after.len())]));
        }
        rest = &after[length..];
    }
    None
}

/// Bytes as a hostile program would send them: pieces of sequences between random ones.
fn hostile() -> impl Strategy<Value = Vec<u8>> {
    let piece = prop_oneof![
        4 => prop::sample::select(vec![
            "\x1b", "\x1b[", "\x1b]", "\x1bP", "\x1b\\", "\x07", "\u{9b}", "\u{9d}", "\u{9c}", "\u{90}", "\x18", "?", ">", "=",
            "$", " ", "\"", "0", "1", "2", "3", "5", "6", "8;", "52;c;", "4;", "22", "1049", "25", ";", ":", "h", "l", "m", "n",
            "t", "c", "p", "q", "u", "J", "i", "Z", "%", "(", "B", "\r", "\n", "\x05", "http://a", "$qm", "+q41", "aGk=", "é",
        ])
        .prop_map(|text| text.as_bytes().to_vec()),
        1 => prop::collection::vec(any::<u8>(), 0..6),
    ];
    prop::collection::vec(piece, 0..40).prop_map(|pieces| pieces.concat())
}

fn policy() -> impl Strategy<Value = TerminalPolicy> {
    any::<(bool, bool, bool)>().prop_map(|(title, clipboard, answers)| TerminalPolicy {
        title,
        clipboard,
        answers,
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2000))]

    #[test]
    fn pieces_make_no_difference(input in hostile(), policy in policy(), cuts in prop::collection::vec(any::<prop::sample::Index>(), 0..6)) {
        let whole = {
            let (mut filter, mut out) = (TerminalFilter::new(policy), Vec::new());
            filter.feed(&input, &mut out);
            filter.finish(&mut out);
            out
        };
        let mut cuts: Vec<usize> = cuts.iter().map(|cut| cut.index(input.len() + 1)).collect();
        cuts.extend([0, input.len()]);
        cuts.sort_unstable();
        let (mut filter, mut out) = (TerminalFilter::new(policy), Vec::new());
        for pair in cuts.windows(2) {
            filter.feed(&input[pair[0]..pair[1]], &mut out);
        }
        filter.finish(&mut out);
        prop_assert_eq!(out, whole);
    }

    #[test]
    fn nothing_forbidden_comes_out(input in hostile(), policy in policy()) {
        let mut filter = TerminalFilter::new(policy);
        let mut out = Vec::new();
        filter.feed(&input, &mut out);
        prop_assert_eq!(forbidden(&out, policy), None);
        // What has passed passes again, as it is.
        prop_assert_eq!(filtered(&out, policy), &out[..]);
        filter.finish(&mut out);
        prop_assert_eq!(forbidden(&out, policy), None);
    }

    #[test]
    fn text_passes_as_it_is(text in "[ -~\\r\\n\\tà-ÿ一-十]{0,200}") {
        let out = filtered(text.as_bytes(), NOTHING);
        prop_assert_eq!(&out[..], text.as_bytes());
    }
}
