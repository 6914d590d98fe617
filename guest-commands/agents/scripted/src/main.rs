//! (room prepared)
fn main() {}
