//! `getent`: entries of the databases that are files of `/etc`. It asks no name service.

use crate::context::{Cx, End, Outcome};
use crate::options::Order;
use std::ffi::OsString;
use std::net::IpAddr;

const HELP: &str = "{} [OPTION...] database [key ...]
Get entries from administrative database.
  -i, --no-idn           disable IDN encoding
  -s, --service=CONFIG   service configuration to be used (files, whatever is asked for)
Databases: ahosts ahostsv4 ahostsv6 group gshadow hosts initgroups networks passwd protocols services shadow";

const HINT: &[u8] = b"Try `getent --help' or `getent --usage' for more information.\n";

/// The fields of each line that is no comment.
fn table(path: &str, colons: bool) -> Vec<Vec<String>> {
    let text = String::from_utf8_lossy(&std::fs::read(path).unwrap_or_default()).into_owned();
    let fields = |line: &str| -> Vec<String> {
        if colons {
            return line.split(':').map(str::to_owned).collect();
        }
        let line = line.split('#').next().unwrap_or_default();
        line.split_whitespace().map(str::to_owned).collect()
    };
    text.lines().map(fields).filter(|f| f.len() > 1).collect()
}

pub(crate) fn main(cx: &mut Cx, args: &[OsString]) -> Outcome {
    let parsed = cx.parse(&["i,no-idn", "A,no-addrconfig", "s,service="], args, Order::Permute, HELP)?;
    let Some((database, keys)) = parsed.operands.split_first() else {
        cx.say("wrong number of arguments");
        cx.put(HINT)?;
        return Ok(1);
    };
    let database = database.to_string_lossy();
    let keys: Vec<String> = keys.iter().map(|k| k.to_string_lossy().into_owned()).collect();
    let mut found = true;
    match &*database {
        // The second field that names an entry: its number.
        "passwd" | "group" | "shadow" | "gshadow" => {
            let lines = table(&format!("/etc/{database}"), true);
            let numbered = matches!(&*database, "passwd" | "group");
            let fits = |line: &Vec<String>, key: &str| {
                if numbered && key.parse::<u32>().is_ok() {
                    line.get(2).is_some_and(|n| n == key)
                } else {
                    line[0] == key
                }
            };
            each(cx, &keys, &lines, &mut found, fits, |line| line.join(":"))?;
        }
        "services" => {
            let lines = table("/etc/services", false);
            let fits = |line: &Vec<String>, key: &str| {
                let (port, protocol) = line[1].split_once('/').unwrap_or((&line[1], ""));
                let (name, wanted) = key.split_once('/').unwrap_or((key, protocol));
                wanted == protocol && (port == name || named(line, name))
            };
            each(cx, &keys, &lines, &mut found, fits, aligned)?;
        }
        "protocols" | "networks" => {
            let lines = table(&format!("/etc/{database}"), false);
            each(cx, &keys, &lines, &mut found, |line, key| line[1] == key || named(line, key), aligned)?;
        }
        "hosts" => hosts(cx, &keys, &mut found)?,
        "ahosts" | "ahostsv4" | "ahostsv6" => sockets(cx, &database, &keys, &mut found)?,
        "initgroups" => {
            for key in &keys {
                let groups: Vec<String> =
                    crate::names::groups_of(key).iter().map(ToString::to_string).collect();
                cx.print(format_args!("{key:<21} {}\n", groups.join(" ")))?;
            }
        }
        _ => {
            eprintln!("Unknown database: {database}");
            cx.put(HINT)?;
            return Ok(1);
        }
    }
    Ok(if found { 0 } else { 2 })
}

/// Whether it is the name of the entry, or one of its other names.
fn named(line: &[String], name: &str) -> bool {
    line[0] == name || line[2..].iter().any(|other| other == name)
}

fn aligned(line: &[String]) -> String {
    format!("{:<21} {}", line[0], line[1..].join(" "))
}

fn each(
    cx: &mut Cx,
    keys: &[String],
    lines: &[Vec<String>],
    found: &mut bool,
    fits: impl Fn(&Vec<String>, &str) -> bool,
    shown: impl Fn(&[String]) -> String,
) -> Result<(), End> {
    if keys.is_empty() {
        for line in lines {
            cx.print(format_args!("{}\n", shown(line)))?;
        }
    }
    for key in keys {
        match lines.iter().find(|line| fits(line, key)) {
            Some(line) => cx.print(format_args!("{}\n", shown(line)))?,
            None => *found = false,
        }
    }
    Ok(())
}

fn host(line: &[String]) -> String {
    format!("{:<15} {}", line[0], line[1..].join(" "))
}

fn hosts(cx: &mut Cx, keys: &[String], found: &mut bool) -> Result<(), End> {
    let lines = table("/etc/hosts", false);
    if keys.is_empty() {
        for line in lines.iter().filter(|l| l[0].parse::<IpAddr>().is_ok()) {
            cx.print(format_args!("{}\n", host(line)))?;
        }
    }
    for key in keys {
        let of: Vec<&Vec<String>> = match key.parse::<IpAddr>() {
            Ok(address) => lines.iter().filter(|l| l[0].parse() == Ok(address)).take(1).collect(),
            // Of a name that has both, the addresses of version 6.
            Err(_) => {
                let all: Vec<_> = lines.iter().filter(|l| l[1..].iter().any(|n| n == key)).collect();
                let six: Vec<_> = all.iter().filter(|l| l[0].contains(':')).copied().collect();
                if six.is_empty() { all } else { six }
            }
        };
        *found &= !of.is_empty();
        for line in of {
            cx.print(format_args!("{}\n", host(line)))?;
        }
    }
    Ok(())
}

/// `ahosts`: each address once for each kind of socket.
fn sockets(cx: &mut Cx, database: &str, keys: &[String], found: &mut bool) -> Result<(), End> {
    let lines = table("/etc/hosts", false);
    for key in keys {
        let wanted = |address: &str| match database {
            "ahostsv4" => !address.contains(':'),
            "ahostsv6" => address.contains(':'),
            _ => true,
        };
        let of: Vec<String> = match key.parse::<IpAddr>() {
            Ok(address) => vec![address.to_string()],
            Err(_) => {
                let names = |l: &&Vec<String>| l[1..].iter().any(|n| n == key) && wanted(&l[0]);
                lines.iter().filter(names).map(|l| l[0].clone()).collect()
            }
        };
        *found &= !of.is_empty();
        for (i, address) in of.iter().enumerate() {
            let name = if i == 0 { key.as_str() } else { "" };
            cx.print(format_args!(
                "{address:<15} STREAM {name}\n{address:<15} DGRAM  \n{address:<15} RAW    \n"
            ))?;
        }
    }
    Ok(())
}
