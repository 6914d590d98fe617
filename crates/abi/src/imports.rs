//! Signatures of every call of module [`MODULE`](crate::MODULE), in one table that both sides expand.
//!
//! Conventions: `ptr` and `len` are a byte range of the caller's memory; a result is 0 or a WASI errno
//! ([`Errno`](crate::Errno)) unless the entry says otherwise; `out` points to where a result is stored, little endian. A
//! list is packed: for each item a `u32` length, then its bytes. A path relative to `dirfd` resolves like the `*at`
//! calls of POSIX, `AT_FDCWD` being the working directory. Calls marked `wait` may suspend the caller and end with
//! EINTR when a caught signal arrives.

/// Calls `$emit!` with the whole table: `{ name(param: type, …) -> type; … }`.
///
/// Types are `i32`, `i64`. The host expands it to check its linker, the SDK to declare the imports.
#[macro_export]
macro_rules! agentos_v1 {
    ($emit:ident) => {
        $emit! {
            // --- processes
            // Starts a program. `fd_map`: pairs of u32 (child fd, parent fd or FD_CLOSE), `fd_map_len` in bytes.
            // `cwd_len` 0: the caller's. `pgid`: PGID_INHERIT, PGID_NEW or a group of the caller's session.
            // Stores the pid (u32) at `out_pid`. ENOENT, EACCES, ENOEXEC as execve(2).
            spawn(path: i32, path_len: i32, argv: i32, argv_len: i32, env: i32, env_len: i32, cwd: i32, cwd_len: i32,
                  fd_map: i32, fd_map_len: i32, pgid: i32, flags: i32, out_pid: i32) -> i32;
            // Replaces the program of the caller; returns only on failure. `flags`: SPAWN_SEARCH_PATH, SPAWN_INHERIT_ENV.
            exec(path: i32, path_len: i32, argv: i32, argv_len: i32, env: i32, env_len: i32, flags: i32) -> i32;
            // A child with a copy of the caller's memory runs `__agentos_clone_entry(func, arg)`; its result is the status.
            // `flags`: SPAWN_FOREGROUND.
            clone_call(func: i32, arg: i32, pgid: i32, flags: i32, out_pid: i32) -> i32;
            // wait. `pid` as waitpid(2): >0 that child, 0 the caller's group, -1 any, <-1 that group. Stores a WaitResult.
            waitpid(pid: i32, flags: i32, out: i32) -> i32;
            // These return the number itself, never an error.
            getpid() -> i32;
            getppid() -> i32;
            // pid 0: the caller. Stores a u32.
            getpgid(pid: i32, out: i32) -> i32;
            getsid(pid: i32, out: i32) -> i32;
            setpgid(pid: i32, pgid: i32) -> i32;
            // Stores the new session id.
            setsid(out: i32) -> i32;
            // Returns the old mask.
            umask(mask: i32) -> i32;
            chdir(path: i32, path_len: i32) -> i32;
            fchdir(fd: i32) -> i32;
            // Stores the path without NUL at `buf` and its length at `out_len`; ERANGE (length stored) if too small.
            getcwd(buf: i32, buf_len: i32, out_len: i32) -> i32;
            // `resource` as RLIMIT_* of Linux; stores soft and hard limit, two u64.
            getrlimit(resource: i32, out: i32) -> i32;
            setrlimit(resource: i32, soft: i64, hard: i64) -> i32;
            // Stores a Times.
            times(out: i32) -> i32;
            // `who`: RUSAGE_SELF, RUSAGE_CHILDREN. Stores a Rusage.
            getrusage(who: i32, out: i32) -> i32;
            // Sets the name and arguments that /proc and ps show.
            set_title(argv: i32, argv_len: i32) -> i32;

            // --- signals
            // `pid` as kill(2): >0 process, 0 own group, -1 all, <-1 group; `sig` 0 only checks.
            kill(pid: i32, sig: i32) -> i32;
            // Sets SIG_DFL, SIG_IGN or SIG_CATCH; stores the old one (u32) at `out_old` unless 0.
            sigaction(sig: i32, disposition: i32, out_old: i32) -> i32;
            // `how`: SIG_BLOCK, SIG_UNBLOCK, SIG_SETMASK; stores the old mask (u64) at `out_old` unless 0.
            sigmask(how: i32, mask: i64, out_old: i32) -> i32;
            // Stores the pending blocked or caught signals as a mask (u64).
            sigpending(out: i32) -> i32;
            // Takes the next caught and unblocked signal; returns its number, or 0.
            next_signal() -> i32;
            // Registers the address of a u32 which the host sets to 1 when a caught signal waits; 0 unregisters.
            pending_word(addr: i32) -> i32;
            // SIGALRM after `ms` milliseconds (0: none); stores what was left of the former one (u64) unless 0.
            alarm(ms: i64, out_left: i32) -> i32;
            // SIGALRM after `value_us` microseconds (0: none), then every `interval_us` (0: once). `which`: ITIMER_REAL.
            // Stores interval and what was left of the former timer, two u64 of microseconds, unless 0.
            setitimer(which: i32, interval_us: i64, value_us: i64, out_old: i32) -> i32;
            // Stores the same of the timer that is set.
            getitimer(which: i32, out: i32) -> i32;
            // wait. Returns EINTR when a caught signal arrives.
            pause() -> i32;

            // --- descriptors
            // Stores the two ends, read then write. `flags`: CLOEXEC, NONBLOCK.
            pipe(flags: i32, out: i32) -> i32;
            // The lowest free number from `at_least` on. `flags`: CLOEXEC.
            dup(fd: i32, at_least: i32, flags: i32, out: i32) -> i32;
            dup2(fd: i32, to: i32, flags: i32) -> i32;
            fcntl(fd: i32, cmd: i32, arg: i32, out: i32) -> i32;
            // wait.
            flock(fd: i32, op: i32) -> i32;
            // wait (F_SETLKW, F_OFD_SETLKW). `cmd`: F_GETLK, F_SETLK, F_SETLKW or their F_OFD_ kin; `lock` points to a RecordLock,
            // which the commands that ask replace. EAGAIN, EDEADLK, EBADF (mode), EINVAL, EOVERFLOW (range), ENOLCK.
            record_lock(fd: i32, cmd: i32, lock: i32) -> i32;
            // 0 if a terminal, else ENOTTY or EBADF.
            isatty(fd: i32) -> i32;
            // wait (FIFO). O_* flags and a mode that the umask applies to. Stores the descriptor.
            open(dirfd: i32, path: i32, path_len: i32, flags: i32, mode: i32, out: i32) -> i32;
            // Number of open descriptors' list: stores up to `cap` u32 numbers at `buf`, the count at `out_len`.
            list_fds(buf: i32, cap: i32, out_len: i32) -> i32;

            // --- terminals. All fail with ENOTTY where `fd` is none.
            // Stores a Termios.
            tcgetattr(fd: i32, out: i32) -> i32;
            // wait. `when`: TCSANOW, TCSADRAIN, TCSAFLUSH; `termios` points to a Termios. SIGTTOU from the background.
            tcsetattr(fd: i32, when: i32, termios: i32) -> i32;
            // wait. Until all output was taken.
            tcdrain(fd: i32) -> i32;
            // wait. `queue`: TCIFLUSH, TCOFLUSH, TCIOFLUSH.
            tcflush(fd: i32, queue: i32) -> i32;
            // wait. `action`: TCOOFF, TCOON, TCIOFF, TCION.
            tcflow(fd: i32, action: i32) -> i32;
            // Stores a Winsize.
            tcgetwinsize(fd: i32, out: i32) -> i32;
            // wait. `size` points to a Winsize. SIGWINCH to the foreground group if it changed.
            tcsetwinsize(fd: i32, size: i32) -> i32;
            // Stores the foreground process group of the caller's controlling terminal (u32).
            tcgetpgrp(fd: i32, out: i32) -> i32;
            // wait. EPERM for a group of another session, SIGTTOU from the background.
            tcsetpgrp(fd: i32, pgid: i32) -> i32;
            // Stores the session whose controlling terminal it is (u32).
            tcgetsid(fd: i32, out: i32) -> i32;
            // The terminal becomes the controlling one of the session that the caller leads. EPERM.
            tcsetctty(fd: i32) -> i32;
            // A new pair: stores the master and the slave (two u32). `flags`: CLOEXEC. ENOSPC at the limit of the VM.
            openpty(flags: i32, out: i32) -> i32;
            // The path of the terminal, ERANGE (length stored) if too small. For a master, that of its slave.
            ttyname(fd: i32, buf: i32, buf_len: i32, out_len: i32) -> i32;

            // --- files
            // Stores a Stat. `flags`: AT_SYMLINK_NOFOLLOW, AT_EMPTY_PATH.
            stat(dirfd: i32, path: i32, path_len: i32, flags: i32, out: i32) -> i32;
            chmod(dirfd: i32, path: i32, path_len: i32, mode: i32, flags: i32) -> i32;
            fchmod(fd: i32, mode: i32) -> i32;
            // -1 leaves an id as it is.
            chown(dirfd: i32, path: i32, path_len: i32, uid: i32, gid: i32, flags: i32) -> i32;
            fchown(fd: i32, uid: i32, gid: i32) -> i32;
            access(dirfd: i32, path: i32, path_len: i32, mode: i32) -> i32;
            mkfifo(dirfd: i32, path: i32, path_len: i32, mode: i32) -> i32;
            mkdir(dirfd: i32, path: i32, path_len: i32, mode: i32) -> i32;
            // Stores a StatFs.
            statfs(path: i32, path_len: i32, out: i32) -> i32;
            // wait. What was written anywhere in the machine is on stable storage, where there is any. Never fails.
            sync() -> i32;
            // wait. The same for the file system that `fd` is in. EIO, ENOSPC.
            syncfs(fd: i32) -> i32;
            // Nanoseconds may be UTIME_OMIT or UTIME_NOW.
            utimens(dirfd: i32, path: i32, path_len: i32, atime: i64, atime_nsec: i64, mtime: i64, mtime_nsec: i64, flags: i32) -> i32;

            // --- users: these return the number.
            getuid() -> i32;
            geteuid() -> i32;
            getgid() -> i32;
            getegid() -> i32;
            setuid(uid: i32) -> i32;
            setgid(gid: i32) -> i32;
            // Stores up to `cap` u32 at `buf`, the count at `out_len`.
            getgroups(buf: i32, cap: i32, out_len: i32) -> i32;

            // --- HTTP
            // Sends a request out of the machine (see `http`) and stores the read end of a pipe, CLOEXEC, that its answer comes
            // in. All that can go wrong with the request is in there; here EINVAL (packing), E2BIG, EMFILE, ENFILE. Closing the
            // pipe gives the request up.
            http_fetch(req: i32, req_len: i32, out: i32) -> i32;

            // --- the machine
            // Stores the packed list sysname, nodename, release, version, machine; ERANGE (length stored) if too small.
            uname(buf: i32, buf_len: i32, out_len: i32) -> i32;
            // Stores a SysInfo.
            sysinfo(out: i32) -> i32;

            // --- tools of the host
            // Stores JSON: [{name, description, tools: [{name, description, inputSchema, timeoutMs}]}], `[]` if there are none.
            // ERANGE (length stored) if too small.
            tool_list(buf: i32, buf_len: i32, out_len: i32) -> i32;
            // wait. Calls a tool with a JSON input. Stores the JSON result at `buf` and its length at `out_len`; with an error of the
            // call, a message for people instead. EINVAL without a message: `buf` has less than TOOL_REPLY_MAX bytes. ENOENT: no such
            // tool; EACCES: it may not be called; EINVAL: the input does not match the schema; E2BIG: the input is too long; EAGAIN:
            // too many calls; ETIMEDOUT: no answer in time; EPROTO: the answer is of no use; EIO: the tool failed.
            tool_call(kit: i32, kit_len: i32, tool: i32, tool_len: i32, input: i32, input_len: i32, buf: i32, buf_len: i32, out_len: i32) -> i32;
        }
    };
}

/// Name and parameter count of every call, from the table.
pub const NAMES: &[(&str, usize)] = {
    macro_rules! names {
        ($($name:ident($($param:ident: $ty:ty),*) -> $ret:ty;)*) => {
            &[$((stringify!($name), <[&str]>::len(&[$(stringify!($param)),*])),)*]
        };
    }
    agentos_v1!(names)
};
