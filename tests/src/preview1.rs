//! Programs that make WASI preview 1 calls one after the other and say which of them did not answer as expected. They
//! know nothing of our own ABI, so they are held to the strict rules of preview 1.

use std::fmt::Write as _;

/// An argument of a call.
#[derive(Clone, Copy, Debug)]
pub enum Arg<'a> {
    /// A 32 bit number.
    I(i32),
    /// A 64 bit number.
    L(u64),
    /// A string: its address and its length, two arguments.
    S(&'a str),
    /// The 32 bit number that an earlier call left in this slot.
    In(u32),
    /// The address of a slot of 256 bytes.
    Out(u32),
}

const SLOTS: u32 = 1024;
const SLOT: u32 = 256;
const STRINGS: u32 = 65_536;

/// The parameters of the calls: `i` for 32 bits, `l` for 64.
const CALLS: &[(&str, &str)] = &[
    ("clock_res_get", "ii"),
    ("environ_sizes_get", "ii"),
    ("fd_advise", "illi"),
    ("fd_allocate", "ill"),
    ("fd_close", "i"),
    ("fd_fdstat_get", "ii"),
    ("fd_fdstat_set_flags", "ii"),
    ("fd_fdstat_set_rights", "ill"),
    ("fd_filestat_get", "ii"),
    ("fd_filestat_set_size", "il"),
    ("fd_filestat_set_times", "illi"),
    ("fd_pread", "iiili"),
    ("fd_prestat_dir_name", "iii"),
    ("fd_prestat_get", "ii"),
    ("fd_pwrite", "iiili"),
    ("fd_read", "iiii"),
    ("fd_readdir", "iiili"),
    ("fd_renumber", "ii"),
    ("fd_seek", "ilii"),
    ("fd_tell", "ii"),
    ("fd_write", "iiii"),
    ("path_create_directory", "iii"),
    ("path_filestat_get", "iiiii"),
    ("path_filestat_set_times", "iiiilli"),
    ("path_link", "iiiiiii"),
    ("path_open", "iiiiillii"),
    ("path_readlink", "iiiiii"),
    ("path_remove_directory", "iii"),
    ("path_rename", "iiiiii"),
    ("path_symlink", "iiiii"),
    ("path_unlink_file", "iii"),
    ("poll_oneoff", "iiii"),
    ("sock_shutdown", "ii"),
];

/// A program in the making.
#[derive(Debug, Default)]
pub struct Preview1 {
    strings: String,
    strings_len: u32,
    body: String,
    steps: Vec<String>,
}

impl Preview1 {
    /// The address of a slot.
    #[must_use]
    pub fn address(slot: u32) -> u32 {
        SLOTS + slot * SLOT
    }

    fn string(&mut self, text: &str) -> u32 {
        let at = STRINGS + self.strings_len;
        let escaped: String = text.bytes().map(|b| format!("\\{b:02x}")).collect();
        let _ = writeln!(self.strings, "(data (i32.const {at}) \"{escaped}\")");
        self.strings_len += u32::try_from(text.len()).expect("a short text");
        at
    }

    fn step(&mut self, what: String, wrong: &str) {
        self.steps.push(what);
        let _ = writeln!(self.body, "(if {wrong} (then (call $proc_exit (i32.const {}))))", self.steps.len());
    }

    /// Calls `name`, which must return one of the errnos `expected`.
    pub fn call(&mut self, name: &str, args: &[Arg<'_>], expected: &[u16]) -> &mut Self {
        let mut text = format!("(local.set $r (call ${name}");
        for arg in args {
            let _ = match *arg {
                Arg::I(n) => write!(text, " (i32.const {n})"),
                Arg::L(n) => write!(text, " (i64.const {})", n.cast_signed()),
                Arg::S(s) => {
                    let at = self.string(s);
                    write!(text, " (i32.const {at}) (i32.const {})", s.len())
                }
                Arg::In(slot) => write!(text, " (i32.load (i32.const {}))", Self::address(slot)),
                Arg::Out(slot) => write!(text, " (i32.const {})", Self::address(slot)),
            };
        }
        let _ = writeln!(self.body, "{text}))");
        let equal: Vec<String> =
            expected.iter().map(|errno| format!("(i32.ne (local.get $r) (i32.const {errno}))")).collect();
        let wrong =
            equal.into_iter().reduce(|all, one| format!("(i32.and {all} {one})")).expect("an expectation");
        self.step(format!("{name} {args:?} is one of {expected:?}"), &wrong);
        self
    }

    /// The 64 bits at `offset` of a slot, masked, must be `expected`.
    pub fn check(&mut self, slot: u32, offset: u32, mask: u64, expected: u64) -> &mut Self {
        let at = Self::address(slot) + offset;
        self.step(
            format!("slot {slot} at {offset} & {mask:#x} is {expected:#x}"),
            &format!(
                "(i64.ne (i64.and (i64.load (i32.const {at})) (i64.const {})) (i64.const {}))",
                mask.cast_signed(),
                expected.cast_signed()
            ),
        );
        self
    }

    /// Puts a vector of one buffer into a slot: the bytes of another slot.
    pub fn vector(&mut self, slot: u32, of: u32, len: u32) -> &mut Self {
        let (at, buffer) = (Self::address(slot), Self::address(of));
        let _ = writeln!(self.body, "(i32.store (i32.const {at}) (i32.const {buffer}))");
        let _ = writeln!(self.body, "(i32.store (i32.const {}) (i32.const {len}))", at + 4);
        self
    }

    /// The module.
    #[must_use]
    pub fn module(&self) -> Vec<u8> {
        let mut imports = String::new();
        for (name, params) in CALLS {
            let params: String = params.chars().map(|c| if c == 'l' { " i64" } else { " i32" }).collect();
            let _ = writeln!(
                imports,
                "(import \"wasi_snapshot_preview1\" \"{name}\" (func ${name} (param{params}) (result i32)))"
            );
        }
        crate::assemble(&format!(
            "(module {imports}
               (import \"wasi_snapshot_preview1\" \"proc_exit\" (func $proc_exit (param i32)))
               (memory (export \"memory\") 4)
               {}
               (func (export \"_start\") (local $r i32)
                 {}))",
            self.strings, self.body
        ))
    }

    /// What a status means: the step that went wrong.
    #[must_use]
    pub fn step_of(&self, status: i32) -> &str {
        usize::try_from(status - 1).ok().and_then(|i| self.steps.get(i)).map_or("no step", String::as_str)
    }
}
