//! What the editor asks of its surroundings: keys, a screen, lines of a script. A terminal is one host, a script another, a test a third.

use crate::key::Key;
use crate::screen::Screen;

/// What happens.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Event {
    Key(Key),
    /// The window has another size.
    Resize,
    /// There is nothing more: the editor ends with this status, says so, and keeps the text if it was not written.
    End {
        status: i32,
        note: &'static str,
        keep: bool,
    },
}

/// The surroundings.
pub(crate) trait Host {
    /// Whether a screen is seen.
    fn draws(&self) -> bool {
        false
    }
    /// Rows and columns.
    fn size(&self) -> (usize, usize) {
        (24, 80)
    }
    /// Shows the screen, and waits.
    fn event(&mut self, screen: Option<&Screen>) -> Event;
    /// Something failed.
    fn bell(&mut self) {}
    /// Whether ^C was typed.
    fn interrupted(&mut self) -> bool {
        false
    }
    /// The terminal is for other programs from now on.
    fn leave(&mut self) {}
    /// It is ours again; `wait`: after somebody has seen what they wrote.
    fn enter(&mut self, _wait: bool) {}
    /// Stops until it is continued.
    fn suspend(&mut self) {}
    /// A line of text for commands that take lines; none at the end.
    fn line(&mut self) -> Option<Vec<u8>> {
        None
    }
    /// Prints a line.
    fn print(&mut self, _text: &str) {}
}
