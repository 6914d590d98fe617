//! The text of a prompt cut into prose and commands: a fenced block whose language is `sh` is a command. It does not
//! look into the commands.

/// One piece of a prompt, in order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Step {
    /// Text between commands, trimmed, not empty.
    Prose(String),
    /// The inside of one `sh` block.
    Command(String),
}

/// Cuts a prompt. Fences follow CommonMark: at least three backticks, closed by a line of at least as many, or by the
/// end of the text; other languages are prose.
pub(crate) fn steps(text: &str) -> Vec<Step> {
    let mut steps = Vec::new();
    let mut prose = String::new();
    let mut lines = text.lines();
    while let Some(line) = lines.next() {
        let Some((ticks, language)) = fence(line) else {
            prose.push_str(line);
            prose.push('\n');
            continue;
        };
        let is_command = language.split_whitespace().next() == Some("sh");
        let mut body = String::new();
        let mut close = None;
        for inside in lines.by_ref() {
            if matches!(fence(inside), Some((n, "")) if n >= ticks) {
                close = Some(inside);
                break;
            }
            body.push_str(inside);
            body.push('\n');
        }
        if is_command {
            flush(&mut prose, &mut steps);
            if !body.trim().is_empty() {
                steps.push(Step::Command(body.trim_end().to_owned()));
            }
        } else {
            for part in [line, "\n", &body, close.unwrap_or_default(), "\n"] {
                prose.push_str(part);
            }
        }
    }
    flush(&mut prose, &mut steps);
    steps
}

fn flush(prose: &mut String, steps: &mut Vec<Step>) {
    let text = std::mem::take(prose);
    let text = text.trim();
    if !text.is_empty() {
        steps.push(Step::Prose(text.to_owned()));
    }
}

/// The number of backticks of a fence and what follows them.
fn fence(line: &str) -> Option<(usize, &str)> {
    let unindented = line.trim_start_matches(' ');
    let rest = unindented.trim_start_matches('`');
    let ticks = unindented.len() - rest.len();
    let indent = line.len() - unindented.len();
    (ticks >= 3 && indent <= 3 && !rest.contains('`')).then(|| (ticks, rest.trim()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(text: &str, want: &[(&str, &str)]) {
        let got: Vec<(&str, String)> = steps(text)
            .into_iter()
            .map(|step| match step {
                Step::Prose(text) => ("prose", text),
                Step::Command(text) => ("sh", text),
            })
            .collect();
        let want: Vec<(&str, String)> = want.iter().map(|(kind, text)| (*kind, (*text).to_owned())).collect();
        assert_eq!(got, want, "{text:?}");
    }

    #[test]
    fn prompts_are_cut_into_steps() {
        check("hello", &[("prose", "hello")]);
        check("", &[]);
        check("a\n```sh\nls\npwd\n```\nb", &[("prose", "a"), ("sh", "ls\npwd"), ("prose", "b")]);
        check("```sh\nls\n```\n```sh\npwd\n```", &[("sh", "ls"), ("sh", "pwd")]);
        check("  ```sh extra\r\nls\r\n  ```\r\n", &[("sh", "ls")]);
        check("```sh\nls", &[("sh", "ls")]);
        check("```sh\n\n```", &[]);
        check("````sh\necho '```'\n```\n````", &[("sh", "echo '```'\n```")]);
        check("```python\n```sh\nx\n```", &[("prose", "```python\n```sh\nx\n```")]);
        check("```shell\nls\n```", &[("prose", "```shell\nls\n```")]);
        check("use `ls` and ```x``` inline", &[("prose", "use `ls` and ```x``` inline")]);
    }
}
