//! The kernel and its backends from outside.
