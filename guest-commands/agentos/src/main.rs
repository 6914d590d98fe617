//! The program `agentos`, also called as `agentos-TOOLKIT`. Everything it does is in the library.

#![forbid(unsafe_code)]

fn main() {
    // Natively std ignores SIGPIPE; a program dies of it, as in the guest. Should it fail, an error is reported instead.
    #[cfg(unix)]
    let _ = agentos_guest::signal::default(agentos_guest::Signal::SIGPIPE);
    let arguments: Vec<std::ffi::OsString> = std::env::args_os().collect();
    agentos_guest::process::exit(agentos_toolkits::main(&arguments));
}
