//! `logname`, `users`, `who`, `w`, `pinky`, `hostid` and `chroot`: what a VM has no record of, or no call for. Nobody logs in
//! at a VM, its number is 0 and its root is fixed; each says so as GNU does where that is so.

use crate::context::{Cx, End, Outcome};
use crate::options::Order;
use crate::quote::{quote, quoteaf};
use std::ffi::OsString;

fn no_operands(cx: &Cx, operands: &[OsString]) -> Result<(), End> {
    match operands.first() {
        Some(extra) => Err(cx.usage(format!("extra operand {}", quote(extra)))),
        None => Ok(()),
    }
}

/// `logname`.
pub(crate) fn logname(cx: &mut Cx, args: &[OsString]) -> Outcome {
    let parsed = cx.parse(&[], args, Order::Permute, "{} [OPTION]\nPrint the user's login name.")?;
    no_operands(cx, &parsed.operands)?;
    Err(End::Failure(1, "no login name".to_owned()))
}

/// `users`: there is no record of logins, so without one nobody is there.
pub(crate) fn users(cx: &mut Cx, args: &[OsString]) -> Outcome {
    let help = "{} [OPTION]...\nOutput who is currently logged in: nobody, in a VM.";
    let parsed = cx.parse(&[], args, Order::Permute, help)?;
    match parsed.operands.first() {
        Some(file) => Err(End::Failure(1, format!("{}: records of logins are not read", quoteaf(file)))),
        None => Ok(0),
    }
}

/// `hostid`.
pub(crate) fn hostid(cx: &mut Cx, args: &[OsString]) -> Outcome {
    let help = "{} [OPTION]\nPrint the numeric identifier (in hexadecimal) for the current host.";
    let parsed = cx.parse(&[], args, Order::Permute, help)?;
    no_operands(cx, &parsed.operands)?;
    cx.put(b"00000000\n")?;
    Ok(0)
}

/// `chroot`.
pub(crate) fn chroot(cx: &mut Cx, args: &[OsString]) -> Outcome {
    cx.usage_status = 125;
    let spec = &["groups=", "userspec=", "skip-chdir"];
    let help = "{} [OPTION] NEWROOT [COMMAND [ARG]...]\nRun COMMAND with root directory set to NEWROOT: not permitted in a VM.";
    let parsed = cx.parse(spec, args, Order::StopAtOperand, help)?;
    let Some(root) = parsed.operands.first() else { return Err(cx.missing_operand()) };
    let why = match std::fs::metadata(root) {
        Ok(found) if found.is_dir() => "Operation not permitted".to_owned(),
        Ok(_) => "Not a directory".to_owned(),
        Err(error) => agentos_guest::strerror(&error),
    };
    Err(End::Failure(125, format!("cannot change root directory to {}: {why}", quoteaf(root))))
}

/// `who`.
pub(crate) fn who(cx: &mut Cx, args: &[OsString]) -> Outcome {
    let spec = &[
        "a,all",
        "b,boot",
        "d,dead",
        "H,heading",
        "l,login",
        "lookup",
        "m",
        "p,process",
        "q,count",
        "r,runlevel",
        "s,short",
        "t,time",
        "T,mesg",
        "w",
        "writable",
        "message",
        "u,users",
    ];
    let help = "{} [OPTION]... [ FILE | ARG1 ARG2 ]
Print information about users who are currently logged in: nobody, in a VM.
  -a, --all         same as -b -d --login -p -r -t -T -u
  -b, --boot        time of last system boot
  -d, --dead        print dead processes
  -H, --heading     print line of column headings
  -l, --login       print system login processes
      --lookup      attempt to canonicalize hostnames via DNS
  -m                only hostname and user associated with stdin
  -p, --process     print active processes spawned by init
  -q, --count       all login names and number of users logged on
  -r, --runlevel    print current runlevel
  -s, --short       print only name, line, and time (default)
  -t, --time        print last system clock change
  -T, -w, --mesg    add user's message status as +, - or ?
  -u, --users       list users logged in
      --message     same as -T
      --writable    same as -T";
    let parsed = cx.parse(spec, args, Order::Permute, help)?;
    let has = |list: &[&str]| parsed.opts.iter().any(|o| list.contains(&o.id));
    match &parsed.operands[..] {
        // A file of records, which is not read: nobody would be in it.
        [] | [_] | [_, _] => {}
        [_, _, extra, ..] => return Err(cx.usage(format!("extra operand {}", quote(extra)))),
    }
    let all = has(&["all"]);
    if has(&["count"]) {
        cx.put(b"\n# users=0\n")?;
    } else if has(&["heading"]) {
        let long = all || has(&["boot", "dead", "login", "process", "runlevel", "time", "users"]);
        let mesg = if all || has(&["mesg", "w", "writable", "message"]) { "  " } else { "" };
        let idle = if all || has(&["dead", "login", "runlevel", "users"]) { " IDLE  " } else { "" };
        let pid = if long && (all || has(&["users", "login", "process", "dead", "boot", "time", "runlevel"]))
        {
            "        PID"
        } else {
            ""
        };
        let exit = if all || has(&["dead"]) { " EXIT" } else { "" };
        let comment = if exit.is_empty() { " COMMENT" } else { " COMMENT " };
        cx.print(format_args!("NAME    {mesg} {:<12} {:<16}{idle}{pid}{comment}{exit}\n", "LINE", "TIME"))?;
    }
    Ok(0)
}

/// `w`.
pub(crate) fn w(cx: &mut Cx, args: &[OsString]) -> Outcome {
    let spec = &[
        "h,no-header",
        "u,no-current",
        "s,short",
        "f,from",
        "o,old-style",
        "i,ip-addr",
        "help",
        "V,version",
    ];
    let help = "{} [options] [user]
Show who is logged on and what they are doing: nobody, in a VM.
  -h, --no-header   do not print header
  -u, --no-current  ignore current process username
  -s, --short       short format
  -f, --from        show remote hostname field
  -o, --old-style   old style output
  -i, --ip-addr     display IP address instead of hostname (if possible)
  -V, --version     output version information and exit";
    let parsed = cx.parse(spec, args, Order::Permute, help)?;
    let has = |id: &str| parsed.opts.iter().any(|o| o.id == id);
    if has("version") {
        return Err(cx.version());
    }
    if has("help") {
        cx.print(format_args!("Usage: {}\n", help.replace("{}", "w")))?;
    } else if !has("no-header") {
        cx.put(super::free::uptime_line().as_bytes())?;
        let from = if has("from") { "  " } else { "FROM             " };
        let rest = if has("short") { " IDLE WHAT" } else { "LOGIN@   IDLE   JCPU   PCPU WHAT" };
        cx.print(format_args!("USER     TTY      {from}{rest}\n"))?;
    }
    Ok(0)
}

/// `pinky`.
pub(crate) fn pinky(cx: &mut Cx, args: &[OsString]) -> Outcome {
    let spec = &["l", "b", "h", "p", "s", "f", "w", "i", "q", "lookup"];
    let help = "{} [OPTION]... [USER]...
A lightweight 'finger' program; nobody is logged in, in a VM.
  -l              produce long format output for the specified USERs
  -b              omit the user's home directory and shell in long format
  -h              omit the user's project file in long format
  -p              omit the user's plan file in long format
  -s              do short format output, this is the default
  -f              omit the line of column headings in short format
  -w              omit the user's full name in short format
  -i              omit the user's full name and remote host in short format
  -q              omit the user's full name, remote host and idle time in short format
      --lookup    attempt to canonicalize hostnames via DNS";
    let parsed = cx.parse(spec, args, Order::Permute, help)?;
    let has = |id: &str| parsed.opts.iter().any(|o| o.id == id);
    let long = parsed.opts.iter().rev().find(|o| o.id == "l" || o.id == "s").is_some_and(|o| o.id == "l");
    if !long {
        if !has("f") {
            let mut line = format!("{:<8}", "Login");
            if !(has("w") || has("i") || has("q")) {
                line += &format!(" {:<19}", "Name");
            }
            line += &format!(" {:<9}", " TTY");
            if !has("q") {
                line += &format!(" {:<6}", "Idle");
            }
            line += &format!(" {:<16}", "When");
            if !(has("i") || has("q")) {
                line += " Where";
            }
            cx.print(format_args!("{line}\n"))?;
        }
        return Ok(0);
    }
    if parsed.operands.is_empty() {
        return Err(cx.usage("no username specified; at least one must be specified when using -l"));
    }
    for user in &parsed.operands {
        let user = user.to_string_lossy();
        let table = std::fs::read_to_string("/etc/passwd").unwrap_or_default();
        let line = table.lines().find(|l| l.split(':').next() == Some(&user));
        let field = |i: usize| line.and_then(|l| l.split(':').nth(i)).unwrap_or_default();
        cx.print(format_args!("Login name: {user:<28}In real life: "))?;
        if line.is_none() {
            cx.put(b" ???\n")?;
            continue;
        }
        cx.print(format_args!(" {}\n", field(4).split(',').next().unwrap_or_default()))?;
        if !has("b") {
            cx.print(format_args!("Directory: {:<29}Shell:  {}\n", field(5), field(6)))?;
        }
        for (omit, file, title) in [("h", ".project", "Project: "), ("p", ".plan", "Plan:\n")] {
            if !has(omit)
                && let Ok(text) = std::fs::read(format!("{}/{file}", field(5)))
            {
                cx.put(title.as_bytes())?;
                cx.put(&text)?;
            }
        }
        cx.put(b"\n")?;
    }
    Ok(0)
}
