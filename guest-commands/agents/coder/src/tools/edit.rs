//! Replacing an exact piece of a text. Files are read and written in [`files`](super::files).

/// Lines of a file that a hint shows.
const SHOWN: usize = 20;

/// Comparisons of lines that a hint may cost.
const MAX_COMPARED: usize = 2_000_000;

/// A text that was changed.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Edited {
    pub(super) text: String,
    /// How often the old text was replaced.
    pub(super) times: usize,
    /// The line of the first change, from 1.
    pub(super) line: usize,
}

/// Replaces `old` by `new`: once, or everywhere with `all`. The error is for the model.
pub(super) fn replace(text: &str, old: &str, new: &str, all: bool) -> Result<Edited, String> {
    if old.is_empty() {
        return Err("old_text is empty; to make a file or to write it anew, use the tool write".to_owned());
    }
    if old == new {
        return Err("old_text and new_text are the same: nothing would change".to_owned());
    }
    // Models write lines as Unix has them, whatever the file has.
    let dos = text.contains("\r\n") && !old.contains('\r');
    let with_cr = |text: &str| text.replace('\n', "\r\n");
    let (old, new) = if dos && !text.contains(old) {
        (&*with_cr(old), &*with_cr(&new.replace("\r\n", "\n")))
    } else {
        (old, new)
    };
    let line_of = |at: usize| text[..at].matches('\n').count() + 1;
    let places: Vec<usize> = text.match_indices(old).map(|(at, _)| at).collect();
    match places[..] {
        [] => Err(missing(text, old)),
        [_, _, ..] if !all => {
            let lines: Vec<String> = places.iter().take(10).map(|at| line_of(*at).to_string()).collect();
            let more = if places.len() > 10 { ", …" } else { "" };
            Err(format!(
                "old_text is there {} times (lines {}{more}); add lines around it until it is there once, or set replace_all",
                places.len(),
                lines.join(", "),
            ))
        }
        [first, ..] => Ok(Edited { text: text.replace(old, new), times: places.len(), line: line_of(first) }),
    }
}

/// Why a text is not found, with what is nearest to it.
fn missing(text: &str, old: &str) -> String {
    let lines: Vec<&str> = text.lines().collect();
    let wanted: Vec<&str> = old.lines().collect();
    let full = wanted.iter().filter(|line| !line.trim().is_empty()).count();
    let Some((start, likeness, same)) = nearest(&lines, &wanted) else {
        return "old_text is not in the file; read the file again".to_owned();
    };
    let end = (start + wanted.len().min(SHOWN)).min(lines.len());
    let shown: Vec<String> =
        lines[start..end].iter().map(|line| line[..line.floor_char_boundary(400)].to_owned()).collect();
    let what = if same {
        "it differs in white space only from"
    } else if likeness * 10 >= full * 8 {
        "it is nearly the same as"
    } else {
        "nearest to it are"
    };
    format!("old_text is not in the file; {what} lines {} to {}:\n{}", start + 1, end, shown.join("\n"),)
}

/// The first line of the part of a file that is most like a text; how many lines of it are, up to white space; whether all.
fn nearest(lines: &[&str], wanted: &[&str]) -> Option<(usize, usize, bool)> {
    let squeeze = |line: &str| line.split_whitespace().collect::<Vec<_>>().join(" ");
    let wanted: Vec<String> = wanted.iter().map(|line| squeeze(line)).collect();
    let full = wanted.iter().filter(|line| !line.is_empty()).count();
    if full == 0 || lines.len().saturating_mul(wanted.len()) > MAX_COMPARED {
        return None;
    }
    let lines: Vec<String> = lines.iter().map(|line| squeeze(line)).collect();
    let alike = |start: usize| {
        let pairs = wanted.iter().zip(&lines[start..]);
        pairs.filter(|(a, b)| !a.is_empty() && a == b).count()
    };
    let best = (0..lines.len())
        .map(|start| (alike(start), start))
        .max_by_key(|(n, start)| (*n, usize::MAX - start))?;
    if best.0 > 0 {
        return Some((best.1, best.0, best.0 == full));
    }
    // No line is the same: the one with most words of the longest line that is wanted.
    let longest = wanted.iter().enumerate().max_by_key(|(_, line)| line.len())?;
    let words: Vec<&str> =
        longest.1.split(|c: char| !c.is_alphanumeric()).filter(|word| word.len() > 1).collect();
    let common = |line: &String| words.iter().filter(|word| line.contains(**word)).count();
    let (score, at) = lines
        .iter()
        .enumerate()
        .map(|(n, line)| (common(line), n))
        .max_by_key(|(n, at)| (*n, usize::MAX - at))?;
    (score * 2 >= words.len() && score > 0).then(|| (at.saturating_sub(longest.0), 0, false))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_are_replaced() {
        for (text, old, new, all, want, times, line) in [
            ("a\nb\nc\n", "b", "x", false, "a\nx\nc\n", 1, 2),
            ("a\nb\n", "b\n", "", false, "a\n", 1, 2),
            ("a a a", "a", "b", true, "b b b", 3, 1),
            ("x\nab\nab\n", "x\nab", "y", false, "y\nab\n", 1, 1),
            // Lines as DOS has them stay so.
            ("a\r\nb\r\nc\r\n", "a\nb", "x\ny\nz", false, "x\r\ny\r\nz\r\nc\r\n", 1, 1),
            ("a\r\nb\r\n", "b", "x", false, "a\r\nx\r\n", 1, 2),
            ("größe\n", "ö", "oe", false, "groeße\n", 1, 1),
        ] {
            let want = Edited { text: want.to_owned(), times, line };
            assert_eq!(replace(text, old, new, all), Ok(want), "{text:?} {old:?}");
        }
    }

    #[test]
    fn what_cannot_be_replaced_is_explained() {
        let file =
            "fn main() {\n    let answer = compute(6, 7);\n    println!(\"{answer}\");\n}\n\nfn other() {}\n";
        for (text, old, new, want) in [
            (file, "", "x", "old_text is empty"),
            (file, "main", "main", "are the same"),
            (file, "fn ", "x", "2 times (lines 1, 6); add lines"),
            (
                file,
                "\tlet answer = compute(6, 7);",
                "x",
                "white space only from lines 2 to 2:\n    let answer",
            ),
            (
                file,
                "let answer =  compute(6, 7);\nprintln!(\"{answer}\");",
                "x",
                "white space only from lines 2 to 3",
            ),
            (
                file,
                "fn main() {\n    let answer = compute(6, 8);\n    println!(\"{answer}\");\n}\n\nfn other() {}",
                "x",
                "nearly the same as lines 1 to 6",
            ),
            (file, "let answer = compute(1, 2, 3);", "x", "nearest to it are lines 2 to 2"),
            (file, "nothing like it", "x", "read the file again"),
            ("", "a", "b", "read the file again"),
            (file, "\n\n\n", "b", "read the file again"),
        ] {
            let error = replace(text, old, new, false).unwrap_err();
            assert!(error.contains(want), "{old:?}: {error}");
        }
        assert!(replace(&"a\n".repeat(50), "a", "b", false).unwrap_err().contains("8, 9, 10, …)"));
        // A large file costs no hint.
        let large = "line\n".repeat(100_000);
        assert!(
            replace(&large, &"x\n".repeat(1000), "y", false).unwrap_err().contains("read the file again")
        );
    }
}
