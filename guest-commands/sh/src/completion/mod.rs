//! Programmable completion: the specifications that `complete` keeps, and how they are written. What they generate is in
//! `generate` and `actions`.

mod actions;
mod generate;

pub(crate) use generate::Request;

/// The options of a specification, in the order in which they are printed.
pub(crate) const OPTIONS: &[&str] =
    &["bashdefault", "default", "dirnames", "filenames", "noquote", "nosort", "nospace", "plusdirs"];

/// The actions and their letters, in the order in which they are printed.
pub(crate) const ACTIONS: &[(&str, Option<char>)] = &[
    ("alias", Some('a')),
    ("builtin", Some('b')),
    ("command", Some('c')),
    ("directory", Some('d')),
    ("export", Some('e')),
    ("file", Some('f')),
    ("group", Some('g')),
    ("job", Some('j')),
    ("keyword", Some('k')),
    ("service", Some('s')),
    ("user", Some('u')),
    ("variable", Some('v')),
    ("arrayvar", None),
    ("binding", None),
    ("disabled", None),
    ("enabled", None),
    ("function", None),
    ("helptopic", None),
    ("hostname", None),
    ("running", None),
    ("setopt", None),
    ("shopt", None),
    ("signal", None),
    ("stopped", None),
];

/// The names under which the specifications of `-D`, `-E` and `-I` are kept, as bash names them in messages.
pub(crate) const SPECIAL: &[(char, &str)] =
    &[('D', "_DefaultCmD_"), ('E', "_EmptycmD_"), ('I', "_InitialWorD_")];

/// How many specifications are kept.
const MAX_SPECS: usize = 10_000;

/// How the arguments of a command are completed.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Spec {
    pub(crate) options: Vec<&'static str>,
    pub(crate) actions: Vec<&'static str>,
    pub(crate) glob: Option<String>,
    pub(crate) words: Option<String>,
    pub(crate) prefix: Option<String>,
    pub(crate) suffix: Option<String>,
    pub(crate) filter: Option<String>,
    pub(crate) command: Option<String>,
    pub(crate) function: Option<String>,
}

impl Spec {
    pub(crate) fn has(&self, option: &str) -> bool {
        self.options.contains(&option)
    }

    /// The `complete` command that makes this specification for a name.
    pub(crate) fn text(&self, name: &str) -> String {
        let mut out = String::from("complete ");
        for option in OPTIONS.iter().filter(|option| self.has(option)) {
            out.push_str(&format!("-o {option} "));
        }
        for (action, letter) in ACTIONS.iter().filter(|(action, _)| self.actions.contains(action)) {
            match letter {
                Some(letter) => out.push_str(&format!("-{letter} ")),
                None => out.push_str(&format!("-A {action} ")),
            }
        }
        let texts = [
            ('G', &self.glob),
            ('W', &self.words),
            ('P', &self.prefix),
            ('S', &self.suffix),
            ('X', &self.filter),
            ('C', &self.command),
        ];
        for (letter, text) in texts {
            if let Some(text) = text {
                out.push_str(&format!("-{letter} {} ", crate::expand_quote(text)));
            }
        }
        if let Some(function) = &self.function {
            out.push_str(&format!("-F {} ", quoted_if_needed(function)));
        }
        match SPECIAL.iter().find(|(_, special)| *special == name) {
            Some((letter, _)) => out.push_str(&format!("-{letter}")),
            None if name.is_empty() => out.push_str("''"),
            None => out.push_str(&quoted_if_needed(name)),
        }
        out
    }
}

fn quoted_if_needed(text: &str) -> String {
    let special = |c: char| c.is_whitespace() || "'\"\\`$&;|<>()*?[]{}!#~^".contains(c);
    if text.contains(special) { crate::expand_quote(text) } else { text.to_owned() }
}

/// All specifications.
#[derive(Debug, Default)]
pub(crate) struct Completions {
    specs: Vec<(String, Spec)>,
    /// The specification whose function is running, which `compopt` may change.
    pub(crate) running: Option<Spec>,
}

impl Completions {
    pub(crate) fn get(&self, name: &str) -> Option<&Spec> {
        self.specs.iter().find(|(known, _)| known == name).map(|(_, spec)| spec)
    }

    pub(crate) fn get_mut(&mut self, name: &str) -> Option<&mut Spec> {
        self.specs.iter_mut().find(|(known, _)| known == name).map(|(_, spec)| spec)
    }

    /// Keeps a specification; false if there is no room.
    pub(crate) fn insert(&mut self, name: &str, spec: Spec) -> bool {
        if let Some(known) = self.get_mut(name) {
            *known = spec;
            return true;
        }
        if self.specs.len() >= MAX_SPECS {
            return false;
        }
        // In the order of bash's table: by bucket, newest first.
        let bucket = bucket(name);
        let at = self.specs.partition_point(|(known, _)| self::bucket(known) < bucket);
        self.specs.insert(at, (name.to_owned(), spec));
        true
    }

    pub(crate) fn remove(&mut self, name: &str) -> bool {
        let before = self.specs.len();
        self.specs.retain(|(known, _)| known != name);
        self.specs.len() < before
    }

    pub(crate) fn clear(&mut self) {
        self.specs.clear();
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.specs.is_empty()
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = &(String, Spec)> {
        self.specs.iter()
    }
}

/// Where bash's hash table has a name (FNV-1, 512 buckets).
fn bucket(name: &str) -> u32 {
    name.bytes().fold(2_166_136_261_u32, |hash, b| hash.wrapping_mul(16_777_619) ^ u32::from(b)) & 511
}
