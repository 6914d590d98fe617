//! The lines that `log --graph` draws beside commits: one state machine that is fed commit by commit. It selects nothing.

use crate::oid::Oid;

/// What the next line will be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    Padding,
    Skip,
    /// Lines that make room for a merge of three or more.
    Before,
    Commit,
    Merge,
    Collapsing,
}

#[derive(Clone, Copy, Debug)]
struct Column {
    commit: Oid,
    color: usize,
}

const COLORS: [&str; 12] =
    ["31", "32", "33", "34", "35", "36", "1;31", "1;32", "1;33", "1;34", "1;35", "1;36"];

/// The drawing.
pub(crate) struct Graph {
    commit: Oid,
    parents: Vec<Oid>,
    mark: char,
    state: State,
    previous_state: State,
    columns: Vec<Column>,
    new_columns: Vec<Column>,
    /// For each place of a line, the column that the edge there leads to.
    mapping: Vec<Option<usize>>,
    old_mapping: Vec<Option<usize>>,
    width: usize,
    expansion: usize,
    index: usize,
    previous_index: usize,
    /// Whether the first parent of a merge lies to the left (0) or below (1).
    layout: Option<usize>,
    edges_added: isize,
    previous_edges_added: isize,
    color: Option<usize>,
}

impl Graph {
    /// An empty graph.
    pub(crate) fn new(color: bool) -> Graph {
        Graph {
            commit: Oid::ZERO,
            parents: Vec::new(),
            mark: '*',
            state: State::Padding,
            previous_state: State::Padding,
            columns: Vec::new(),
            new_columns: Vec::new(),
            mapping: Vec::new(),
            old_mapping: Vec::new(),
            width: 0,
            expansion: 0,
            index: 0,
            previous_index: 0,
            layout: None,
            edges_added: 0,
            previous_edges_added: 0,
            color: color.then_some(COLORS.len() - 1),
        }
    }

    /// Goes on to the next commit, with those parents that are shown or would be.
    pub(crate) fn update(&mut self, commit: Oid, parents: Vec<Oid>, mark: char) {
        (self.commit, self.parents, self.mark) = (commit, parents, mark);
        self.previous_index = self.index;
        self.update_columns();
        self.expansion = 0;
        self.state = if self.state != State::Padding {
            State::Skip
        } else if self.needs_room() {
            State::Before
        } else {
            State::Commit
        };
    }

    /// Whether all lines of the commit are drawn.
    pub(crate) fn finished(&self) -> bool {
        self.state == State::Padding
    }

    fn update_columns(&mut self) {
        self.columns = std::mem::take(&mut self.new_columns);
        let room = 2 * (self.columns.len() + self.parents.len());
        self.mapping = vec![None; room.max(1)];
        self.width = 0;
        self.previous_edges_added = self.edges_added;
        self.edges_added = 0;
        let place = self.columns.iter().position(|c| c.commit == self.commit);
        let count = self.columns.len() + usize::from(place.is_none());
        for i in 0..count {
            if i != place.unwrap_or(self.columns.len()) {
                self.insert(self.columns[i].commit, None);
                continue;
            }
            self.index = i;
            self.layout = None;
            for parent in self.parents.clone() {
                if (self.parents.len() > 1 || place.is_none())
                    && let Some(color) = &mut self.color
                {
                    *color = (*color + 1) % COLORS.len();
                }
                self.insert(parent, Some(i));
            }
            if self.parents.is_empty() {
                self.width += 2;
            }
        }
        while self.mapping.len() > 1 && self.mapping.last() == Some(&None) {
            self.mapping.pop();
        }
    }

    /// Where a commit goes in the next row; `from` is the place of its child if that is the one that is drawn.
    fn insert(&mut self, commit: Oid, from: Option<usize>) {
        let at = match self.new_columns.iter().position(|c| c.commit == commit) {
            Some(at) => at,
            None => {
                let old = self.columns.iter().find(|c| c.commit == commit).map(|c| c.color);
                let color = old.or(self.color).unwrap_or(COLORS.len());
                self.new_columns.push(Column { commit, color });
                self.new_columns.len() - 1
            }
        };
        let place = match from {
            Some(from) if self.parents.len() > 1 && self.layout.is_none() => {
                let distance = from as isize - at as isize;
                let shift = if distance > 1 { 2 * distance - 3 } else { 1 };
                let layout = usize::from(distance <= 0);
                self.layout = Some(layout);
                self.edges_added = self.parents.len() as isize + layout as isize - 2;
                let place = self.width as isize + (layout as isize - 1) * shift;
                self.width += 2 * layout;
                place.max(0) as usize
            }
            _ if self.edges_added > 0 && self.width >= 2 && self.mapping[self.width - 2] == Some(at) => {
                self.edges_added = -1;
                self.width - 2
            }
            _ => {
                self.width += 2;
                self.width - 2
            }
        };
        if place >= self.mapping.len() {
            self.mapping.resize(place + 1, None);
        }
        self.mapping[place] = Some(at);
    }

    fn dashes(&self) -> usize {
        (self.parents.len() + self.layout.unwrap_or(0)).saturating_sub(3)
    }

    fn needs_room(&self) -> bool {
        self.parents.len() >= 3 && self.index + 1 < self.columns.len() && self.expansion < self.dashes() * 2
    }

    fn in_place(&self) -> bool {
        self.mapping.iter().enumerate().all(|(i, target)| target.is_none_or(|t| t == i / 2))
    }

    fn go(&mut self, state: State) {
        self.previous_state = self.state;
        self.state = state;
    }

    fn settle(&mut self) {
        self.go(if self.in_place() { State::Padding } else { State::Collapsing });
    }

    /// The next line, without its end; whether it is that of the commit.
    pub(crate) fn next_line(&mut self) -> (String, bool) {
        let mut line = Line::default();
        let mut commit = false;
        match self.state {
            State::Padding => {
                for column in &self.new_columns {
                    line.edge(column, '|');
                    line.plain(' ');
                }
            }
            State::Skip => {
                "...".chars().for_each(|c| line.plain(c));
                self.go(if self.needs_room() { State::Before } else { State::Commit });
            }
            State::Before => self.room_line(&mut line),
            State::Commit => {
                self.commit_line(&mut line);
                commit = true;
            }
            State::Merge => self.merge_line(&mut line),
            State::Collapsing => self.collapsing_line(&mut line),
        }
        (self.padded(line), commit)
    }

    /// A line that only continues the edges; before a commit it does not reach it.
    pub(crate) fn padding_line(&mut self) -> String {
        if self.state != State::Commit {
            return self.next_line().0;
        }
        let mut line = Line::default();
        for column in &self.columns {
            line.edge(column, '|');
            if column.commit == self.commit && self.parents.len() > 2 {
                (0..(self.parents.len() - 2) * 2).for_each(|_| line.plain(' '));
            } else {
                line.plain(' ');
            }
        }
        self.previous_state = State::Padding;
        self.padded(line)
    }

    fn padded(&self, mut line: Line) -> String {
        while line.width < self.width {
            line.plain(' ');
        }
        line.text
    }

    fn room_line(&mut self, line: &mut Line) {
        let mut seen = false;
        for (i, column) in self.columns.iter().enumerate() {
            if column.commit == self.commit {
                seen = true;
                line.edge(column, '|');
                (0..self.expansion).for_each(|_| line.plain(' '));
            } else if seen && self.expansion == 0 {
                let bent = self.previous_state == State::Merge && self.previous_index < i;
                line.edge(column, if bent { '\\' } else { '|' });
            } else {
                line.edge(column, if seen { '\\' } else { '|' });
            }
            line.plain(' ');
        }
        self.expansion += 1;
        if !self.needs_room() {
            self.go(State::Commit);
        }
    }

    fn commit_line(&mut self, line: &mut Line) {
        let mut seen = false;
        for i in 0..=self.columns.len() {
            if i == self.columns.len() && seen {
                break;
            }
            let column = self.columns.get(i);
            if column.is_none_or(|c| c.commit == self.commit) {
                seen = true;
                line.plain(self.mark);
                if self.parents.len() > 2 {
                    let dashes = self.dashes();
                    for d in 0..dashes {
                        let target = self.mapping.get((self.index + d + 2) * 2).copied().flatten();
                        if let Some(column) = target.and_then(|t| self.new_columns.get(t)) {
                            line.edge(column, '-');
                            line.edge(column, if d + 1 == dashes { '.' } else { '-' });
                        }
                    }
                }
            } else if let Some(column) = column {
                let sign = if seen && self.edges_added > 1 {
                    '\\'
                } else if seen && self.edges_added == 1 {
                    let bent = self.previous_state == State::Merge
                        && self.previous_edges_added > 0
                        && self.previous_index < i;
                    if bent { '\\' } else { '|' }
                } else if self.previous_state == State::Collapsing
                    && self.old_mapping.get(2 * i + 1).copied().flatten() == Some(i)
                    && self.mapping.get(2 * i).copied().flatten().is_none_or(|t| t < i)
                {
                    '/'
                } else {
                    '|'
                };
                line.edge(column, sign);
            }
            line.plain(' ');
        }
        if self.parents.len() > 1 { self.go(State::Merge) } else { self.settle() }
    }

    fn merge_line(&mut self, line: &mut Line) {
        const SIGNS: [char; 3] = ['/', '|', '\\'];
        let layout = self.layout.unwrap_or(1);
        let first = self.parents.first().copied();
        let mut first_column = None;
        let mut seen = false;
        for i in 0..=self.columns.len() {
            if i == self.columns.len() && seen {
                break;
            }
            let column = self.columns.get(i).copied();
            if column.is_none_or(|c| c.commit == self.commit) {
                seen = true;
                let mut sign = layout;
                for (j, parent) in self.parents.iter().enumerate() {
                    if let Some(column) = self.new_columns.iter().find(|c| c.commit == *parent) {
                        line.edge(column, SIGNS[sign]);
                    }
                    if sign == 2 {
                        if self.edges_added > 0 || j + 1 < self.parents.len() {
                            line.plain(' ');
                        }
                    } else {
                        sign += 1;
                    }
                }
                if self.edges_added == 0 {
                    line.plain(' ');
                }
            } else if let Some(column) = &column {
                if seen {
                    line.edge(column, if self.edges_added > 0 { '\\' } else { '|' });
                    line.plain(' ');
                } else {
                    line.edge(column, '|');
                    if layout != 0 || i + 1 != self.index {
                        match &first_column {
                            Some(first) => line.edge(first, '_'),
                            None => line.plain(' '),
                        }
                    }
                }
            }
            if let Some(column) = column
                && Some(column.commit) == first
            {
                first_column = Some(column);
            }
        }
        self.settle();
    }

    fn collapsing_line(&mut self, line: &mut Line) {
        let old = std::mem::take(&mut self.mapping);
        let size = old.len();
        let mut new: Vec<Option<usize>> = vec![None; size];
        // The edge that moves more than one place in this line, and where to.
        let mut horizontal: Option<(usize, usize)> = None;
        for (i, target) in old.iter().enumerate() {
            let Some(target) = *target else { continue };
            if target * 2 >= i {
                new[i] = Some(target);
                continue;
            }
            let edge = match new[i - 1] {
                None => {
                    new[i - 1] = Some(target);
                    i
                }
                // The branch line to the left is where it goes.
                Some(left) if left == target => continue,
                Some(_) => {
                    if i >= 2 {
                        new[i - 2] = Some(target);
                    }
                    i - 1
                }
            };
            if horizontal.is_none() {
                horizontal = Some((edge, target));
                let mut j = target * 2 + 3;
                while j + 2 < i {
                    new[j] = Some(target);
                    j += 2;
                }
            }
        }
        self.old_mapping = new.clone();
        if size > 0 && new[size - 1].is_none() {
            new.pop();
        }
        let mut used = false;
        for (i, place) in new.iter_mut().enumerate() {
            let Some(target) = *place else {
                line.plain(' ');
                continue;
            };
            let column = self.new_columns[target];
            if target * 2 == i {
                line.edge(&column, '|');
            } else if let Some((edge, to)) = horizontal
                && target == to
                && i + 1 != edge
            {
                if i != target * 2 + 3 {
                    *place = None;
                }
                used = true;
                line.edge(&column, '_');
            } else {
                if used && horizontal.is_some_and(|(edge, _)| i < edge) {
                    *place = None;
                }
                line.edge(&column, '/');
            }
        }
        self.mapping = new;
        if self.in_place() {
            self.go(State::Padding);
        }
    }

    /// What is left to draw of this commit, with line ends between but not behind.
    fn remainder(&mut self) -> String {
        let mut out = String::new();
        while !self.finished() {
            out += &self.next_line().0;
            if !self.finished() {
                out.push('\n');
            }
        }
        out
    }

    /// The lines up to the commit's, and the text of the commit beside what follows.
    pub(crate) fn with_text(&mut self, text: &[u8]) -> Vec<u8> {
        let mut out = Vec::new();
        if self.finished() {
            out.extend(self.padding_line().bytes());
        }
        while !self.finished() {
            let (line, commit) = self.next_line();
            out.extend(line.bytes());
            if commit {
                break;
            }
            out.push(b'\n');
        }
        for (at, line) in crate::bytes::lines(text).enumerate() {
            if at > 0 {
                out.extend(self.next_line().0.bytes());
            }
            out.extend_from_slice(line);
        }
        if !self.finished() {
            let ended = text.ends_with(b"\n");
            if !ended {
                out.push(b'\n');
            }
            out.extend(self.remainder().bytes());
            if ended {
                out.push(b'\n');
            }
        }
        out
    }

    /// Text below the commit, each line beside the edges that go on.
    pub(crate) fn beside(&mut self, text: &[u8]) -> Vec<u8> {
        let mut out = Vec::new();
        for line in crate::bytes::lines(text) {
            out.extend(self.padding_line().bytes());
            out.extend_from_slice(line);
        }
        out
    }
}

#[derive(Default)]
struct Line {
    text: String,
    width: usize,
}

impl Line {
    fn plain(&mut self, sign: char) {
        self.text.push(sign);
        self.width += 1;
    }

    fn edge(&mut self, column: &Column, sign: char) {
        match COLORS.get(column.color) {
            Some(code) => self.text += &format!("\x1b[{code}m{sign}\x1b[m"),
            None => self.text.push(sign),
        }
        self.width += 1;
    }
}
