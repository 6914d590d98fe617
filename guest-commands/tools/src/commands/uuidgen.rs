//! `uuidgen`: identifiers by chance, by time or by hash (RFC 9562).

use crate::context::{Cx, End, Outcome};
use crate::options::Order;
use agentos_guest::strerror;
use md5::{Digest as _, Md5};
use sha1::Sha1;
use std::ffi::OsString;
use std::io::Read as _;
use std::time::{SystemTime, UNIX_EPOCH};

const HELP: &str = "{} [options]
Create a new UUID value.
 -r, --random        generate random-based uuid
 -t, --time          generate time-based uuid
 -n, --namespace ns  generate hash-based uuid in this namespace: a UUID, @dns, @url, @oid or @x500
 -N, --name name     generate hash-based uuid from this name
 -m, --md5           generate md5 hash
 -s, --sha1          generate sha1 hash
 -x, --hex           interpret name as hex string
 -h, --help          display this help
 -V, --version       display version";

/// The namespaces of RFC 9562 differ in one byte.
const NAMESPACE: [u8; 16] =
    [0x6b, 0xa7, 0xb8, 0x10, 0x9d, 0xad, 0x11, 0xd1, 0x80, 0xb4, 0x00, 0xc0, 0x4f, 0xd4, 0x30, 0xc8];

pub(crate) fn main(cx: &mut Cx, args: &[OsString]) -> Outcome {
    let spec =
        &["r,random", "t,time", "n,namespace=", "N,name=", "m,md5", "s,sha1", "x,hex", "h,help", "V,version"];
    let parsed = cx.parse(spec, args, Order::Permute, HELP)?;
    let (mut time, mut hex, mut hash) = (false, false, None);
    let (mut namespace, mut name) = (None, None);
    for opt in &parsed.opts {
        match opt.id {
            "random" => (time, hash) = (false, None),
            "time" => (time, hash) = (true, None),
            "namespace" => namespace = Some(opt.text()),
            "name" => name = Some(opt.text()),
            "md5" => hash = Some(3),
            "sha1" => hash = Some(5),
            "hex" => hex = true,
            "help" => {
                cx.print(format_args!("Usage:\n {}\n", HELP.replace("{}", "uuidgen")))?;
                return Ok(0);
            }
            _ => return Err(cx.version()),
        }
    }
    if name.is_some() && namespace.is_none() {
        return Err(cx.usage("--name requires --namespace argument"));
    }
    if hash.is_some() && namespace.is_none() {
        return Err(cx.usage("--md5 or --sha1 requires --namespace argument"));
    }
    if namespace.is_some() && hash.is_none() {
        return Err(cx.usage("--namespace requires --md5 or --sha1"));
    }
    if namespace.is_some() && name.is_none() {
        return Err(cx.usage("--namespace requires --name argument"));
    }
    let mut id = [0; 16];
    match (namespace, name, hash) {
        (Some(namespace), Some(name), Some(version)) => {
            let space = space(cx, &namespace)?;
            let name = if hex {
                digits(&name).ok_or_else(|| cx.usage("not a valid hex string"))?
            } else {
                name.into_bytes()
            };
            let whole = [&space[..], &name].concat();
            if version == 3 {
                id.copy_from_slice(&Md5::digest(&whole));
            } else {
                id.copy_from_slice(&Sha1::digest(&whole)[..16]);
            }
            mark(&mut id, version);
        }
        _ => {
            let failed = |e: std::io::Error| End::Failure(1, format!("/dev/urandom: {}", strerror(&e)));
            std::fs::File::open("/dev/urandom").and_then(|mut f| f.read_exact(&mut id)).map_err(failed)?;
            if time {
                // Units of 100 ns since 15 October 1582; the node is random, and says so by its lowest bit.
                let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
                let ticks =
                    u64::try_from(now.as_nanos() / 100).unwrap_or(0).wrapping_add(0x01b2_1dd2_1381_4000);
                id[..4].copy_from_slice(&(ticks as u32).to_be_bytes());
                id[4..6].copy_from_slice(&((ticks >> 32) as u16).to_be_bytes());
                id[6..8].copy_from_slice(&((ticks >> 48) as u16).to_be_bytes());
                id[10] |= 1;
                mark(&mut id, 1);
            } else {
                mark(&mut id, 4);
            }
        }
    }
    let text: String = id.iter().map(|b| format!("{b:02x}")).collect();
    let parts = [&text[..8], &text[8..12], &text[12..16], &text[16..20], &text[20..]];
    cx.print(format_args!("{}\n", parts.join("-")))?;
    Ok(0)
}

fn mark(id: &mut [u8; 16], version: u8) {
    id[6] = (id[6] & 0x0f) | (version << 4);
    id[8] = (id[8] & 0x3f) | 0x80;
}

fn digits(text: &str) -> Option<Vec<u8>> {
    if !text.is_ascii() || !text.len().is_multiple_of(2) {
        return None;
    }
    (0..text.len() / 2).map(|i| u8::from_str_radix(&text[2 * i..2 * i + 2], 16).ok()).collect()
}

fn space(cx: &Cx, text: &str) -> Result<[u8; 16], End> {
    if let Some(alias) = text.strip_prefix('@') {
        let mut id = NAMESPACE;
        id[3] = match alias {
            "dns" => 0x10,
            "url" => 0x11,
            "oid" => 0x12,
            "x500" | "x.500" => 0x14,
            _ => return Err(cx.usage(format!("unknown namespace alias: '{text}'"))),
        };
        return Ok(id);
    }
    let shape = text.len() == 36 && [8, 13, 18, 23].iter().all(|i| text.as_bytes()[*i] == b'-');
    let bytes = shape.then(|| digits(&text.replace('-', ""))).flatten();
    bytes
        .and_then(|b| <[u8; 16]>::try_from(b).ok())
        .ok_or_else(|| cx.usage(format!("invalid uuid for namespace: '{text}'")))
}
