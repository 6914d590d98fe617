//! Corrects a minor misspelling of a path: one character missing, too many or wrong, or two exchanged, in each name of it.

/// How many entries of a directory are looked at.
const MAX_ENTRIES: usize = 20_000;

/// The path of existing names that a path was meant to be; `None` if there is none, or nothing is wrong with it.
pub(crate) fn correct(path: &str) -> Option<String> {
    let mut out = String::new();
    for (i, part) in path.split('/').enumerate() {
        if i > 0 {
            out.push('/');
        }
        if matches!(part, "" | "." | "..") {
            out.push_str(part);
            continue;
        }
        let exact = format!("{out}{part}");
        if std::fs::symlink_metadata(&*crate::text::os(&exact)).is_ok() {
            out = exact;
            continue;
        }
        let place = if out.is_empty() { "." } else { &out };
        let entries = std::fs::read_dir(&*crate::text::os(place)).ok()?;
        let names = entries
            .take(MAX_ENTRIES)
            .filter_map(|entry| entry.ok().map(|entry| crate::text::from_os(entry.file_name())));
        let best = names
            .filter_map(|name| Some((distance(&name, part)?, name)))
            .min_by(|a, b| a.0.cmp(&b.0).then_with(|| a.1.cmp(&b.1)))?;
        out.push_str(&best.1);
    }
    (out != path).then_some(out)
}

/// How far two names are apart: 1 for exchanged characters, 2 for a wrong, 3 for a missing or superfluous one.
fn distance(name: &str, typed: &str) -> Option<u32> {
    let (a, b): (Vec<char>, Vec<char>) = (name.chars().collect(), typed.chars().collect());
    let same = a.iter().zip(&b).take_while(|(a, b)| a == b).count();
    let (a, b) = (&a[same..], &b[same..]);
    match (a, b) {
        ([], []) => Some(0),
        ([a1, a2, a3 @ ..], [b1, b2, b3 @ ..]) if a1 == b2 && a2 == b1 && a3 == b3 => Some(1),
        ([_, a @ ..], [_, b @ ..]) if a == b => Some(2),
        ([_, a @ ..], b) if a == b => Some(3),
        (a, [_, b @ ..]) if a == b => Some(3),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn distances() {
        for (name, typed, wanted) in [
            ("dir1", "dir1", Some(0)),
            ("dir1", "dri1", Some(1)),
            ("dir1", "dix1", Some(2)),
            ("dir1", "dr1", Some(3)),
            ("dir1", "dirr1", Some(3)),
            ("dir1", "other", None),
        ] {
            assert_eq!(distance(name, typed), wanted, "{name} {typed}");
        }
    }
}
