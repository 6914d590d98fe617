//! `sdiff`: two files beside each other, and with `-o` a third made of them by commands. The table is `diff -y`'s.

use super::diff;
use super::diff::lines::{Change, Compare, changes, split};
use super::diff::look::{Look, Patterns};
use super::diff::side;
use crate::context::{Cx, End, Outcome, open_input};
use crate::options::Order;
use crate::os::{base_name, join};
use crate::quote::quote_plain;
use agentos_guest::{fd, process, strerror};
use std::ffi::{OsStr, OsString};
use std::io::Write;

const SPEC: &[&str] = &[
    "o,output=",
    "i,ignore-case",
    "E,ignore-tab-expansion",
    "Z,ignore-trailing-space",
    "b,ignore-space-change",
    "W,ignore-all-space",
    "B,ignore-blank-lines",
    "I,ignore-matching-lines=",
    "strip-trailing-cr",
    "a,text",
    "w,width=",
    "l,left-column",
    "s,suppress-common-lines",
    "t,expand-tabs",
    "tabsize=",
    "d,minimal",
    "H,speed-large-files",
    "v,version",
];
const HELP: &str = "{} [OPTION]... FILE1 FILE2
Side-by-side merge of differences between FILE1 and FILE2.
  -o, --output=FILE            operate interactively, sending output to FILE
  -i, --ignore-case            consider upper- and lower-case to be the same
  -E, --ignore-tab-expansion   ignore changes due to tab expansion
  -Z, --ignore-trailing-space  ignore white space at line end
  -b, --ignore-space-change    ignore changes in the amount of white space
  -W, --ignore-all-space       ignore all white space
  -B, --ignore-blank-lines     ignore changes whose lines are all blank
  -I, --ignore-matching-lines=RE  ignore changes all whose lines match RE
      --strip-trailing-cr      strip trailing carriage return on input
  -a, --text                   treat all files as text
  -w, --width=NUM              output at most NUM (default 130) print columns
  -l, --left-column            output only the left column of common lines
  -s, --suppress-common-lines  do not output common lines
  -t, --expand-tabs            expand tabs to spaces in output
      --tabsize=NUM            tab stops at every NUM (default 8) print columns
  -d, --minimal                try hard to find a smaller set of changes
  -H, --speed-large-files      assume large files, many scattered small changes
Exit status is 0 if inputs are the same, 1 if different, 2 if trouble.";

const COMMANDS: &str = "ed:\tEdit then use both versions, each decorated with a header.
eb:\tEdit then use both versions.
el or e1:\tEdit then use the left version.
er or e2:\tEdit then use the right version.
e:\tDiscard both versions then edit a new one.
l or 1:\tUse the left version.
r or 2:\tUse the right version.
s:\tSilently include common lines.
v:\tVerbosely include common lines.
q:\tQuit.
";

pub(crate) fn main(cx: &mut Cx, args: &[OsString]) -> Outcome {
    cx.usage_status = 2;
    let parsed = cx.parse(SPEC, args, Order::Permute, HELP)?;
    // The same for `diff`, which makes the table where nothing is asked.
    let mut table: Vec<OsString> = Vec::new();
    let mut output = None;
    let (mut look, mut compare, mut uncounted) = (Look::default(), Compare::default(), Patterns::default());
    let (mut strip, mut tabs) = (false, false);
    // GNU's `diff` judges widths and patterns, so messages are its own.
    let own = std::mem::replace(&mut cx.name, "diff");
    for opt in &parsed.opts {
        match opt.id {
            "output" => {
                output = Some(opt.arg().to_owned());
                continue;
            }
            "version" => {
                cx.name = own;
                return Err(cx.version());
            }
            "width" => look.width = side::width(cx, opt.arg())?,
            "tabsize" => look.tab = diff::tab_size(cx, opt.arg())?,
            "ignore-matching-lines" => uncounted.add(opt.arg())?,
            "left-column" => look.left_column = true,
            "suppress-common-lines" => look.suppress_common = true,
            "expand-tabs" => look.expand = true,
            "ignore-case" => compare.fold = true,
            "ignore-tab-expansion" => tabs = true,
            "ignore-trailing-space" => compare.trailing_space = true,
            "ignore-space-change" => compare.space_change = true,
            "ignore-all-space" => compare.no_space = true,
            "ignore-blank-lines" => compare.blank_lines = true,
            "strip-trailing-cr" => strip = true,
            "minimal" => compare.minimal = true,
            // Text is text, and how changes are looked for is not ours to steer.
            _ => {}
        }
        // In the words that `diff` shows above files of directories.
        let word = match opt.id {
            "width" => "-W",
            "ignore-matching-lines" => "-I",
            "ignore-case" => "-i",
            "ignore-tab-expansion" => "-E",
            "ignore-trailing-space" => "-Z",
            "ignore-space-change" => "-b",
            "ignore-all-space" => "-w",
            "ignore-blank-lines" => "-B",
            "expand-tabs" => "-t",
            "text" => "-a",
            "minimal" => "-d",
            "speed-large-files" => "-H",
            "tabsize" => {
                table.push(format!("--tabsize={}", opt.text()).into());
                continue;
            }
            other => {
                table.push(format!("--{other}").into());
                continue;
            }
        };
        table.push(word.into());
        table.extend(opt.value.clone());
    }
    compare.tab_expansion = tabs.then_some(look.tab);
    cx.name = own;
    let [a, b] = match &parsed.operands[..] {
        [a, b] => [a, b],
        [_, _, extra, ..] => return Err(cx.usage(format!("extra operand {}", quote_plain(extra)))),
        list => {
            let last = list.last().map_or(OsStr::new("sdiff"), |o| o.as_os_str());
            return Err(cx.usage(format!("missing operand after {}", quote_plain(last))));
        }
    };
    let Some(output) = output else {
        cx.name = "diff";
        table.extend(["-y".into(), "--".into(), a.clone(), b.clone()]);
        return diff::main(cx, &table);
    };
    let [a, b] = within(a, b)?;
    let texts = [read(&a, strip)?, read(&b, strip)?];
    let (old, new) = (split(&texts[0]), split(&texts[1]));
    let changes = changes(compare, &uncounted, &old, &new);
    let file = std::fs::File::create(&output).map_err(|error| failed(&output, &error))?;
    let mut session =
        Session { look, names: [a, b], lines: [&old, &new], output, file, answers: Answers::default() };
    session.run(cx, &changes)
}

fn failed(path: &OsStr, error: &std::io::Error) -> End {
    End::Failure(2, format!("{}: {}", path.to_string_lossy(), strerror(error)))
}

/// A directory and a file: the file of that name in the directory.
fn within(a: &OsStr, b: &OsStr) -> Result<[OsString; 2], End> {
    let dir = |path: &OsStr| std::fs::metadata(path).is_ok_and(|m| m.is_dir());
    match (dir(a), dir(b)) {
        (true, true) => Err(End::Failure(2, "both files to be compared are directories".to_owned())),
        (true, false) => Ok([join(a, base_name(b)), b.to_owned()]),
        (false, true) => Ok([a.to_owned(), join(b, base_name(a))]),
        _ => Ok([a.to_owned(), b.to_owned()]),
    }
}

fn read(path: &OsStr, strip: bool) -> Result<Vec<u8>, End> {
    let mut text = Vec::new();
    open_input(path).and_then(|mut input| input.read_to_end(&mut text)).map_err(|e| failed(path, &e))?;
    if strip {
        diff::strip_cr(&mut text);
    }
    Ok(text)
}

/// Lines of standard input.
#[derive(Default)]
struct Answers {
    bytes: Vec<u8>,
}

impl Answers {
    /// The next line; none at the end. It is read byte by byte, as an editor that is started reads the same input.
    fn next(&mut self) -> Option<String> {
        self.bytes.clear();
        let mut byte = [0];
        while fd::read(0, &mut byte).is_ok_and(|n| n == 1) {
            if byte[0] == b'\n' {
                return Some(String::from_utf8_lossy(&self.bytes).into_owned());
            }
            // No command is longer.
            if self.bytes.len() < 256 {
                self.bytes.push(byte[0]);
            }
        }
        // A line that does not end is no command, as GNU has it.
        (!self.bytes.is_empty()).then(String::new)
    }
}

struct Session<'a> {
    look: Look,
    names: [OsString; 2],
    lines: [&'a [&'a [u8]]; 2],
    output: OsString,
    file: std::fs::File,
    answers: Answers,
}

impl Session<'_> {
    fn run(&mut self, cx: &mut Cx, changes: &[Change]) -> Outcome {
        let [old, new] = self.lines;
        let mut at = (0, 0);
        let mut differ = false;
        for change in changes.iter().filter(|c| !c.ignore) {
            differ = true;
            side::common(cx, &self.look, &old[at.0..change.old.0], &new[at.1..change.new.0])?;
            self.write(&old[at.0..change.old.0])?;
            let (ours, theirs) = (&old[change.old.0..change.old.1], &new[change.new.0..change.new.1]);
            side::changed(cx, &self.look, ours, theirs)?;
            if !self.ask(cx, change, ours, theirs)? {
                return Ok(2);
            }
            at = (change.old.1, change.new.1);
        }
        side::common(cx, &self.look, &old[at.0..], &new[at.1..])?;
        self.write(&old[at.0..])?;
        Ok(i32::from(differ))
    }

    fn write(&mut self, lines: &[&[u8]]) -> Result<(), End> {
        self.file.write_all(&lines.concat()).map_err(|error| failed(&self.output, &error))
    }

    /// Asks until one answer decides what is written for a change; false when that is the end of all.
    fn ask(&mut self, cx: &mut Cx, change: &Change, ours: &[&[u8]], theirs: &[&[u8]]) -> Result<bool, End> {
        loop {
            cx.put(b"%")?;
            cx.flush()?;
            let Some(answer) = self.answers.next() else { return Ok(false) };
            let header = |mark: &str, i: usize, (from, to): (usize, usize)| {
                let name = self.names[i].to_string_lossy();
                match to - from {
                    0 => String::new(),
                    1 => format!("{mark} {name} {to}\n"),
                    _ => format!("{mark} {name} {},{to}\n", from + 1),
                }
            };
            let text = match answer.trim() {
                "l" | "1" => {
                    self.write(ours)?;
                    return Ok(true);
                }
                "r" | "2" => {
                    self.write(theirs)?;
                    return Ok(true);
                }
                "s" => {
                    self.look.suppress_common = true;
                    continue;
                }
                "v" => {
                    self.look.suppress_common = false;
                    continue;
                }
                "q" => return Ok(false),
                "e" => Vec::new(),
                "el" | "e1" => ours.concat(),
                "er" | "e2" => theirs.concat(),
                "eb" => [ours.concat(), theirs.concat()].concat(),
                "ed" => [
                    header("---", 0, change.old).into_bytes(),
                    ours.concat(),
                    header("+++", 1, change.new).into_bytes(),
                    theirs.concat(),
                ]
                .concat(),
                _ => {
                    // Standard error that cannot be written is nothing to tell anybody about.
                    let _ = fd::write_all(2, COMMANDS.as_bytes());
                    continue;
                }
            };
            let text = edit(cx, &text)?;
            self.write(&[&text])?;
            return Ok(true);
        }
    }
}

/// Lets the user's editor work on the text.
fn edit(cx: &mut Cx, text: &[u8]) -> Result<Vec<u8>, End> {
    let path = agentos_guest::env::temp_dir().join(format!("sdiff{}", process::id())).into_os_string();
    let trouble = |error: std::io::Error| failed(&path, &error);
    std::fs::write(&path, text).map_err(trouble)?;
    cx.flush()?;
    let editor = std::env::var_os("EDITOR").filter(|e| !e.is_empty()).unwrap_or_else(|| "ed".into());
    let ran = process::Command::new(&editor).arg(&path).search_path(true).status();
    let edited = std::fs::read(&path).map_err(trouble);
    let _ = std::fs::remove_file(&path);
    match ran {
        Ok(_) => edited,
        Err(error) => {
            Err(End::Failure(2, format!("subsidiary program {}: {}", quote_plain(&editor), strerror(&error))))
        }
    }
}
