//! One pass over a line before it is parsed: how deep it nests, and two things that JSON allows and readers of it choke
//! on. It checks no syntax.
//!
//! Payloads are passed on as the agent wrote them, and read by others: by one unreadable value an agent could make its
//! whole session unreadable. So a number no `f64` can hold becomes `null`, as JavaScript writes it, and half a surrogate
//! pair (agents that stream UTF-16 cut pairs in two) becomes U+FFFD. Both fit into the place of what they replace.

use std::borrow::Cow;

use crate::Limits;

/// Digits up to which a number without an exponent is always in range.
const DIGITS: usize = 300;

/// The line, mended where needed; `None` if it nests too deep. serde_json's own limit does not hold for values that it
/// skips or keeps raw.
pub(crate) fn mend(line: &[u8]) -> Option<Cow<'_, [u8]>> {
    let (mut depth, mut digits, mut doubtful) = (0_usize, 0_usize, false);
    let mut at = 0;
    while let Some(byte) = line.get(at) {
        at += 1;
        match byte {
            b'"' => {
                let (end, surrogates) = string_end(line, at);
                doubtful |= surrogates;
                at = end;
                digits = 0;
            }
            b'{' | b'[' => {
                depth += 1;
                if depth > Limits::MAX_JSON_DEPTH {
                    return None;
                }
                digits = 0;
            }
            b'}' | b']' => {
                depth = depth.saturating_sub(1);
                digits = 0;
            }
            b'0'..=b'9' | b'.' => {
                digits += 1;
                doubtful |= digits > DIGITS;
            }
            b'e' | b'E' => doubtful |= digits > 0,
            _ => digits = 0,
        }
    }
    Some(if doubtful { Cow::Owned(mended(line)) } else { Cow::Borrowed(line) })
}

/// Where the string that begins at `at` ends, and whether there are surrogates in it.
fn string_end(line: &[u8], mut at: usize) -> (usize, bool) {
    let mut surrogates = false;
    while let Some(byte) = line.get(at) {
        match byte {
            b'"' => return (at + 1, surrogates),
            b'\\' => {
                surrogates |= surrogate(line, at).is_some();
                at += 2;
            }
            _ => at += 1,
        }
    }
    (at, surrogates)
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Half {
    High,
    Low,
}

/// Half of a surrogate pair that is escaped at `at`.
fn surrogate(line: &[u8], at: usize) -> Option<Half> {
    let [b'\\', b'u', b'd' | b'D', second, third, fourth] = line.get(at..at + 6)? else { return None };
    if !third.is_ascii_hexdigit() || !fourth.is_ascii_hexdigit() {
        return None;
    }
    match second.to_ascii_lowercase() {
        b'8' | b'9' | b'a' | b'b' => Some(Half::High),
        b'c'..=b'f' => Some(Half::Low),
        _ => None,
    }
}

fn mended(line: &[u8]) -> Vec<u8> {
    let mut out = line.to_vec();
    let mut at = 0;
    while let Some(byte) = line.get(at) {
        match byte {
            b'"' => {
                let (end, surrogates) = string_end(line, at + 1);
                if surrogates {
                    mend_string(&mut out, at + 1, end.min(line.len()));
                }
                at = end;
            }
            b'-' | b'0'..=b'9' => {
                let length = line[at..]
                    .iter()
                    .take_while(|b| matches!(b, b'0'..=b'9' | b'+' | b'-' | b'.' | b'e' | b'E'))
                    .count();
                let token = &mut out[at..at + length];
                let value = std::str::from_utf8(token).ok().and_then(|text| text.parse::<f64>().ok());
                // Numbers out of range are longer than `null`.
                if let (Some(value), Some((null, rest))) = (value, token.split_first_chunk_mut::<4>())
                    && value.is_infinite()
                {
                    *null = *b"null";
                    rest.fill(b' ');
                }
                at += length;
            }
            _ => at += 1,
        }
    }
    out
}

fn mend_string(line: &mut [u8], mut at: usize, end: usize) {
    while at < end {
        if line[at] != b'\\' {
            at += 1;
            continue;
        }
        match surrogate(line, at) {
            None => at += 2,
            Some(Half::High) if surrogate(line, at + 6) == Some(Half::Low) => at += 12,
            Some(_) => {
                line[at + 2..at + 6].copy_from_slice(b"fffd");
                at += 6;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(line: &str, want: &str) {
        let got = mend(line.as_bytes()).unwrap();
        assert_eq!(String::from_utf8_lossy(&got), want, "{line}");
    }

    #[test]
    fn unreadable_numbers_become_null_and_others_stay() {
        check("[1e400]", "[null ]");
        check(r#"{"a":-1E+999,"b":1}"#, r#"{"a":null   ,"b":1}"#);
        let long = "9".repeat(400);
        check(&format!("[{long},1]"), &format!("[null{},1]", " ".repeat(396)));
        let fits = "9".repeat(305);
        for line in [
            "[1e308,1e-999,-0,0.5,18446744073709551616]",
            r#"{"e1":true,"x":"1e400 \" 1e400","y":false}"#,
            "[1e]",
            "1e",
            &format!("[{fits}]"),
        ] {
            check(line, line);
        }
    }

    #[test]
    fn lone_surrogates_are_replaced_and_pairs_stay() {
        check(r#"["\ud83d"]"#, r#"["\ufffd"]"#);
        check(r#"["\uDE00x\ud83d\ude00"]"#, r#"["\ufffdx\ud83d\ude00"]"#);
        check(r#"["\ud83d\ud83d\ude00"]"#, r#"["\ufffd\ud83d\ude00"]"#);
        for line in [r#"["\\ud83d"]"#, r#"["\u00e4"]"#, r#"["\ud83"]"#, r#"["\ud83d"#, r#"["\"#, r#"["\ud"#] {
            let got = mend(line.as_bytes()).unwrap();
            assert_eq!(got.len(), line.len());
            if line != r#"["\ud83d"# {
                assert_eq!(&*got, line.as_bytes(), "{line}");
            }
        }
    }

    proptest::proptest! {
        #[test]
        fn what_can_be_read_raw_can_be_read_as_a_value(
            text in r#"[\[]("(\\u(d8|DC|00)[0-9a-f]{2}|a|\\\\|\\")*"|-?[1-9][0-9]{0,3}(\.[0-9])?([eE][+-]?[0-9]{1,3})?)[\]]"#
        ) {
            let line = mend(text.as_bytes()).unwrap();
            proptest::prop_assert_eq!(line.len(), text.len());
            if serde_json::from_slice::<Box<serde_json::value::RawValue>>(text.as_bytes()).is_ok() {
                proptest::prop_assert!(serde_json::from_slice::<serde_json::Value>(&line).is_ok(), "{}", text);
            }
        }

        #[test]
        fn any_bytes_are_passed_without_panic(bytes in proptest::collection::vec(proptest::num::u8::ANY, 0..300)) {
            let _ = mend(&bytes).map(|line| assert_eq!(line.len(), bytes.len()));
        }

        #[test]
        fn any_escapes_are_passed_without_panic(text in r#"["\\ud8cDe0-9.\[\]]{0,60}"#) {
            let _ = mend(text.as_bytes()).map(|line| assert_eq!(line.len(), text.len()));
        }
    }
}
