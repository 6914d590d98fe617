//! What commands with GNU's manners are made of: options, messages and their ends, quoting, modes, sizes, names, times and
//! walks. It holds no command, and nothing that only one of them needs.

#![forbid(unsafe_code)]

pub mod block;
pub mod context;
pub mod glob;
pub mod mode;
pub mod names;
pub mod options;
pub mod os;
pub mod quote;
pub mod size;
pub mod time;
pub mod walk;
