//! Which members are meant: operands and patterns of exclusion, and names made safe by taking away what leads out of the tree.

use super::config::Config;
use crate::context::Cx;
use crate::glob;
use std::collections::HashSet;

/// A name of the command line or of a file of names.
#[derive(Debug)]
pub(super) struct Operand {
    /// Without slashes at its end.
    pub(super) name: Vec<u8>,
    /// Which directory it belongs to.
    pub(super) dir: usize,
    pub(super) found: bool,
}

impl Operand {
    pub(super) fn new(mut name: Vec<u8>, dir: usize) -> Operand {
        while name.len() > 1 && name.ends_with(b"/") {
            name.pop();
        }
        Operand { name, dir, found: false }
    }
}

struct Exclude {
    pattern: Vec<u8>,
    /// Only whole components, wherever they are.
    anchored: bool,
    wildcards: bool,
    match_slash: bool,
    fold: bool,
    /// Given after the first operand: no effect, says GNU tar.
    late: bool,
}

/// Operands and exclusions.
pub(super) struct Names {
    pub(super) operands: Vec<Operand>,
    /// Names came from a file too, so that none at all is no mistake.
    pub(super) from_file: bool,
    excludes: Vec<Exclude>,
    pub(super) wildcards: Option<bool>,
    pub(super) match_slash: bool,
    pub(super) anchored: Option<bool>,
    pub(super) fold: bool,
    pub(super) recursion: bool,
}

impl Default for Names {
    fn default() -> Names {
        Names {
            operands: Vec::new(),
            from_file: false,
            excludes: Vec::new(),
            wildcards: None,
            match_slash: true,
            anchored: None,
            fold: false,
            recursion: true,
        }
    }
}

/// A `*` that stops at slashes: both have as many, and component matches component.
fn matches(pattern: &[u8], name: &[u8], match_slash: bool, fold: bool) -> bool {
    if match_slash {
        return glob::matches(pattern, name, fold);
    }
    let count = |text: &[u8]| text.iter().filter(|b| **b == b'/').count();
    count(pattern) == count(name)
        && pattern
            .split(|b| *b == b'/')
            .zip(name.split(|b| *b == b'/'))
            .all(|(p, n)| glob::matches(p, n, fold))
}

fn is_pattern(name: &[u8]) -> bool {
    name.iter().any(|b| b"*?[\\".contains(b))
}

impl Names {
    fn push(&mut self, pattern: &[u8], anchored: bool) {
        let mut pattern = pattern.to_vec();
        while pattern.len() > 1 && pattern.ends_with(b"/") {
            pattern.pop();
        }
        self.excludes.push(Exclude {
            wildcards: self.wildcards != Some(false) && is_pattern(&pattern),
            pattern,
            anchored,
            match_slash: self.match_slash,
            fold: self.fold,
            late: !self.operands.is_empty(),
        });
    }

    pub(super) fn exclude(&mut self, pattern: &[u8]) {
        self.push(pattern, self.anchored.unwrap_or(false));
    }

    /// Excludes everything of this name, wherever it is.
    pub(super) fn exclude_name(&mut self, pattern: &[u8]) {
        self.push(pattern, false);
    }

    /// Says which patterns came after names, and takes them away. True if there were any.
    pub(super) fn late_excludes(&mut self, cx: &mut Cx) -> bool {
        let mut any = false;
        for exclude in self.excludes.iter().filter(|e| e.late) {
            if !any {
                cx.say("The following options were used after any non-optional arguments in archive create or update mode.  These options are positional and affect only arguments that follow them.  Please, rearrange them properly.");
                any = true;
            }
            cx.say(format_args!("--exclude ‘{}’ has no effect", String::from_utf8_lossy(&exclude.pattern)));
        }
        self.excludes.retain(|e| !e.late);
        any
    }

    /// Whether a pattern excludes this name, or a directory above it.
    pub(super) fn excluded(&self, name: &[u8]) -> bool {
        if self.excludes.is_empty() {
            return false;
        }
        let name = if name.len() > 1 { name.strip_suffix(b"/").unwrap_or(name) } else { name };
        let ends = name.iter().enumerate().filter(|(i, b)| **b == b'/' && *i > 0).map(|(i, _)| i);
        let ends: Vec<usize> = ends.chain([name.len()]).collect();
        self.excludes.iter().any(|exclude| {
            let one = |part: &[u8]| {
                if exclude.wildcards {
                    matches(&exclude.pattern, part, exclude.match_slash, exclude.fold)
                } else if exclude.fold {
                    exclude.pattern.eq_ignore_ascii_case(part)
                } else {
                    exclude.pattern == part
                }
            };
            let starts = name.iter().enumerate().filter(|(_, b)| **b == b'/').map(|(i, _)| i + 1);
            std::iter::once(0)
                .chain(starts.filter(|_| !exclude.anchored))
                .any(|from| ends.iter().any(|to| *to >= from && one(&name[from..*to])))
        })
    }

    /// Which directory a member belongs to; `None`: no operand names it.
    pub(super) fn select(&mut self, name: &[u8], last_dir: usize) -> Option<usize> {
        if self.operands.is_empty() {
            return (!self.from_file).then_some(last_dir);
        }
        let name = if name.len() > 1 { name.strip_suffix(b"/").unwrap_or(name) } else { name };
        let wildcards = self.wildcards == Some(true);
        let anchored = self.anchored.unwrap_or(true);
        let (match_slash, fold, recursion) = (self.match_slash, self.fold, self.recursion);
        let operand = self.operands.iter_mut().find(|operand| {
            let one = |part: &[u8]| {
                if wildcards {
                    matches(&operand.name, part, match_slash, fold)
                } else if fold {
                    operand.name.eq_ignore_ascii_case(part)
                } else {
                    operand.name == part
                }
            };
            let above = |name: &[u8]| {
                one(name)
                    || (recursion
                        && name.iter().enumerate().any(|(i, b)| *b == b'/' && i > 0 && one(&name[..i])))
            };
            above(name)
                || (!anchored && name.iter().enumerate().any(|(i, b)| *b == b'/' && above(&name[i + 1..])))
        })?;
        operand.found = true;
        Some(operand.dir)
    }

    /// Says which operands no member matched.
    pub(super) fn not_found(&self, cx: &mut Cx) {
        let patterns =
            self.wildcards.is_none() && self.operands.iter().any(|o| !o.found && is_pattern(&o.name));
        if patterns {
            cx.say("Pattern matching characters used in file names\ntar: Use --wildcards to enable pattern matching, or --no-wildcards to suppress this warning");
        }
        for operand in self.operands.iter().filter(|o| !o.found) {
            cx.say(format_args!("{}: Not found in archive", escaped(&operand.name)));
            cx.status = 2;
        }
    }
}

/// A name as tar shows it: backslashes and what cannot be printed are escaped.
pub(super) fn escaped(name: &[u8]) -> String {
    let mut out = String::new();
    for chunk in name.utf8_chunks() {
        for c in chunk.valid().chars() {
            match c {
                '\\' => out.push_str("\\\\"),
                '\n' => out.push_str("\\n"),
                '\t' => out.push_str("\\t"),
                '\r' => out.push_str("\\r"),
                '\x07' => out.push_str("\\a"),
                '\x08' => out.push_str("\\b"),
                '\x0b' => out.push_str("\\v"),
                '\x0c' => out.push_str("\\f"),
                c if c.is_control() => {
                    c.to_string().bytes().for_each(|b| out.push_str(&format!("\\{b:03o}")))
                }
                c => out.push(c),
            }
        }
        chunk.invalid().iter().for_each(|b| out.push_str(&format!("\\{b:03o}")));
    }
    out
}

/// Takes away what leads out of a tree, and says so once for each such beginning.
#[derive(Default)]
pub(super) struct Safety {
    said: HashSet<(bool, Vec<u8>)>,
}

/// Whether a component of the name is `..`.
pub(super) fn leads_up(name: &[u8]) -> bool {
    name.split(|b| *b == b'/').any(|part| part == b"..")
}

impl Safety {
    /// The part of a name after its last `..` and the slashes behind that.
    pub(super) fn suffix<'a>(
        &mut self,
        cx: &mut Cx,
        config: &Config,
        name: &'a [u8],
        link: bool,
    ) -> &'a [u8] {
        if config.absolute {
            return name;
        }
        let mut from = 0;
        let mut at = 0;
        for part in name.split(|b| *b == b'/') {
            if part == b".." {
                from = at + 2;
            }
            at += part.len() + 1;
        }
        from += name[from..].iter().take_while(|b| **b == b'/').count();
        let (prefix, rest) = name.split_at(from);
        if !prefix.is_empty() && self.said.insert((link, prefix.to_vec())) {
            let what = if link { "hard link targets" } else { "member names" };
            cx.say(format_args!("Removing leading `{}' from {what}", escaped(prefix)));
        }
        if rest.is_empty() { b"." } else { rest }
    }
}

/// The name without its first components; `None`: nothing is left.
pub(super) fn strip(name: &[u8], components: usize) -> Option<&[u8]> {
    let mut rest = name;
    for _ in 0..components {
        let slash = rest.iter().position(|b| *b == b'/')?;
        rest = &rest[slash..];
        rest = &rest[rest.iter().take_while(|b| **b == b'/').count()..];
    }
    (!rest.is_empty() || components == 0).then_some(rest)
}
