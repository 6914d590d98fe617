//! The seam between the rows of a store and what keeps them: named tables of bytes, read in order, written in transactions.

pub(crate) mod file;
pub(crate) mod sqlite;

use crate::StoreError;

/// The tables of a store.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Table {
    /// What holds of the whole: format, state, base.
    Head,
    Inodes,
    Entries,
    Chunks,
}

impl Table {
    pub(crate) const ALL: [Table; 4] = [Table::Head, Table::Inodes, Table::Entries, Table::Chunks];

    pub(crate) fn name(self) -> &'static str {
        match self {
            Table::Head => "head",
            Table::Inodes => "inodes",
            Table::Entries => "entries",
            Table::Chunks => "chunks",
        }
    }
}

/// Takes one row; its error ends the reading.
pub(crate) type Each<'a> = &'a mut dyn FnMut(&[u8], &[u8]) -> Result<(), StoreError>;
/// Makes the changes of one transaction.
pub(crate) type Fill<'a> = &'a mut dyn FnMut(&mut dyn Changes) -> Result<(), StoreError>;

/// What keeps rows.
pub(crate) trait Backend: Send {
    /// All rows of a table by the order of their keys; none if there is no such table.
    fn read(&mut self, table: Table, each: Each<'_>) -> Result<(), StoreError>;

    /// One transaction: when it answers, all is on stable storage; when it fails, nothing is there or all of it.
    fn write(&mut self, fill: Fill<'_>) -> Result<(), StoreError>;
}

/// A transaction.
pub(crate) trait Changes {
    /// The row is this one now.
    fn put(&mut self, table: Table, key: &[u8], value: &[u8]) -> Result<(), StoreError>;

    /// The row is gone; it may never have been there.
    fn remove(&mut self, table: Table, key: &[u8]) -> Result<(), StoreError>;

    /// All rows of all tables are gone.
    fn clear(&mut self) -> Result<(), StoreError>;
}
