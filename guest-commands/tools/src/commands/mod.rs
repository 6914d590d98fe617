//! The commands, one file each, and the table of their names. Finding a command in the table is `dispatch`'s business.

mod basename;
mod basenc;
mod bc;
mod cal;
mod canonical;
mod cat;
mod chmod;
mod cmp;
mod colrm;
mod column;
mod comm;
mod cp;
mod cut;
mod dc;
mod dd;
mod diff;
mod diff3;
mod disk;
mod echo;
mod ed;
mod env;
mod envsubst;
mod expand;
mod expr;
mod factor;
mod file;
mod find;
mod flock;
mod fmt;
mod fold;
mod free;
mod getent;
mod getopt;
mod grep;
mod head;
mod hexdump;
mod iconv;
mod join;
mod kill;
mod link;
mod ln;
mod locale;
mod login;
mod look;
mod ls;
mod machine;
mod man;
mod mkdir;
mod mktemp;
mod mounts;
mod mv;
mod namei;
mod newlines;
mod nl;
mod numfmt;
mod owner;
mod paste;
mod patch;
mod pathchk;
mod pgrep;
mod ps;
mod pstree;
mod rename;
mod rev;
mod rm;
mod rmdir;
mod sdiff;
mod sed;
mod seq;
mod setsid;
mod shred;
mod shuf;
mod sleep;
mod sort;
mod special;
mod split;
mod stat;
mod stdbuf;
mod strings;
mod stty;
mod tac;
mod tail;
mod tee;
mod test;
mod time;
mod timeout;
mod touch;
mod tr;
mod tree;
mod truncate;
mod ts;
mod uniq;
mod upstream;
mod uuidgen;
mod wc;
mod which;
mod words;
mod xargs;
mod xxd;
mod yes;

use crate::context::{Cx, Outcome};
use crate::dispatch::Run;
use std::ffi::OsString;

pub(crate) use upstream::run as upstream;

/// An upstream command, by the key of its messages and its crate.
macro_rules! uu {
    ($key:literal, $crate_name:ident) => {
        Run::Upstream($key, |argv| $crate_name::uumain(argv.into_iter()))
    };
}

/// `true` and `false`: the dispatcher answers before anything is set up.
fn nothing(_: &mut Cx, _: &[OsString]) -> Outcome {
    Ok(0)
}

/// Every command, sorted by name; `commands.txt` repeats the names for the builder of the base layer.
pub(crate) const TABLE: &[(&str, Run)] = &[
    ("[", Run::Own(test::main)),
    ("arch", Run::Own(machine::arch)),
    ("b2sum", uu!("b2sum", uu_b2sum)),
    ("base32", Run::Own(basenc::main)),
    ("base64", Run::Own(basenc::main)),
    ("basename", Run::Own(basename::basename)),
    ("basenc", Run::Own(basenc::main)),
    ("bc", Run::Own(bc::main)),
    ("cal", Run::Own(cal::main)),
    ("cat", Run::Own(cat::main)),
    ("chcon", Run::Own(special::chcon)),
    ("chgrp", Run::Own(owner::chown)),
    ("chmod", Run::Own(chmod::main)),
    ("chown", Run::Own(owner::chown)),
    ("chroot", Run::Own(login::chroot)),
    ("cksum", uu!("cksum", uu_cksum)),
    ("cmp", Run::Own(cmp::main)),
    ("colrm", Run::Own(colrm::main)),
    ("column", Run::Own(column::main)),
    ("comm", Run::Own(comm::main)),
    ("cp", Run::Own(cp::main)),
    ("csplit", uu!("csplit", uu_csplit)),
    ("cut", Run::Own(cut::main)),
    ("date", uu!("date", uu_date)),
    ("dc", Run::Own(dc::main)),
    ("dd", Run::Own(dd::main)),
    ("df", Run::Own(disk::df)),
    ("diff", Run::Own(diff::main)),
    ("diff3", Run::Own(diff3::main)),
    ("dir", Run::Own(ls::main)),
    ("dircolors", uu!("dircolors", uu_dircolors)),
    ("dirname", Run::Own(basename::dirname)),
    ("dos2unix", Run::Own(newlines::main)),
    ("du", Run::Own(disk::du)),
    ("echo", Run::Own(echo::main)),
    ("ed", Run::Own(ed::main)),
    ("egrep", Run::Own(grep::main)),
    ("env", Run::Own(env::main)),
    ("envsubst", Run::Own(envsubst::main)),
    ("expand", Run::Own(expand::expand)),
    ("expr", Run::Own(expr::main)),
    ("factor", Run::Own(factor::main)),
    ("false", Run::Own(nothing)),
    ("fgrep", Run::Own(grep::main)),
    ("file", Run::Own(file::main)),
    ("find", Run::Own(find::main)),
    ("findmnt", Run::Own(mounts::findmnt)),
    ("flock", Run::Own(flock::main)),
    ("fmt", Run::Own(fmt::main)),
    ("fold", Run::Own(fold::main)),
    ("free", Run::Own(free::free)),
    ("getent", Run::Own(getent::main)),
    ("getopt", Run::Own(getopt::main)),
    ("grep", Run::Own(grep::main)),
    ("groups", Run::Own(owner::groups)),
    ("hd", Run::Own(hexdump::main)),
    ("head", Run::Own(head::main)),
    ("hexdump", Run::Own(hexdump::main)),
    ("hostid", Run::Own(login::hostid)),
    ("hostname", Run::Own(machine::hostname)),
    ("iconv", Run::Own(iconv::main)),
    ("id", Run::Own(owner::id)),
    ("install", Run::Own(mkdir::install)),
    ("join", Run::Own(join::main)),
    ("kill", Run::Own(kill::main)),
    ("killall", Run::Own(pgrep::killall)),
    ("link", Run::Own(link::link)),
    ("ln", Run::Own(ln::main)),
    ("locale", Run::Own(locale::main)),
    ("logname", Run::Own(login::logname)),
    ("look", Run::Own(look::main)),
    ("ls", Run::Own(ls::main)),
    ("mac2unix", Run::Own(newlines::main)),
    ("man", Run::Own(man::man)),
    ("md5sum", uu!("md5sum", uu_md5sum)),
    ("mkdir", Run::Own(mkdir::main)),
    ("mkfifo", Run::Own(chmod::mkfifo)),
    ("mknod", Run::Own(special::mknod)),
    ("mktemp", Run::Own(mktemp::main)),
    ("mount", Run::Own(mounts::mount)),
    ("mountpoint", Run::Own(mounts::mountpoint)),
    ("mv", Run::Own(mv::main)),
    ("namei", Run::Own(namei::main)),
    ("ncal", Run::Own(cal::main)),
    ("nice", Run::Own(timeout::nice)),
    ("nl", Run::Own(nl::main)),
    ("nohup", Run::Own(timeout::nohup)),
    ("nproc", Run::Own(machine::nproc)),
    ("numfmt", Run::Own(numfmt::main)),
    ("od", uu!("od", uu_od)),
    ("paste", Run::Own(paste::main)),
    ("patch", Run::Own(patch::main)),
    ("pathchk", Run::Own(pathchk::main)),
    ("pgrep", Run::Own(pgrep::pgrep)),
    ("pidof", Run::Own(pgrep::pidof)),
    ("pinky", Run::Own(login::pinky)),
    ("pkill", Run::Own(pgrep::pkill)),
    ("pr", uu!("pr", uu_pr)),
    ("printenv", Run::Own(env::printenv)),
    ("printf", uu!("printf", uu_printf)),
    ("ps", Run::Own(ps::main)),
    ("pstree", Run::Own(pstree::main)),
    ("ptx", uu!("ptx", uu_ptx)),
    ("pwd", Run::Own(machine::pwd)),
    ("readlink", Run::Own(canonical::readlink)),
    ("realpath", Run::Own(canonical::realpath)),
    ("red", Run::Own(ed::main)),
    ("rename", Run::Own(rename::main)),
    ("renice", Run::Own(timeout::renice)),
    ("rev", Run::Own(rev::main)),
    ("rm", Run::Own(rm::main)),
    ("rmdir", Run::Own(rmdir::main)),
    ("runcon", Run::Own(special::runcon)),
    ("sdiff", Run::Own(sdiff::main)),
    ("sed", Run::Own(sed::main)),
    ("seq", Run::Own(seq::main)),
    ("setsid", Run::Own(setsid::main)),
    ("sha1sum", uu!("sha1sum", uu_sha1sum)),
    ("sha224sum", uu!("sha224sum", uu_sha224sum)),
    ("sha256sum", uu!("sha256sum", uu_sha256sum)),
    ("sha384sum", uu!("sha384sum", uu_sha384sum)),
    ("sha512sum", uu!("sha512sum", uu_sha512sum)),
    ("shred", Run::Own(shred::main)),
    ("shuf", Run::Own(shuf::main)),
    ("sleep", Run::Own(sleep::main)),
    ("sort", Run::Own(sort::main)),
    ("split", Run::Own(split::main)),
    ("sponge", Run::Own(ts::sponge)),
    ("stat", Run::Own(stat::main)),
    ("stdbuf", Run::Own(stdbuf::main)),
    ("strings", Run::Own(strings::main)),
    ("stty", Run::Own(stty::main)),
    ("sum", uu!("sum", uu_sum)),
    ("sync", Run::Own(machine::sync)),
    ("tac", Run::Own(tac::main)),
    ("tail", Run::Own(tail::main)),
    ("tee", Run::Own(tee::main)),
    ("test", Run::Own(test::main)),
    ("time", Run::Own(time::main)),
    ("timeout", Run::Own(timeout::main)),
    ("touch", Run::Own(touch::main)),
    ("tr", Run::Own(tr::main)),
    ("tree", Run::Own(tree::main)),
    ("true", Run::Own(nothing)),
    ("truncate", Run::Own(truncate::main)),
    ("ts", Run::Own(ts::ts)),
    ("tsort", uu!("tsort", uu_tsort)),
    ("tty", Run::Own(machine::tty)),
    ("uname", Run::Own(machine::uname)),
    ("unexpand", Run::Own(expand::unexpand)),
    ("uniq", Run::Own(uniq::main)),
    ("unix2dos", Run::Own(newlines::main)),
    ("unix2mac", Run::Own(newlines::main)),
    ("unlink", Run::Own(link::unlink)),
    ("uptime", Run::Own(free::uptime)),
    ("users", Run::Own(login::users)),
    ("uuidgen", Run::Own(uuidgen::main)),
    ("vdir", Run::Own(ls::main)),
    ("w", Run::Own(login::w)),
    ("wc", Run::Own(wc::main)),
    ("whereis", Run::Own(man::whereis)),
    ("which", Run::Own(which::main)),
    ("who", Run::Own(login::who)),
    ("whoami", Run::Own(owner::whoami)),
    ("xargs", Run::Own(xargs::main)),
    ("xxd", Run::Own(xxd::main)),
    ("yes", Run::Own(yes::main)),
];
