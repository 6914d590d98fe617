//! The multicall program itself: hands its arguments to the dispatcher. It decides nothing.

#![forbid(unsafe_code)]

fn main() {
    std::process::exit(agentos_archive::main());
}
