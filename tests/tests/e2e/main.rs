//! What the system promises, tested through the public client against the real program. One module per area; each test
//! has a machine of its own and a watch of one minute, which only tells a hang. Nothing here measures time.
#![allow(clippy::unwrap_used)]

mod test_exec;
