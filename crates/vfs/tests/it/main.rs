//! What the file systems promise, checked through their public interface.

mod cases;
mod script;
