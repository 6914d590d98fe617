//! Strings and lists that commands are done with, for the next command's words. It holds nothing but their memory.
//!
//! A loop expands the same few words again and again; taking their memory from here instead of the allocator makes
//! simple commands about a third faster.

/// How many strings are kept, and how large one may be.
const TEXTS: usize = 64;
const LARGE: usize = 512;
/// How many lists are kept, and how many strings one may have room for.
const LISTS: usize = 8;
const LONG: usize = 64;

/// Memory to use again.
#[derive(Debug, Default)]
pub(crate) struct Spare {
    texts: Vec<String>,
    lists: Vec<Vec<String>>,
}

impl Spare {
    /// An empty string.
    #[inline]
    pub(crate) fn take(&mut self) -> String {
        self.texts.pop().unwrap_or_default()
    }

    /// A string of its own with the given text.
    #[inline]
    pub(crate) fn text(&mut self, text: &str) -> String {
        let mut own = self.take();
        own.push_str(text);
        own
    }

    /// An empty list.
    #[inline]
    pub(crate) fn list(&mut self) -> Vec<String> {
        self.lists.pop().unwrap_or_default()
    }

    /// Takes back a string.
    #[inline]
    pub(crate) fn give(&mut self, mut text: String) {
        if self.texts.len() < TEXTS && text.capacity() > 0 && text.capacity() <= LARGE {
            text.clear();
            self.texts.push(text);
        }
    }

    /// Takes back a list and its strings.
    #[inline]
    pub(crate) fn give_list(&mut self, mut list: Vec<String>) {
        for text in list.drain(..) {
            self.give(text);
        }
        if self.lists.len() < LISTS && list.capacity() <= LONG {
            self.lists.push(list);
        }
    }
}
