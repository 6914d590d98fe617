//! The files of `/etc`.

/// Name under `/etc`, mode, content.
pub(crate) const FILES: &[(&str, u32, &str)] = &[
    (
        "passwd",
        0o644,
        "root:x:0:0:root:/root:/bin/sh\n\
         nobody:x:65534:65534:nobody:/nonexistent:/bin/false\n\
         agentos:x:1000:1000:AgentOs:/home/agentos:/bin/sh\n",
    ),
    ("group", 0o644, "root:x:0:\ntty:x:5:\nusers:x:100:agentos\nnogroup:x:65534:\nagentos:x:1000:\n"),
    ("hosts", 0o644, "127.0.0.1\tlocalhost\n::1\tlocalhost ip6-localhost\n"),
    ("resolv.conf", 0o644, "# Name look-ups are answered by the machine itself.\n"),
    ("nsswitch.conf", 0o644, "passwd: files\ngroup: files\nhosts: files dns\n"),
    ("shells", 0o644, "/bin/sh\n/bin/bash\n"),
    ("issue", 0o644, "AgentOs\n"),
    (
        "os-release",
        0o644,
        concat!(
            "NAME=\"AgentOs\"\nID=agentos\nPRETTY_NAME=\"AgentOs ",
            env!("CARGO_PKG_VERSION"),
            "\"\nVERSION_ID=\"",
            env!("CARGO_PKG_VERSION"),
            "\"\n"
        ),
    ),
    (
        "profile",
        0o644,
        "export PATH=\"${PATH:-/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin}\"\n\
         export LANG=\"${LANG:-C.UTF-8}\"\n\
         umask 022\n\
         [ -z \"${PS1-}\" ] || . /etc/bash.bashrc\n",
    ),
    ("bash.bashrc", 0o644, "PS1='\\u@\\h:\\w\\$ '\n"),
];

/// What agents are told about the machine; sessions append to a copy of it.
pub(crate) const INSTRUCTIONS: &str = "\
# This machine

You are in an AgentOs virtual machine: a small Linux-like system. Every program is WebAssembly.

- Your files are under /workspace; your home is /home/agentos; /tmp is for scratch files.
- `sh` and `bash` are the same bash-grade shell. The usual commands (coreutils, grep, xargs, ps, kill, timeout) are on PATH.
- What is mounted from outside is listed in /proc/mounts. There is no network unless it was allowed.
";
