//! A model of the screen of a terminal, for tests: it understands the sequences that the editor sends, and panics at others.

/// How wide a character is.
fn width(c: char) -> usize {
    match c {
        '\u{300}'..='\u{36f}' => 0,
        '\u{1100}'..='\u{115f}'
        | '\u{2e80}'..='\u{a4cf}'
        | '\u{ac00}'..='\u{d7a3}'
        | '\u{ff00}'..='\u{ff60}' => 2,
        _ => 1,
    }
}

/// A terminal, with a second screen that programs may use for a time.
pub(crate) struct Model {
    cells: Vec<Vec<char>>,
    first: Option<(Vec<Vec<char>>, usize, usize)>,
    pub(crate) row: usize,
    pub(crate) column: usize,
    columns: usize,
}

impl Model {
    pub(crate) fn new(columns: usize, height: usize) -> Self {
        Model { cells: vec![vec![' '; columns]; height], first: None, row: 0, column: 0, columns }
    }

    /// Another size.
    pub(crate) fn resize(&mut self, columns: usize, height: usize) {
        self.columns = columns;
        self.cells = vec![vec![' '; columns]; height];
        (self.row, self.column) = (0, 0);
    }

    fn down(&mut self) {
        self.row += 1;
        if self.row == self.cells.len() {
            self.cells.remove(0);
            self.cells.push(vec![' '; self.columns]);
            self.row -= 1;
        }
    }

    /// Shows what a program wrote.
    pub(crate) fn feed(&mut self, text: &str) {
        let mut chars = text.chars();
        while let Some(c) = chars.next() {
            match c {
                '\r' => self.column = 0,
                '\n' => self.down(),
                '\x07' => {}
                '\x1b' => {
                    assert_eq!(chars.next(), Some('['));
                    let mut number = String::new();
                    let letter = loop {
                        match chars.next() {
                            Some(c @ ('0'..='9' | '?' | ';')) => number.push(c),
                            other => break other,
                        }
                    };
                    self.sequence(&number, letter.expect("a whole sequence"));
                }
                c if width(c) == 0 => {}
                c => {
                    assert!(!c.is_control(), "{c:?}");
                    if self.column + width(c) > self.columns {
                        self.column = 0;
                        self.down();
                    }
                    self.cells[self.row][self.column] = c;
                    if width(c) == 2 {
                        self.cells[self.row][self.column + 1] = '\0';
                    }
                    self.column += width(c);
                }
            }
        }
    }

    fn sequence(&mut self, number: &str, letter: char) {
        let mut numbers = number.split(';').map(|n| n.parse().unwrap_or(1));
        match (number, letter) {
            ("?1049", 'h') => {
                let blank = vec![vec![' '; self.columns]; self.cells.len()];
                self.first = Some((std::mem::replace(&mut self.cells, blank), self.row, self.column));
            }
            ("?1049", 'l') => {
                (self.cells, self.row, self.column) = self.first.take().expect("the second screen");
            }
            (_, 'H') => {
                self.row = numbers.next().unwrap_or(1) - 1;
                self.column = numbers.next().unwrap_or(1) - 1;
            }
            (_, 'K') => {
                let column = self.column.min(self.columns);
                self.cells[self.row][column..].fill(' ');
            }
            ("2", 'J') => self.cells.iter_mut().for_each(|row| row.fill(' ')),
            (_, 'm' | 'h' | 'l') => {}
            other => panic!("an unknown sequence: {other:?}"),
        }
    }

    /// Its lines, without blanks at their ends and empty lines below the last.
    pub(crate) fn text(&self) -> Vec<String> {
        let line = |cells: &Vec<char>| {
            let text: String = cells.iter().filter(|c| **c != '\0').collect();
            text.trim_end().to_owned()
        };
        let mut lines: Vec<String> = self.cells.iter().map(line).collect();
        while lines.last().is_some_and(String::is_empty) {
            lines.pop();
        }
        lines
    }
}
