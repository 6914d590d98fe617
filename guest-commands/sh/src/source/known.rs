//! The command substitutions of the word being read. The reader has parsed them to find where they end; what takes the
//! word apart afterwards finds them here and does not parse them again, which would double the work at every level.

use crate::ir::Subst;
use std::cell::RefCell;
use std::rc::Rc;

thread_local! {
    static KNOWN: RefCell<Vec<Rc<Subst>>> = const { RefCell::new(Vec::new()) };
}

/// How many are known: what is added from here on belongs to one word.
pub(super) fn mark() -> usize {
    KNOWN.with_borrow(Vec::len)
}

/// The word is done.
pub(super) fn forget(mark: usize) {
    KNOWN.with_borrow_mut(|known| known.truncate(mark));
}

pub(super) fn add(subst: Rc<Subst>) {
    KNOWN.with_borrow_mut(|known| known.push(subst));
}

/// Length of the known substitution at the start of `text`, without the parenthesis that ends it.
pub(super) fn len_at(text: &str) -> Option<usize> {
    KNOWN.with_borrow(|known| {
        known.iter().rev().map(|s| s.text.len()).zip(known.iter().rev()).find_map(|(len, s)| {
            (text.starts_with(&*s.text) && text.as_bytes().get(len) == Some(&b')')).then_some(len)
        })
    })
}

/// The known substitution with this text.
pub(crate) fn find(text: &str) -> Option<Rc<Subst>> {
    KNOWN.with_borrow(|known| known.iter().rev().find(|s| *s.text == *text).cloned())
}
