//! The options of the pagers, from `LESS`, the command line and the `-` command. Tags, log files, lesskey files and prompts of one's own are not there: such an option is an error.

use std::ffi::OsString;

/// What a pager was told.
#[derive(Clone)]
pub(super) struct Options {
    /// Whether it is `more`.
    pub(super) more: bool,
    pub(super) numbers: bool,
    pub(super) chop: bool,
    /// Colours pass.
    pub(super) raw: bool,
    /// 0: case counts, 1: unless the pattern has capitals, 2: never.
    pub(super) ignore_case: u8,
    pub(super) quit_if_one: bool,
    pub(super) no_init: bool,
    /// 0: never, 1: at the second time, 2: at once.
    pub(super) quit_at_end: u8,
    pub(super) quit_on_interrupt: bool,
    pub(super) force: bool,
    pub(super) prompt: u8,
    pub(super) squeeze: bool,
    pub(super) quiet: bool,
    pub(super) tildes: bool,
    pub(super) highlight: bool,
    pub(super) tab: usize,
    /// The row at which what was found is put, from 0.
    pub(super) target: usize,
    /// Rows of a window, if not all.
    pub(super) window: Option<usize>,
    /// Columns of a step to the side, if not half a screen.
    pub(super) step: Option<usize>,
    pub(super) pattern: Option<String>,
    /// Commands to begin with.
    pub(super) commands: Vec<String>,
}

/// Long names of less and their letters.
const LONG: [(&str, char); 34] = [
    ("line-numbers", 'n'),
    ("LINE-NUMBERS", 'N'),
    ("chop-long-lines", 'S'),
    ("raw-control-chars", 'r'),
    ("RAW-CONTROL-CHARS", 'R'),
    ("ignore-case", 'i'),
    ("IGNORE-CASE", 'I'),
    ("quit-if-one-screen", 'F'),
    ("no-init", 'X'),
    ("quit-at-eof", 'e'),
    ("QUIT-AT-EOF", 'E'),
    ("quit-on-intr", 'K'),
    ("force", 'f'),
    ("long-prompt", 'm'),
    ("LONG-PROMPT", 'M'),
    ("squeeze-blank-lines", 's'),
    ("quiet", 'q'),
    ("silent", 'q'),
    ("QUIET", 'Q'),
    ("SILENT", 'Q'),
    ("tabs", 'x'),
    ("pattern", 'p'),
    ("jump-target", 'j'),
    ("window", 'z'),
    ("shift", '#'),
    ("tilde", '~'),
    ("hilite-search", 'g'),
    ("HILITE-SEARCH", 'G'),
    ("search-skip-screen", 'a'),
    ("clear-screen", 'c'),
    ("buffers", 'b'),
    ("auto-buffers", 'B'),
    ("max-forw-scroll", 'y'),
    ("max-back-scroll", 'h'),
];

impl Options {
    pub(super) fn new() -> Options {
        Options {
            more: false,
            numbers: false,
            chop: false,
            raw: false,
            ignore_case: 0,
            quit_if_one: false,
            no_init: false,
            quit_at_end: 0,
            quit_on_interrupt: false,
            force: false,
            prompt: 0,
            squeeze: false,
            quiet: false,
            tildes: true,
            highlight: true,
            tab: 8,
            target: 0,
            window: None,
            step: None,
            pattern: None,
            commands: Vec::new(),
        }
    }

    /// Reads words as less does: what is wrong with one is told, and the others count. The files are what is left.
    pub(super) fn of_less(&mut self, words: &[OsString], wrong: &mut Vec<String>) -> Vec<OsString> {
        let mut files = Vec::new();
        let mut i = 0;
        while i < words.len() {
            let word = words[i].to_string_lossy().into_owned();
            i += 1;
            if word == "--" {
                files.extend_from_slice(&words[i..]);
                break;
            }
            if let Some(command) = word.strip_prefix('+') {
                self.commands.push(command.trim_start_matches('+').to_owned());
            } else if word.len() < 2 || !word.starts_with('-') {
                files.push(words[i - 1].clone());
            } else {
                match self.word(&word, words.get(i).and_then(|w| w.to_str())) {
                    Ok(used) => i += usize::from(used),
                    Err(message) => wrong.push(message),
                }
            }
        }
        files
    }

    /// One word of options; whether the next was its value.
    fn word(&mut self, word: &str, next: Option<&str>) -> Result<bool, String> {
        if let Some(long) = word.strip_prefix("--") {
            let (name, value) = long.split_once('=').map_or((long, None), |(n, v)| (n, Some(v)));
            let mut fitting = LONG.iter().filter(|(l, _)| l.starts_with(name));
            let found = LONG.iter().find(|(l, _)| *l == name).or_else(|| fitting.next());
            let Some((_, letter)) = found else {
                return Err(format!("There is no {name} option (\"less --help\" for help)"));
            };
            if !takes_value(*letter) {
                return self.flag(*letter).map(|()| false);
            }
            return match value.or(next) {
                Some(v) => self.value(*letter, v).map(|()| value.is_none()),
                None => Err(required(*letter)),
            };
        }
        for (at, letter) in word.char_indices().skip(1) {
            if takes_value(letter) {
                let rest = &word[at + letter.len_utf8()..];
                let rest = rest.strip_suffix('$').unwrap_or(rest);
                return match Some(rest).filter(|r| !r.is_empty()).or(next) {
                    Some(v) => self.value(letter, v).map(|()| rest.is_empty()),
                    None => Err(required(letter)),
                };
            }
            self.flag(letter)?;
        }
        Ok(false)
    }

    fn flag(&mut self, letter: char) -> Result<(), String> {
        match letter {
            'N' => self.numbers = true,
            'n' => self.numbers = false,
            'S' => self.chop = true,
            'R' | 'r' => self.raw = true,
            'i' => self.ignore_case = 1,
            'I' => self.ignore_case = 2,
            'F' => self.quit_if_one = true,
            'X' => self.no_init = true,
            'e' => self.quit_at_end = 1,
            'E' => self.quit_at_end = 2,
            'K' => self.quit_on_interrupt = true,
            'f' => self.force = true,
            'm' => self.prompt = 1,
            'M' => self.prompt = 2,
            's' => self.squeeze = true,
            'q' | 'Q' => self.quiet = true,
            '~' => self.tildes = false,
            'G' => self.highlight = false,
            // How the screen is painted and memory is used: both are always the same here. `g` marks one match
            // where all are marked, `a` begins a search below the screen.
            'c' | 'C' | 'B' | 'g' | 'a' | 'd' | '$' => {}
            other => return Err(format!("There is no -{other} option (\"less --help\" for help)")),
        }
        Ok(())
    }

    fn value(&mut self, letter: char, text: &str) -> Result<(), String> {
        let number = || text.parse::<usize>().map_err(|_| format!("Number is required after -{letter}"));
        match letter {
            'p' => self.pattern = Some(text.to_owned()),
            'x' => {
                let tab =
                    text.split(',').next().and_then(|n| n.parse().ok()).filter(|n| (1..=100).contains(n));
                self.tab = tab.ok_or("Number is required after -x (--tabs)")?;
            }
            'j' => {
                let rows = text.parse::<i64>().map_err(|_| "Invalid line number".to_owned())?;
                self.target = usize::try_from(rows.max(1) - 1).unwrap_or(0);
            }
            'z' => self.window = Some(number()?.max(1)),
            '#' => self.step = Some(number()?).filter(|n| *n > 0),
            // Buffers, and when a screen is painted rather than scrolled.
            _ => drop(number()?),
        }
        Ok(())
    }

    /// Reads words as `more` does; the files are what is left.
    pub(super) fn of_more(&mut self, words: &[OsString]) -> Result<Vec<OsString>, String> {
        let mut files = Vec::new();
        let mut i = 0;
        while i < words.len() {
            let word = words[i].to_string_lossy().into_owned();
            i += 1;
            if word == "--" {
                files.extend_from_slice(&words[i..]);
                break;
            }
            let lines = |text: &str| {
                let number = text.parse::<usize>().ok().filter(|n| *n > 0);
                number.ok_or_else(|| format!("failed to parse number: '{text}'"))
            };
            if let Some(command) = word.strip_prefix('+') {
                self.commands.push(command.to_owned());
                continue;
            }
            let long =
                word.strip_prefix("--").map(|l| l.split_once('=').map_or((l, None), |(n, v)| (n, Some(v))));
            let (letters, attached) = match long {
                Some(("silent", _)) => ("d", None),
                Some(("logical", _)) => ("f", None),
                Some(("no-pause", _)) => ("l", None),
                Some(("print-over", _)) => ("c", None),
                Some(("clean-print", _)) => ("p", None),
                Some(("exit-on-eof", _)) => ("e", None),
                Some(("squeeze", _)) => ("s", None),
                Some(("plain", _)) => ("u", None),
                Some(("lines", value)) => ("n", value),
                Some(_) => return Err(format!("unrecognized option '{word}'")),
                None => match word.strip_prefix('-').filter(|l| !l.is_empty()) {
                    Some(letters) => (letters, None),
                    None => {
                        files.push(words[i - 1].clone());
                        continue;
                    }
                },
            };
            if letters.bytes().all(|b| b.is_ascii_digit()) {
                self.window = Some(lines(letters)?);
                continue;
            }
            for (at, letter) in letters.char_indices() {
                match letter {
                    's' => self.squeeze = true,
                    'd' => self.quiet = true,
                    'e' => self.quit_at_end = 2,
                    // Lines are counted as rows, form feeds do not stop, the screen is painted anew: always so.
                    'f' | 'l' | 'c' | 'p' | 'u' => {}
                    'n' => {
                        let rest = &letters[at + 1..];
                        let value = attached.or(Some(rest).filter(|r| !r.is_empty())).map(str::to_owned);
                        let value = match value {
                            Some(v) => v,
                            None => {
                                i += 1;
                                let next = words.get(i - 1).ok_or("option requires an argument -- 'n'")?;
                                next.to_string_lossy().into_owned()
                            }
                        };
                        self.window = Some(lines(&value)?);
                        break;
                    }
                    other => return Err(format!("invalid option -- '{other}'")),
                }
            }
        }
        Ok(files)
    }

    /// Turns an option over, as the `-` command does; what is told of it.
    pub(super) fn toggle(&mut self, letter: char) -> String {
        let told = |on: bool, yes: &str, no: &str| if on { yes.to_owned() } else { no.to_owned() };
        match letter {
            'N' | 'n' => {
                self.numbers = letter == 'N' && !self.numbers;
                told(self.numbers, "Line numbers", "No line numbers")
            }
            'S' => {
                self.chop = !self.chop;
                told(self.chop, "Long lines are cut", "Long lines are folded")
            }
            'i' => {
                self.ignore_case = u8::from(self.ignore_case == 0);
                told(self.ignore_case > 0, "Searches ignore case", "Searches regard case")
            }
            'I' => {
                self.ignore_case = if self.ignore_case == 2 { 0 } else { 2 };
                told(
                    self.ignore_case > 0,
                    "Searches ignore case, capitals in patterns too",
                    "Searches regard case",
                )
            }
            'R' | 'r' => {
                self.raw = !self.raw;
                told(self.raw, "Colours pass", "Colours are shown as ^X")
            }
            's' => {
                self.squeeze = !self.squeeze;
                told(self.squeeze, "Runs of empty lines are one", "All empty lines")
            }
            'M' | 'm' => {
                let long = if letter == 'M' { 2 } else { 1 };
                self.prompt = if self.prompt == long { 0 } else { long };
                told(self.prompt > 0, "Long prompt", "Short prompt")
            }
            'e' | 'E' => {
                let wanted = if letter == 'e' { 1 } else { 2 };
                self.quit_at_end = if self.quit_at_end == wanted { 0 } else { wanted };
                told(self.quit_at_end > 0, "The end of the file quits", "The end of the file does not quit")
            }
            'G' => {
                self.highlight = !self.highlight;
                told(self.highlight, "Matches are marked", "Matches are not marked")
            }
            'q' | 'Q' => {
                self.quiet = !self.quiet;
                told(self.quiet, "No bell", "The bell rings")
            }
            other => format!("There is no -{other} option"),
        }
    }
}

fn takes_value(letter: char) -> bool {
    "bhjpxyz#".contains(letter)
}

fn required(letter: char) -> String {
    let long = LONG.iter().find(|(_, l)| *l == letter).map_or("", |(name, _)| name);
    format!("Value is required after -{letter} (--{long})")
}
