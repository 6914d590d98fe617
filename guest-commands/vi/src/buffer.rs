//! The text that is edited: its lines, marks, undo, and how it stands in a file. Bytes that are no UTF-8, CRLF and a missing last
//! newline come back as they were. It knows no keys, and reads and writes no files.

use crate::lines::Lines;

/// How many bytes of old lines are kept for undo.
const MOST_UNDO: usize = 96 << 20;

/// A place: line and byte in it, both from 0.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Place {
    pub(crate) line: usize,
    pub(crate) col: usize,
}

/// A place.
pub(crate) fn place(line: usize, col: usize) -> Place {
    Place { line, col }
}

/// Lines that were replaced: where, what they were, how many stand there now.
#[derive(Debug)]
struct Change {
    at: usize,
    old: Vec<Vec<u8>>,
    now: usize,
}

/// What one command changed.
#[derive(Debug)]
struct Step {
    changes: Vec<Change>,
    cursor: Place,
    /// The states before and after.
    states: (u64, u64),
    /// Whether there was no line before, and after.
    voids: (bool, bool),
}

/// What undo did.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Undone {
    pub(crate) cursor: Place,
    /// How many lines there are more now.
    pub(crate) more: isize,
    /// How many lines were changed in place.
    pub(crate) changed: usize,
}

/// A text.
#[derive(Debug)]
pub(crate) struct Buffer {
    /// Never empty.
    lines: Lines,
    undo: Vec<Step>,
    redo: Vec<Step>,
    open: Option<Step>,
    depth: usize,
    kept: usize,
    state: u64,
    states: u64,
    saved: u64,
    marks: Vec<(char, Place)>,
    /// The text has no line at all, not even an empty one.
    pub(crate) void: bool,
    /// Lines end in CRLF.
    pub(crate) crlf: bool,
    /// The last line has a newline.
    pub(crate) final_newline: bool,
}

impl Buffer {
    /// The text of these bytes.
    pub(crate) fn of(bytes: &[u8]) -> Buffer {
        let (lines, crlf, final_newline) = split(bytes);
        Buffer {
            lines: Lines::of(lines.into_iter()),
            undo: Vec::new(),
            redo: Vec::new(),
            open: None,
            depth: 0,
            kept: 0,
            state: 0,
            states: 0,
            saved: 0,
            marks: Vec::new(),
            void: bytes.is_empty(),
            crlf,
            final_newline,
        }
    }

    pub(crate) fn len(&self) -> usize {
        self.lines.len()
    }

    /// The number of the last line.
    pub(crate) fn last(&self) -> usize {
        self.lines.len() - 1
    }

    /// A line; an empty one beyond the end.
    pub(crate) fn line(&self, at: usize) -> &[u8] {
        self.lines.get(at).unwrap_or_default()
    }

    /// Copies of lines, `to` not included.
    pub(crate) fn copy(&self, from: usize, to: usize) -> Vec<Vec<u8>> {
        (from..to.min(self.len())).map(|i| self.line(i).to_vec()).collect()
    }

    /// The bytes of some of the lines, as they are written; `to` is not included.
    pub(crate) fn bytes(&self, from: usize, to: usize) -> Vec<u8> {
        let to = to.min(self.len());
        if self.void {
            return Vec::new();
        }
        let size: usize = (from..to).map(|i| self.line(i).len() + 1 + usize::from(self.crlf)).sum();
        let mut out = Vec::with_capacity(size);
        for i in from..to {
            out.extend_from_slice(self.line(i));
            if i + 1 < self.len() || self.final_newline {
                out.extend_from_slice(if self.crlf { b"\r\n" } else { b"\n" });
            }
        }
        out
    }

    /// Writes the bytes of some of the lines; how many they are.
    pub(crate) fn write(&self, from: usize, to: usize, out: &mut dyn std::io::Write) -> std::io::Result<u64> {
        let mut size = 0;
        let mut from = from;
        let to = to.min(self.len());
        // In parts, since a copy of a large text might not find room.
        while from < to {
            let end = to.min(from + 4096);
            let bytes = self.bytes(from, end);
            out.write_all(&bytes)?;
            size += bytes.len() as u64;
            from = end;
        }
        Ok(size)
    }

    pub(crate) fn modified(&self) -> bool {
        self.state != self.saved || self.open.as_ref().is_some_and(|s| !s.changes.is_empty())
    }

    /// The text is now as it is in its file, or differs from it.
    pub(crate) fn set_modified(&mut self, yes: bool) {
        self.saved = if yes { u64::MAX } else { self.state };
    }

    /// Begins what one `u` takes back; inside of another it is part of that.
    pub(crate) fn begin(&mut self, cursor: Place) {
        self.depth += 1;
        if self.open.is_none() {
            self.open = Some(Step {
                changes: Vec::new(),
                cursor,
                states: (self.state, 0),
                voids: (self.void, false),
            });
        }
    }

    /// Ends it.
    pub(crate) fn end(&mut self) {
        self.depth = self.depth.saturating_sub(1);
        if self.depth > 0 {
            return;
        }
        let Some(mut step) = self.open.take().filter(|s| !s.changes.is_empty()) else { return };
        self.states += 1;
        self.state = self.states;
        step.states.1 = self.state;
        step.voids.1 = self.void;
        let gone: usize = self.redo.iter().map(size).sum();
        self.kept = self.kept.saturating_sub(gone);
        self.redo.clear();
        self.undo.push(step);
        let mut cut = 0;
        while self.kept > MOST_UNDO && cut + 1 < self.undo.len() {
            self.kept = self.kept.saturating_sub(size(&self.undo[cut]));
            cut += 1;
        }
        self.undo.drain(..cut);
    }

    /// Where the cursor is put when the changes that begin now are taken back.
    pub(crate) fn changes_at(&mut self, cursor: Place) {
        if let Some(step) = self.open.as_mut().filter(|s| s.changes.is_empty()) {
            step.cursor = cursor;
        }
    }

    /// Ends all that is open, so that it can be taken back, too; `begin_all` opens it again.
    pub(crate) fn end_all(&mut self) {
        let depth = std::mem::replace(&mut self.depth, 1);
        self.end();
        self.depth = depth;
    }

    /// Opens again what `end_all` ended.
    pub(crate) fn begin_all(&mut self, cursor: Place) {
        if self.depth > 0 {
            self.depth -= 1;
            self.begin(cursor);
        }
    }

    /// Whether something was changed since `begin`.
    pub(crate) fn changed_now(&self) -> bool {
        self.open.as_ref().is_some_and(|s| !s.changes.is_empty())
    }

    /// Puts lines in place of others.
    pub(crate) fn replace(&mut self, at: usize, count: usize, new: Vec<Vec<u8>>) {
        let at = at.min(self.len());
        let count = count.min(self.len() - at);
        let mut now = new.len();
        if self.void && !new.is_empty() {
            self.void = false;
        }
        self.shift(at, count, now);
        let old = self.lines.splice(at, count, new);
        if self.lines.len() == 0 {
            self.lines.splice(0, 0, vec![Vec::new()]);
            self.void = true;
            now = 1;
        }
        let Some(step) = &mut self.open else {
            self.saved = u64::MAX;
            return;
        };
        // Typing changes the same line again and again: what it was at first is enough.
        if let Some(last) = step.changes.last_mut()
            && at >= last.at
            && at + count <= last.at + last.now
        {
            last.now = last.now - count + now;
            return;
        }
        self.kept += old.iter().map(|l| l.len() + 32).sum::<usize>();
        // Changes of lines one after the other are one change: there may be a million of them.
        if let Some(last) = step.changes.last_mut()
            && at == last.at + last.now
        {
            last.now += now;
            last.old.extend(old);
            return;
        }
        step.changes.push(Change { at, old, now });
    }

    /// Puts one line in place of another.
    pub(crate) fn set(&mut self, at: usize, line: Vec<u8>) {
        self.replace(at, 1, vec![line]);
    }

    /// Puts lines before a line; into a text without lines instead of the empty one that is shown.
    pub(crate) fn insert(&mut self, at: usize, new: Vec<Vec<u8>>) {
        let count = usize::from(self.void && !new.is_empty());
        self.replace(if count == 1 { 0 } else { at }, count, new);
    }

    /// Takes back the last step, or does it again.
    pub(crate) fn undo(&mut self, again: bool) -> Option<Undone> {
        let step = if again { self.redo.pop() } else { self.undo.pop() }?;
        let before = self.len() - usize::from(self.void);
        let mut back =
            Step { changes: Vec::new(), cursor: step.cursor, states: step.states, voids: step.voids };
        let (mut top, mut changed) = (usize::MAX, 0);
        for change in step.changes.into_iter().rev() {
            let now = change.old.len();
            changed += now.min(change.now);
            self.shift(change.at, change.now, now);
            let old = self.lines.splice(change.at, change.now, change.old);
            let mut now = now;
            if self.lines.len() == 0 {
                self.lines.splice(0, 0, vec![Vec::new()]);
                now = 1;
            }
            top = top.min(change.at);
            self.kept += old.iter().map(|l| l.len() + 32).sum::<usize>();
            back.changes.push(Change { at: change.at, old, now });
        }
        (self.state, self.void) =
            if again { (step.states.1, step.voids.1) } else { (step.states.0, step.voids.0) };
        let line = top.min(self.last());
        let cursor = if step.cursor.line == line && !again { step.cursor } else { place(line, 0) };
        let more = (self.len() - usize::from(self.void)).cast_signed() - before.cast_signed();
        if again {
            self.undo.push(back)
        } else {
            self.redo.push(back)
        }
        Some(Undone { cursor, more, changed })
    }

    /// Sets a mark.
    pub(crate) fn mark(&mut self, name: char, at: Place) {
        match self.marks.iter_mut().find(|(n, _)| *n == name) {
            Some(found) => found.1 = at,
            None => self.marks.push((name, at)),
        }
    }

    /// The place of a mark.
    pub(crate) fn marked(&self, name: char) -> Option<Place> {
        self.marks.iter().find(|(n, _)| *n == name).map(|(_, p)| *p)
    }

    /// All marks, by name.
    pub(crate) fn marks(&self) -> Vec<(char, Place)> {
        let mut all = self.marks.clone();
        all.sort_unstable();
        all
    }

    /// Marks move with their lines, and go with them.
    fn shift(&mut self, at: usize, count: usize, now: usize) {
        if count == now {
            return;
        }
        self.marks.retain_mut(|(name, p)| {
            if p.line >= at + count {
                p.line = p.line - count + now;
            } else if p.line >= at + now {
                // Those of the editor itself stay where they can.
                if name.is_ascii_lowercase() {
                    return false;
                }
                p.line = (at + now).saturating_sub(1);
            }
            true
        });
    }

    /// Marks lines for `:global`.
    pub(crate) fn tag(&mut self, at: usize) {
        self.lines.tag(at);
    }

    /// The next of them.
    pub(crate) fn next_tagged(&mut self) -> Option<usize> {
        self.lines.next_tagged()
    }

    /// Forgets them.
    pub(crate) fn untag(&mut self) {
        self.lines.untag();
    }
}

fn size(step: &Step) -> usize {
    step.changes.iter().flat_map(|c| &c.old).map(|l| l.len() + 32).sum()
}

/// The lines of these bytes, whether they end in CRLF, and whether the last one has an end.
pub(crate) fn split(bytes: &[u8]) -> (Vec<Vec<u8>>, bool, bool) {
    let ended = bytes.is_empty() || bytes.last() == Some(&b'\n');
    let body = bytes.strip_suffix(b"\n").unwrap_or(bytes);
    let mut from = 0;
    let mut lines: Vec<Vec<u8>> = Vec::new();
    let mut crlf = !bytes.is_empty();
    for end in memchr::memchr_iter(b'\n', body).chain([body.len()]) {
        let line = &body[from..end];
        // All lines that have an end have this one.
        if !line.ends_with(b"\r") && (end < body.len() || ended) {
            crlf = false;
        }
        lines.push(line.to_vec());
        from = end + 1;
    }
    crlf &= lines.len() > 1 || ended;
    if crlf {
        let last = lines.len() - 1;
        for (i, line) in lines.iter_mut().enumerate() {
            if i < last || ended {
                line.pop();
            }
        }
    }
    (lines, crlf, ended)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn any_file_comes_back_as_it_was() {
        for bytes in [
            &b""[..],
            b"\n",
            b"a",
            b"a\n",
            b"a\nb",
            b"a\r\nb\r\n",
            b"a\r\nb",
            b"a\r\nb\r",
            b"a\r\nb\n",
            b"\xff\xfe\n\x00\n",
            b"\n\n\n",
            b"\r\n",
            b"\r",
        ] {
            let buffer = Buffer::of(bytes);
            assert_eq!(buffer.bytes(0, buffer.len()), bytes, "{bytes:?}");
        }
    }

    fn text(b: &Buffer) -> String {
        String::from_utf8(b.bytes(0, b.len())).unwrap()
    }

    #[test]
    fn undo_takes_back_and_does_again() {
        let mut b = Buffer::of(b"a\nb\nc\n");
        b.begin(Place::default());
        b.replace(0, 1, vec![b"x".to_vec(), b"y".to_vec()]);
        b.replace(3, 1, Vec::new());
        b.end();
        assert_eq!(text(&b), "x\ny\nb\n");
        b.undo(false);
        assert_eq!(text(&b), "a\nb\nc\n");
        assert!(!b.modified());
        b.undo(true);
        assert_eq!(text(&b), "x\ny\nb\n");
        assert!(b.modified());
        b.begin(Place::default());
        b.replace(0, 3, Vec::new());
        b.end();
        assert_eq!((text(&b).as_str(), b.len()), ("", 1));
        b.begin(Place::default());
        b.insert(1, vec![b"z".to_vec()]);
        b.end();
        assert_eq!(text(&b), "z\n");
        b.undo(false);
        assert_eq!(text(&b), "");
        b.undo(false);
        assert_eq!(text(&b), "x\ny\nb\n");
    }

    #[test]
    fn marks_follow_their_lines() {
        let mut b = Buffer::of(b"1\n2\n3\n4\n");
        b.mark('a', place(2, 0));
        b.mark('b', place(1, 0));
        b.begin(Place::default());
        b.replace(1, 1, Vec::new());
        b.end();
        assert_eq!((b.marked('a'), b.marked('b')), (Some(place(1, 0)), None));
    }
}
