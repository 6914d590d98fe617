//! The shell at a terminal. What a prompt means is in `prompt`, what commands do in the rooms of a shell that runs scripts.

/// How a shell is used by a person.
#[derive(Debug)]
pub(crate) struct Session {
    /// This is an interactive shell, and no subshell of one: an error ends the command only.
    pub(crate) active: bool,
    /// Commands come from standard input.
    pub(crate) stdin: bool,
    /// The name that the shell was called by.
    pub(crate) name: String,
    /// Lines are edited: prompts mark what takes no room on the screen.
    pub(crate) edits: bool,
    /// The number of the command that is being read.
    pub(crate) command_number: u32,
    /// The number that the next entry of the history gets.
    pub(crate) history_number: usize,
}

impl Default for Session {
    fn default() -> Self {
        Session {
            active: false,
            stdin: false,
            name: String::new(),
            edits: false,
            command_number: 1,
            history_number: 1,
        }
    }
}
