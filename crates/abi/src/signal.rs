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

/// Numbers between the last signal of old and the first of real time that do not exist.
const GAP: u8 = 2;

macro_rules! signals {
    (
        $($name:ident = $num:literal, $action:ident, $text:literal;)*
        ; $($rt:ident = $rt_num:literal, $rt_name:literal, $rt_text:literal;)*
    ) => {
        /// A signal.
        ///
        /// ```
        /// use agentos_abi::Signal;
        /// assert_eq!(Signal::from_raw(9), Some(Signal::SIGKILL));
        /// assert_eq!(Signal::from_name("TERM"), Some(Signal::SIGTERM));
        /// ```
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
        #[repr(u8)]
        pub enum Signal { $(#[doc = $text] $name = $num,)* $(#[doc = $rt_text] $rt = $rt_num,)* }

        impl Signal {
            /// Every signal in numeric order.
            pub const ALL: &'static [Signal] = &[$(Signal::$name,)* $(Signal::$rt,)*];

            /// The full name, such as `SIGTERM`.
            #[must_use]
            pub const fn name(self) -> &'static str {
                match self { $(Signal::$name => stringify!($name),)* $(Signal::$rt => $rt_name,)* }
            }

            /// What a shell prints when a job ends by it.
            #[must_use]
            pub const fn description(self) -> &'static str {
                match self { $(Signal::$name => $text,)* $(Signal::$rt => $rt_text,)* }
            }

            /// What it does when neither caught nor ignored.
            #[must_use]
            pub const fn default_action(self) -> DefaultAction {
                match self {
                    $(Signal::$name => DefaultAction::$action,)*
                    $(Signal::$rt => DefaultAction::Terminate,)*
                }
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
    ; // Real-time signals.
    SIGRTMIN = 34, "SIGRTMIN", "Real-time signal 0";
    SIGRTMIN1 = 35, "SIGRTMIN+1", "Real-time signal 1";
    SIGRTMIN2 = 36, "SIGRTMIN+2", "Real-time signal 2";
    SIGRTMIN3 = 37, "SIGRTMIN+3", "Real-time signal 3";
    SIGRTMIN4 = 38, "SIGRTMIN+4", "Real-time signal 4";
    SIGRTMIN5 = 39, "SIGRTMIN+5", "Real-time signal 5";
    SIGRTMIN6 = 40, "SIGRTMIN+6", "Real-time signal 6";
    SIGRTMIN7 = 41, "SIGRTMIN+7", "Real-time signal 7";
    SIGRTMIN8 = 42, "SIGRTMIN+8", "Real-time signal 8";
    SIGRTMIN9 = 43, "SIGRTMIN+9", "Real-time signal 9";
    SIGRTMIN10 = 44, "SIGRTMIN+10", "Real-time signal 10";
    SIGRTMIN11 = 45, "SIGRTMIN+11", "Real-time signal 11";
    SIGRTMIN12 = 46, "SIGRTMIN+12", "Real-time signal 12";
    SIGRTMIN13 = 47, "SIGRTMIN+13", "Real-time signal 13";
    SIGRTMIN14 = 48, "SIGRTMIN+14", "Real-time signal 14";
    SIGRTMIN15 = 49, "SIGRTMIN+15", "Real-time signal 15";
    SIGRTMAX14 = 50, "SIGRTMAX-14", "Real-time signal 16";
    SIGRTMAX13 = 51, "SIGRTMAX-13", "Real-time signal 17";
    SIGRTMAX12 = 52, "SIGRTMAX-12", "Real-time signal 18";
    SIGRTMAX11 = 53, "SIGRTMAX-11", "Real-time signal 19";
    SIGRTMAX10 = 54, "SIGRTMAX-10", "Real-time signal 20";
    SIGRTMAX9 = 55, "SIGRTMAX-9", "Real-time signal 21";
    SIGRTMAX8 = 56, "SIGRTMAX-8", "Real-time signal 22";
    SIGRTMAX7 = 57, "SIGRTMAX-7", "Real-time signal 23";
    SIGRTMAX6 = 58, "SIGRTMAX-6", "Real-time signal 24";
    SIGRTMAX5 = 59, "SIGRTMAX-5", "Real-time signal 25";
    SIGRTMAX4 = 60, "SIGRTMAX-4", "Real-time signal 26";
    SIGRTMAX3 = 61, "SIGRTMAX-3", "Real-time signal 27";
    SIGRTMAX2 = 62, "SIGRTMAX-2", "Real-time signal 28";
    SIGRTMAX1 = 63, "SIGRTMAX-1", "Real-time signal 29";
    SIGRTMAX = 64, "SIGRTMAX", "Real-time signal 30";
}

impl Signal {
    /// The number.
    #[must_use]
    pub const fn raw(self) -> u8 {
        self as u8
    }

    /// The signal with this number. 32 and 33 are those that C libraries keep for themselves: here they do not exist.
    #[must_use]
    pub fn from_raw(raw: u8) -> Option<Signal> {
        let gap = if raw >= Signal::SIGRTMIN.raw() { GAP } else { 0 };
        let signal = Signal::ALL.get(usize::from(raw.checked_sub(1 + gap)?)).copied();
        signal.filter(|signal| signal.raw() == raw)
    }

    /// Whether as many of it wait as were sent (POSIX 2.4.2), not only one.
    #[must_use]
    pub const fn is_real_time(self) -> bool {
        self as u8 >= Signal::SIGRTMIN as u8
    }

    /// The signal of this name, with or without `SIG`, in any case. Real-time signals may be counted from SIGRTMIN.
    #[must_use]
    pub fn from_name(name: &str) -> Option<Signal> {
        let bare = match name.get(..3) {
            Some(prefix) if prefix.eq_ignore_ascii_case("SIG") => &name[3..],
            _ => name,
        };
        let named = Signal::ALL.iter().copied().find(|s| s.name()[3..].eq_ignore_ascii_case(bare));
        named.or_else(|| {
            let (base, distance) =
                bare.split_once('+').filter(|(_, n)| n.starts_with(|c: char| c.is_ascii_digit()))?;
            let distance: u8 = distance.parse().ok()?;
            let counts = base.eq_ignore_ascii_case("RTMIN");
            if counts { Signal::from_raw(Signal::SIGRTMIN.raw().checked_add(distance)?) } else { None }
        })
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
    fn numbers_and_names_round_trip() {
        assert!(Signal::ALL.iter().map(|s| s.raw()).eq((1..=31).chain(34..=64)));
        for s in Signal::ALL {
            assert_eq!(Signal::from_raw(s.raw()), Some(*s));
            assert_eq!(Signal::from_name(s.name()), Some(*s));
            assert_eq!(Signal::from_name(&s.name()[3..]), Some(*s));
        }
        for raw in [0, 32, 33, 65, 255] {
            assert_eq!(Signal::from_raw(raw), None);
        }
        assert_eq!(Signal::from_name("sigrtmin+16"), Some(Signal::SIGRTMAX14));
        for name in ["RTMIN+31", "RTMIN+", "RTMIN++1", "RTMIN+300", "RTMAX+1", "RTMAX-15"] {
            assert_eq!(Signal::from_name(name), None, "{name}");
        }
        assert_eq!(Signal::from_name("NOPE"), None);
        assert_eq!(Signal::from_name("é"), None);
    }
}
