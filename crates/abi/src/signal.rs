//! Signal numbers (those of Linux on x86-64) and their default actions.

/// What a signal does to a process that neither catches nor ignores it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DefaultAction {
    /// The process ends.
    Terminate,
    /// Nothing happens.
    Ignore,
    /// The process stops.
    Stop,
    /// A stopped process goes on.
    Continue,
}

/// Disposition: the default action. Values of `sigaction`.
pub const SIG_DFL: u32 = 0;
/// Disposition: ignored.
pub const SIG_IGN: u32 = 1;
/// Disposition: caught; the program asks with `next_signal`.
pub const SIG_CATCH: u32 = 2;

/// `sigmask`: add these signals to the blocked ones.
pub const SIG_BLOCK: u32 = 0;
/// `sigmask`: remove these signals.
pub const SIG_UNBLOCK: u32 = 1;
/// `sigmask`: block exactly these.
pub const SIG_SETMASK: u32 = 2;

macro_rules! signals {
    ($($name:ident = $num:literal, $action:ident, $text:literal;)*) => {
        /// A signal.
        ///
        /// ```
        /// use agentos_abi::Signal;
        /// assert_eq!(Signal::from_raw(9), Some(Signal::SIGKILL));
        /// assert_eq!(Signal::from_name("TERM"), Some(Signal::SIGTERM));
        /// ```
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
        #[repr(u8)]
        pub enum Signal { $(#[doc = $text] $name = $num,)* }

        impl Signal {
            /// Every signal in numeric order.
            pub const ALL: &'static [Signal] = &[$(Signal::$name,)*];

            /// The full name, such as `SIGTERM`.
            #[must_use]
            pub const fn name(self) -> &'static str {
                match self { $(Signal::$name => stringify!($name),)* }
            }

            /// What a shell prints when a job ends by it.
            #[must_use]
            pub const fn description(self) -> &'static str {
                match self { $(Signal::$name => $text,)* }
            }

            /// What it does when neither caught nor ignored.
            #[must_use]
            pub const fn default_action(self) -> DefaultAction {
                match self { $(Signal::$name => DefaultAction::$action,)* }
            }
        }
    };
}

signals! {
    SIGHUP = 1, Terminate, "Hangup";
    SIGINT = 2, Terminate, "Interrupt";
    SIGQUIT = 3, Terminate, "Quit";
    SIGILL = 4, Terminate, "Illegal instruction";
    SIGTRAP = 5, Terminate, "Trace/breakpoint trap";
    SIGABRT = 6, Terminate, "Aborted";
    SIGBUS = 7, Terminate, "Bus error";
    SIGFPE = 8, Terminate, "Floating point exception";
    SIGKILL = 9, Terminate, "Killed";
    SIGUSR1 = 10, Terminate, "User defined signal 1";
    SIGSEGV = 11, Terminate, "Segmentation fault";
    SIGUSR2 = 12, Terminate, "User defined signal 2";
    SIGPIPE = 13, Terminate, "Broken pipe";
    SIGALRM = 14, Terminate, "Alarm clock";
    SIGTERM = 15, Terminate, "Terminated";
    SIGSTKFLT = 16, Terminate, "Stack fault";
    SIGCHLD = 17, Ignore, "Child exited";
    SIGCONT = 18, Continue, "Continued";
    SIGSTOP = 19, Stop, "Stopped (signal)";
    SIGTSTP = 20, Stop, "Stopped";
    SIGTTIN = 21, Stop, "Stopped (tty input)";
    SIGTTOU = 22, Stop, "Stopped (tty output)";
    SIGURG = 23, Ignore, "Urgent I/O condition";
    SIGXCPU = 24, Terminate, "CPU time limit exceeded";
    SIGXFSZ = 25, Terminate, "File size limit exceeded";
    SIGVTALRM = 26, Terminate, "Virtual timer expired";
    SIGPROF = 27, Terminate, "Profiling timer expired";
    SIGWINCH = 28, Ignore, "Window changed";
    SIGIO = 29, Terminate, "I/O possible";
    SIGPWR = 30, Terminate, "Power failure";
    SIGSYS = 31, Terminate, "Bad system call";
}

impl Signal {
    /// The number.
    #[must_use]
    pub const fn raw(self) -> u8 {
        self as u8
    }

    /// The signal with this number.
    #[must_use]
    pub fn from_raw(raw: u8) -> Option<Signal> {
        raw.checked_sub(1).and_then(|i| Signal::ALL.get(usize::from(i)).copied())
    }

    /// The signal of this name, with or without `SIG`, in any case.
    #[must_use]
    pub fn from_name(name: &str) -> Option<Signal> {
        let bare = match name.get(..3) {
            Some(prefix) if prefix.eq_ignore_ascii_case("SIG") => &name[3..],
            _ => name,
        };
        Signal::ALL.iter().copied().find(|s| s.name()[3..].eq_ignore_ascii_case(bare))
    }

    /// The bit of this signal in a mask: bit `number - 1`.
    #[must_use]
    pub const fn bit(self) -> u64 {
        1 << (self as u8 - 1)
    }
}

#[cfg(test)]
mod tests {
    use super::Signal;

    #[test]
    fn numbers_are_dense_and_names_round_trip() {
        for (i, s) in Signal::ALL.iter().enumerate() {
            assert_eq!(usize::from(s.raw()), i + 1);
            assert_eq!(Signal::from_raw(s.raw()), Some(*s));
            assert_eq!(Signal::from_name(s.name()), Some(*s));
            assert_eq!(Signal::from_name(&s.name()[3..]), Some(*s));
        }
        assert_eq!(Signal::from_raw(0), None);
        assert_eq!(Signal::from_name("NOPE"), None);
        assert_eq!(Signal::from_name("é"), None);
    }
}
