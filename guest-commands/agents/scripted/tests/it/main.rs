//! What the agent promises, tested natively over pipes with the client's side played by the test.

mod cancel;
mod client;
mod custom_tool;
mod prompts;
mod scenarios;
mod sessions;
