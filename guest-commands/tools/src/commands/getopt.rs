//! `getopt`, the one of util-linux: parses the options of a script and writes them in order. The old call without `-o` is
//! understood too.

use crate::context::{Cx, End, Outcome};
use crate::options::Order;
use std::ffi::OsString;

const SPEC: &[&str] = &[
    "a,alternative",
    "h,help",
    "l,longoptions=",
    "n,name=",
    "o,options=",
    "q,quiet",
    "Q,quiet-output",
    "s,shell=",
    "T,test",
    "u,unquoted",
    "V,version",
];
const HELP: &str = "{} <optstring> <parameters>
  or:  getopt [options] [--] <optstring> <parameters>
  or:  getopt [options] -o|--options <optstring> [options] [--] <parameters>
Parse command options.
  -a, --alternative             allow long options starting with single -
  -l, --longoptions <longopts>  the long options to be recognized
  -n, --name <progname>         the name under which errors are reported
  -o, --options <optstring>     the short options to be recognized
  -q, --quiet                   disable error reporting by getopt(3)
  -Q, --quiet-output            no normal output
  -s, --shell <shell>           set quoting conventions to those of <shell>
  -T, --test                    test for getopt(1) version
  -u, --unquoted                do not quote the output
  -h, --help                    display this help
  -V, --version                 display version";

#[derive(Clone, Copy, PartialEq, Eq)]
enum Takes {
    Nothing,
    Required,
    Optional,
}

/// The colons behind an option.
fn takes(colons: usize) -> Takes {
    match colons {
        0 => Takes::Nothing,
        1 => Takes::Required,
        _ => Takes::Optional,
    }
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Quoting {
    None,
    Sh,
    Csh,
}

impl Quoting {
    fn quote(self, word: &str) -> String {
        match self {
            Quoting::None => word.to_owned(),
            Quoting::Sh => format!("'{}'", word.replace('\'', "'\\''")),
            Quoting::Csh => {
                let mut out = String::from("'");
                for c in word.chars() {
                    match c {
                        '\'' => out += "'\\''",
                        '!' => out += "'\\!'",
                        '\\' => out += "\\\\",
                        '\n' => out += "\\n",
                        c if c.is_whitespace() => out += &format!("'\\{c}'"),
                        c => out.push(c),
                    }
                }
                out + "'"
            }
        }
    }
}

/// What a script's parameters are parsed by.
struct Rules {
    name: String,
    short: Vec<(char, Takes)>,
    long: Vec<(String, Takes)>,
    alternative: bool,
    quiet: bool,
    /// `+`: options end at the first operand; `-`: operands keep their places.
    order: Option<char>,
    quoting: Quoting,
}

pub(crate) fn main(cx: &mut Cx, args: &[OsString]) -> Outcome {
    cx.usage_status = 2;
    // The first word that is no option is the string of options, in the old form as in the new one.
    let old_form = args.first().is_some_and(|a| !a.to_string_lossy().starts_with('-'));
    let parsed = if old_form {
        crate::options::Parsed { opts: Vec::new(), operands: args.to_vec() }
    } else {
        cx.parse(SPEC, args, Order::StopAtOperand, HELP)?
    };
    let mut rules = Rules {
        name: "getopt".to_owned(),
        short: Vec::new(),
        long: Vec::new(),
        alternative: false,
        quiet: false,
        order: None,
        quoting: if old_form { Quoting::None } else { Quoting::Sh },
    };
    let (mut optstring, mut silent) = (None, false);
    for opt in &parsed.opts {
        match opt.id {
            "alternative" => rules.alternative = true,
            "longoptions" => {
                let text = opt.text();
                for word in text.split([',', ' ', '\t', '\n']).filter(|w| !w.is_empty()) {
                    let name = word.trim_end_matches(':');
                    if name.is_empty() {
                        return Err(cx.usage("empty long option after -l or --long argument"));
                    }
                    rules.long.push((name.to_owned(), takes(word.len() - name.len())));
                }
            }
            "name" => rules.name = opt.text(),
            "options" => optstring = Some(opt.text()),
            "quiet" => rules.quiet = true,
            "quiet-output" => silent = true,
            "shell" => match opt.text().as_str() {
                "sh" | "bash" => rules.quoting = Quoting::Sh,
                "csh" | "tcsh" => rules.quoting = Quoting::Csh,
                _ => return Err(cx.usage("unknown shell after -s or --shell argument")),
            },
            "test" => return Ok(4),
            "unquoted" => rules.quoting = Quoting::None,
            "help" => {
                cx.print(format_args!("Usage: {}\n", HELP.replace("{}", "getopt")))?;
                return Ok(0);
            }
            _ => {
                cx.print(format_args!("getopt (agentos-tools) {}\n", env!("CARGO_PKG_VERSION")))?;
                return Ok(0);
            }
        }
    }
    let mut words: Vec<String> = parsed.operands.iter().map(|w| w.to_string_lossy().into_owned()).collect();
    let optstring = match optstring {
        Some(text) => text,
        None if words.is_empty() => return Err(cx.usage("missing optstring argument")),
        None => words.remove(0),
    };
    rules.read(&optstring);
    if rules.order.is_none() && std::env::var_os("POSIXLY_CORRECT").is_some() {
        rules.order = Some('+');
    }
    let mut result = rules.parse(cx, &words)?;
    if !silent {
        result.0.push('\n');
        cx.put(result.0.as_bytes())?;
    }
    Ok(i32::from(result.1))
}

impl Rules {
    fn read(&mut self, optstring: &str) {
        let rest = optstring.strip_prefix(['+', '-']);
        self.order = rest.and_then(|_| optstring.chars().next());
        let mut chars = rest.unwrap_or(optstring).chars().peekable();
        while let Some(letter) = chars.next() {
            if letter == ':' {
                // In front: getopt(3) would tell errors by its result. They are still errors.
                self.quiet = true;
                continue;
            }
            let mut colons = 0;
            while colons < 2 && chars.next_if_eq(&':').is_some() {
                colons += 1;
            }
            self.short.push((letter, takes(colons)));
        }
    }

    fn complain(&self, cx: &mut Cx, message: &str) {
        if !self.quiet {
            let _ = cx.flush();
            eprintln!("{}: {message}", self.name);
        }
    }

    /// The parameters in order, and whether any was wrong.
    fn parse(&self, cx: &mut Cx, words: &[String]) -> Result<(String, bool), End> {
        let (mut out, mut wrong) = (String::new(), false);
        let mut operands: Vec<&String> = Vec::new();
        let mut rest = words.iter();
        let argument = |out: &mut String, takes: Takes, value: &str| {
            if takes != Takes::Nothing {
                out.push(' ');
                out.push_str(&self.quoting.quote(value));
            }
        };
        while let Some(word) = rest.next() {
            if word == "--" {
                operands.extend(rest.by_ref());
                break;
            }
            let dashes =
                if word.starts_with("--") { 2 } else { usize::from(word.starts_with('-') && word.len() > 1) };
            if dashes == 0 {
                match self.order {
                    Some('-') => {
                        out.push(' ');
                        out += &self.quoting.quote(word);
                    }
                    Some(_) => {
                        operands.push(word);
                        operands.extend(rest.by_ref());
                        break;
                    }
                    None => operands.push(word),
                }
                continue;
            }
            let (name, value) = match word[dashes..].split_once('=') {
                Some((name, value)) => (name, Some(value)),
                None => (&word[dashes..], None),
            };
            let exact = self.long.iter().find(|(long, _)| long == name);
            let alike: Vec<_> = self.long.iter().filter(|(long, _)| long.starts_with(name)).collect();
            let shown = &word[..dashes];
            let short_fits =
                dashes == 1 && word[1..].chars().next().is_some_and(|c| self.short.iter().any(|s| s.0 == c));
            if dashes == 2 || (self.alternative && (exact.is_some() || !alike.is_empty() || !short_fits)) {
                let found = exact.or(if alike.len() == 1 { Some(alike[0]) } else { None });
                let Some((long, takes)) = found else {
                    let message = if alike.is_empty() {
                        format!(
                            "unrecognized option '{shown}{}'",
                            if value.is_some() { &word[dashes..] } else { name }
                        )
                    } else {
                        let list: Vec<String> = alike.iter().map(|(l, _)| format!("'{shown}{l}'")).collect();
                        format!("option '{word}' is ambiguous; possibilities: {}", list.join(" "))
                    };
                    self.complain(cx, &message);
                    wrong = true;
                    continue;
                };
                let value = match (takes, value) {
                    (Takes::Nothing, Some(_)) => {
                        self.complain(cx, &format!("option '{shown}{long}' doesn't allow an argument"));
                        wrong = true;
                        continue;
                    }
                    (Takes::Required, None) => match rest.next() {
                        Some(next) => next.as_str(),
                        None => {
                            self.complain(cx, &format!("option '{shown}{long}' requires an argument"));
                            wrong = true;
                            continue;
                        }
                    },
                    (_, value) => value.unwrap_or(""),
                };
                out += &format!(" --{long}");
                argument(&mut out, *takes, value);
                continue;
            }
            let letters = &word[1..];
            for (at, letter) in letters.char_indices() {
                let Some((_, takes)) = self.short.iter().find(|(c, _)| *c == letter) else {
                    self.complain(cx, &format!("invalid option -- '{letter}'"));
                    wrong = true;
                    continue;
                };
                let inline = &letters[at + letter.len_utf8()..];
                let value = match takes {
                    Takes::Nothing => {
                        out += &format!(" -{letter}");
                        continue;
                    }
                    Takes::Required if inline.is_empty() => match rest.next() {
                        Some(next) => next.as_str(),
                        None => {
                            self.complain(cx, &format!("option requires an argument -- '{letter}'"));
                            wrong = true;
                            break;
                        }
                    },
                    _ => inline,
                };
                out += &format!(" -{letter}");
                argument(&mut out, *takes, value);
                break;
            }
        }
        out += " --";
        for operand in operands {
            out.push(' ');
            out += &self.quoting.quote(operand);
        }
        Ok((out, wrong))
    }
}
