//! rg: ripgrep's library crates with a command line of our own, for the VM. It searches one file after the other, sorted
//! by path, where ripgrep's threads make the order a matter of chance.
//!
//! Absent, and refused by name: PCRE2 (`-P`), compressed files (`-z`), preprocessors (`--pre`), hyperlinks, sorting by
//! time. `.gitignore` files of directories above are applied without asking what files below allow again. Without a path the
//! working directory is searched unless something comes out of standard input; ripgrep searches any pipe, ended ones too.

#![forbid(unsafe_code)]

mod args;
mod options;
mod search;
mod walk;

fn main() {
    // Natively std ignores SIGPIPE; a program dies of it, as in the guest. Should it fail, an error is reported instead.
    #[cfg(unix)]
    let _ = agentos_guest::signal::default(agentos_guest::Signal::SIGPIPE);
    let arguments: Vec<std::ffi::OsString> = std::env::args_os().skip(1).collect();
    let status = match args::parse(arguments).and_then(|wish| match wish {
        args::Wish::Say(text) => {
            print!("{text}");
            Ok(0)
        }
        args::Wish::Run(options) => search::run(*options),
    }) {
        Ok(status) => status,
        Err(message) => {
            eprintln!("{message}");
            2
        }
    };
    std::process::exit(status);
}

/// An I/O error as Rust programs show it on Linux: the number is that of Linux, not of the guest's ABI.
fn io_text(error: &std::io::Error) -> String {
    use agentos_guest::Errno;
    let Some(errno) = agentos_guest::errno_of(error) else { return error.to_string() };
    let number = match errno {
        Errno::EPERM => 1,
        Errno::ENOENT => 2,
        Errno::EIO => 5,
        Errno::EACCES => 13,
        Errno::ENOTDIR => 20,
        Errno::EISDIR => 21,
        Errno::EINVAL => 22,
        Errno::EMFILE => 24,
        Errno::ENOSPC => 28,
        Errno::EPIPE => 32,
        Errno::ENAMETOOLONG => 36,
        Errno::ELOOP => 40,
        _ => return agentos_guest::strerror(error),
    };
    format!("{} (os error {number})", agentos_guest::strerror(error))
}
