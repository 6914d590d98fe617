//! Brace expansion, on text as written and before anything else. It knows quotes only to leave them alone.

use crate::source::skip::Skipper;

/// How many words one word may become. One that would become more stays as it is, as in bash when memory ends.
const MAX_WORDS: usize = 1_000_000;
/// Bytes of padded words that one sequence makes.
const MAX_BYTES: usize = 64 << 20;

/// The words that `raw` stands for; itself if it has no braces to expand.
pub(crate) fn expand(raw: &str) -> Vec<String> {
    if !raw.contains('{') {
        return vec![raw.to_owned()];
    }
    let mut out = Vec::new();
    expand_into(raw, &mut out, 0);
    if out.len() > MAX_WORDS { vec![raw.to_owned()] } else { out }
}

fn expand_into(raw: &str, out: &mut Vec<String>, depth: u32) {
    let s = Skipper::new(raw);
    let mut i = 0;
    while i < s.b.len() && depth < 50 {
        match s.b[i] {
            b'{' => {
                if let Some((end, alternatives)) = group(&s, i) {
                    let (prefix, suffix) = (&raw[..i], &raw[end..]);
                    let mut tails = Vec::new();
                    expand_into(suffix, &mut tails, depth + 1);
                    for alternative in alternatives {
                        let mut middles = Vec::new();
                        expand_into(&alternative, &mut middles, depth + 1);
                        for middle in middles {
                            for tail in &tails {
                                // One too many is enough to know.
                                if out.len() > MAX_WORDS {
                                    return;
                                }
                                out.push(format!("{prefix}{middle}{tail}"));
                            }
                        }
                    }
                    return;
                }
                i += 1;
            }
            _ => i = step(&s, i),
        }
    }
    out.push(raw.to_owned());
}

/// Past whatever is at `i`: a quote, an expansion or a character.
fn step(s: &Skipper<'_>, i: usize) -> usize {
    let end = match s.b[i] {
        b'\\' => Ok(s.char_end(i + 1)),
        b'\'' => s.single(i),
        b'"' => s.double(i),
        b'`' => s.backquote(i),
        b'$' => s.dollar(i, false),
        b'<' | b'>' if s.at(i + 1) == b'(' => s.command(i + 2),
        _ => Ok(s.char_end(i)),
    };
    end.unwrap_or(i + 1).min(s.b.len())
}

/// The group at `i`: the position after it and its alternatives.
fn group(s: &Skipper<'_>, start: usize) -> Option<(usize, Vec<String>)> {
    let mut parts = Vec::new();
    let (mut from, mut i, mut depth) = (start + 1, start + 1, 0u32);
    while i < s.b.len() {
        match s.b[i] {
            b'{' => {
                depth += 1;
                i += 1;
            }
            b'}' if depth > 0 => {
                depth -= 1;
                i += 1;
            }
            b'}' => {
                let last = &s.src[from..i];
                if parts.is_empty() {
                    return sequence(last).map(|words| (i + 1, words));
                }
                parts.push(last.to_owned());
                return Some((i + 1, parts));
            }
            b',' if depth == 0 => {
                parts.push(s.src[from..i].to_owned());
                i += 1;
                from = i;
            }
            _ => i = step(s, i),
        }
    }
    None
}

/// `a..b` or `a..b..step`.
fn sequence(text: &str) -> Option<Vec<String>> {
    let mut fields = text.split("..");
    let (from, to, step) = (fields.next()?, fields.next()?, fields.next());
    if fields.next().is_some() {
        return None;
    }
    let step = match step {
        Some(step) => step.parse::<i64>().ok()?,
        None => 1,
    };
    let step = i128::from(if step == 0 { 1 } else { step.unsigned_abs().min(i64::MAX as u64) as i64 });
    if let (Ok(a), Ok(b)) = (from.parse::<i64>(), to.parse::<i64>()) {
        let padded = |t: &str| {
            let digits = t.trim_start_matches(['-', '+']);
            digits.len() > 1 && digits.starts_with('0')
        };
        let width = if padded(from) || padded(to) { from.len().max(to.len()) } else { 0 };
        let (a, b) = (i128::from(a), i128::from(b));
        let count = (b - a).abs() / step + 1;
        let count = usize::try_from(count).ok().filter(|n| *n <= MAX_WORDS)?;
        // Formatting takes no larger width, and the words are bounded together.
        if width > 65_000 || width.saturating_mul(count) > MAX_BYTES {
            return None;
        }
        let sign = if b >= a { step } else { -step };
        let word = |n: i128| {
            if n < 0 { format!("-{:0>1$}", -n, width.saturating_sub(1)) } else { format!("{n:0>width$}") }
        };
        return Some((0..count).map(|k| word(a + sign * k as i128)).collect());
    }
    let letter = |t: &str| match t.as_bytes() {
        [c] if c.is_ascii_alphabetic() => Some(i128::from(*c)),
        _ => None,
    };
    let (a, b) = (letter(from)?, letter(to)?);
    let sign = if b >= a { step } else { -step };
    let count = ((b - a).abs() / step + 1) as usize;
    // A backslash among the characters quotes nothing but its own word away.
    let quote = |c: char| match c {
        '\\' => "''".to_owned(),
        c if c.is_ascii_alphanumeric() => c.to_string(),
        c => format!("\\{c}"),
    };
    Some((0..count).map(|k| quote((a + sign * k as i128) as u8 as char)).collect())
}

#[cfg(test)]
mod tests {
    use super::expand;

    fn check(raw: &str, expected: &str) {
        assert_eq!(expand(raw).join(" "), expected, "{raw}");
    }

    #[test]
    fn braces() {
        check("a{b,c}d", "abd acd");
        check("{a,b}{1,2}", "a1 a2 b1 b2");
        check("{1..4}", "1 2 3 4");
        check("{4..1..2}", "4 2");
        check("{01..3}", "01 02 03");
        check("{a..e..2}", "a c e");
        check("{a}", "{a}");
        check("{}", "{}");
        check("a{b,{c,d}}", "ab ac ad");
        check("\"{a,b}\"", "\"{a,b}\"");
        check("${x,y}", "${x,y}");
        check("{a,b", "{a,b");
        check("{,x}y", "y xy");
        check("{1..2000000}", "{1..2000000}");
        assert_eq!(expand("{1..150000}").len(), 150_000);
        assert_eq!(expand("{1..1000}{1..1000}{1..2}"), ["{1..1000}{1..1000}{1..2}"]);
    }
}
