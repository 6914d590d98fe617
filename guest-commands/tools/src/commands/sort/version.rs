//! The order of `-V`: runs of digits by their value, a tilde before the end, and suffixes such as `.tar.gz` last. It compares
//! and parses no more.

use std::cmp::Ordering;

/// Compares two names.
pub(super) fn compare(a: &[u8], b: &[u8]) -> Ordering {
    match (a.first(), b.first()) {
        (None, None) => return Ordering::Equal,
        (None, _) => return Ordering::Less,
        (_, None) => return Ordering::Greater,
        (Some(b'.'), Some(b'.')) => {
            // `.`, then `..`, then what is hidden.
            let special = |name: &[u8]| match name {
                b"." => 0,
                b".." => 1,
                _ => 2,
            };
            let (left, right) = (special(a), special(b));
            if left < 2 || right < 2 {
                return left.cmp(&right);
            }
        }
        (Some(b'.'), _) => return Ordering::Less,
        (_, Some(b'.')) => return Ordering::Greater,
        _ => {}
    }
    let (left, right) = (stem(a), stem(b));
    let order = parts(&a[..left], &b[..right]);
    if order.is_eq() && (left < a.len() || right < b.len()) { parts(a, b) } else { order }
}

/// The length without the longest end that is made of suffixes: a dot, a letter or tilde, and more of them or digits.
fn stem(name: &[u8]) -> usize {
    let mut at = name.len();
    let mut found = at;
    while at > 0 {
        at -= 1;
        match name[at] {
            b'.' if at + 1 < found && (name[at + 1].is_ascii_alphabetic() || name[at + 1] == b'~') => {
                found = at
            }
            b if b.is_ascii_alphanumeric() || b == b'~' => {}
            _ => break,
        }
    }
    // A hidden name is no suffix.
    if found == 0 { name.len() } else { found }
}

fn weight(name: &[u8], at: usize) -> i32 {
    match name.get(at) {
        None => -1,
        Some(b'~') => -2,
        Some(b) if b.is_ascii_digit() => 0,
        Some(b) if b.is_ascii_alphabetic() => i32::from(*b),
        Some(b) => i32::from(*b) + 256,
    }
}

fn parts(a: &[u8], b: &[u8]) -> Ordering {
    let digit = |name: &[u8], at: usize| name.get(at).is_some_and(u8::is_ascii_digit);
    let (mut i, mut j) = (0, 0);
    while i < a.len() || j < b.len() {
        while (i < a.len() && !digit(a, i)) || (j < b.len() && !digit(b, j)) {
            let order = weight(a, i).cmp(&weight(b, j));
            if order.is_ne() {
                return order;
            }
            i += 1;
            j += 1;
        }
        while a.get(i) == Some(&b'0') {
            i += 1;
        }
        while b.get(j) == Some(&b'0') {
            j += 1;
        }
        let mut first = Ordering::Equal;
        while digit(a, i) && digit(b, j) {
            first = first.then(a[i].cmp(&b[j]));
            i += 1;
            j += 1;
        }
        match (digit(a, i), digit(b, j)) {
            (true, _) => return Ordering::Greater,
            (_, true) => return Ordering::Less,
            _ if first.is_ne() => return first,
            _ => {}
        }
    }
    Ordering::Equal
}

#[cfg(test)]
mod tests {
    use super::compare;
    use std::cmp::Ordering;

    #[test]
    fn versions() {
        let sorted = [
            "",
            ".",
            "..",
            ".a",
            "a1.2~",
            "a1.2",
            "a1.9.tar.gz",
            "a1.10.tar.gz",
            "a-1~",
            "a-1",
            "a-2",
            "a-10",
        ];
        for pair in sorted.windows(2) {
            assert_eq!(compare(pair[0].as_bytes(), pair[1].as_bytes()), Ordering::Less, "{pair:?}");
        }
    }
}
