//! Local time for the shell and the tools: the zone that `TZ` names, and dates as strftime(3) writes them. Nothing is read
//! before a local time is asked for. It parses no dates and knows no leap seconds.

#![forbid(unsafe_code)]

mod calendar;
mod posix;
mod strftime;
mod tzif;

use std::cell::RefCell;
use std::path::{Path, PathBuf};
use std::rc::Rc;

pub use strftime::{MONTHS, format};

use posix::Rule;

/// Where zones are looked for by name.
const ZONES: &str = "/usr/share/zoneinfo";
/// The zone of a machine whose `TZ` is unset.
const LOCALTIME: &str = "/etc/localtime";

/// What holds at one moment: distance from UTC, and what it is called.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Kind {
    /// Seconds east of Greenwich.
    pub(crate) offset: i64,
    pub(crate) name: String,
}

impl Kind {
    pub(crate) fn utc() -> Self {
        Kind { offset: 0, name: "UTC".to_owned() }
    }
}

/// A time zone.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Zone {
    /// Where it was read.
    file: Option<PathBuf>,
    /// Moments from which another of the kinds holds, ascending.
    changes: Vec<(i64, u8)>,
    /// Never empty. Before the first change the first one holds.
    kinds: Vec<Kind>,
    /// From the last change on.
    rule: Option<Rule>,
}

impl Zone {
    /// The zone of the value of `TZ` (none if it is unset), as glibc understands it: a file of `dir` (`TZDIR`) or the
    /// system's, or else rules in the form of POSIX. What is neither is UTC under the name that it begins with.
    ///
    /// ```
    /// assert_eq!(agentos_tz::format("%F %T %Z", 0, None, &agentos_tz::Zone::new(Some("EST5"), None)), "1969-12-31 19:00:00 EST");
    /// ```
    #[must_use]
    pub fn new(tz: Option<&str>, dir: Option<&str>) -> Self {
        let text = tz.map_or(LOCALTIME, |tz| tz.strip_prefix(':').unwrap_or(tz));
        let utc = || Zone { file: None, changes: Vec::new(), kinds: vec![Kind::utc()], rule: None };
        if text.is_empty() {
            return utc();
        }
        // join() leaves a path that is absolute as it is.
        let path = Path::new(dir.filter(|dir| !dir.is_empty()).unwrap_or(ZONES)).join(text);
        if let Some(zone) = tzif::read(&path) {
            return zone;
        }
        if text == LOCALTIME {
            return utc();
        }
        let rule = Rule::new(text);
        Zone { file: None, changes: Vec::new(), kinds: vec![rule.standard()], rule: Some(rule) }
    }

    /// [`Zone::new`], but the last answer of this thread is kept.
    #[must_use]
    pub fn kept(tz: Option<&str>, dir: Option<&str>) -> Rc<Self> {
        type Kept = (Option<String>, Option<String>, Rc<Zone>);
        thread_local!(static LAST: RefCell<Option<Kept>> = const { RefCell::new(None) });
        LAST.with_borrow_mut(|last| match last {
            Some((t, d, zone)) if t.as_deref() == tz && d.as_deref() == dir => zone.clone(),
            _ => {
                let zone = Rc::new(Zone::new(tz, dir));
                *last = Some((tz.map(str::to_owned), dir.map(str::to_owned), zone.clone()));
                zone
            }
        })
    }

    /// The file that it was read from; none of a zone that is written in `TZ` itself.
    #[must_use]
    pub fn file(&self) -> Option<&Path> {
        self.file.as_deref()
    }

    /// The rules that hold from the last change on, in the whole form of POSIX, for readers that take no other.
    #[must_use]
    pub fn rules(&self) -> String {
        self.rule.as_ref().map_or_else(|| "UTC0".to_owned(), Rule::to_string)
    }

    /// What holds at this moment, in seconds since 1970.
    pub(crate) fn at(&self, seconds: i64) -> &Kind {
        let after = self.changes.partition_point(|(from, _)| *from <= seconds);
        if after == self.changes.len()
            && let Some(rule) = &self.rule
        {
            return rule.at(seconds);
        }
        let kind = after.checked_sub(1).map_or(0, |i| usize::from(self.changes[i].1));
        self.kinds.get(kind).unwrap_or(&self.kinds[0])
    }
}

#[cfg(test)]
mod tests;
