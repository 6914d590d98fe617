//! Which patterns can match a resource of a domain at all. One that cannot is a mistake of whoever wrote it.

use agentos_vfs::NAME_MAX;

use super::Domain;

/// Longest pattern, bytes.
const PATTERN: usize = 4096;

/// Why a pattern of this domain is refused; `None` if it may match something.
pub(crate) fn refusal(domain: Domain, pattern: &str) -> Option<String> {
    if pattern.is_empty() {
        return Some("is empty".into());
    }
    if pattern.len() > PATTERN {
        return Some(format!("has {} bytes; {PATTERN} are allowed", pattern.len()));
    }
    if pattern.contains('\0') {
        return Some("can match nothing: NUL is in no resource".into());
    }
    match domain {
        Domain::Fs | Domain::ChildProcess | Domain::Process => path(pattern),
        Domain::Env => {
            pattern.contains('=').then(|| "can match nothing: names of variables have no `=`".into())
        }
        Domain::Network => network(pattern),
        Domain::Tool => tool(pattern),
    }
}

fn path(pattern: &str) -> Option<String> {
    if !pattern.starts_with('/') && !pattern.starts_with("**") {
        return Some("must begin with `/` or `**`: it is matched against absolute paths".into());
    }
    if pattern == "/" {
        return None;
    }
    let mut components = pattern.split('/');
    if pattern.starts_with('/') {
        components.next();
    }
    for component in components {
        let problem = match component {
            "" if pattern.ends_with('/') && !pattern.ends_with("//") => "a resolved path does not end in `/`",
            "" => "a resolved path has no `//`",
            "." | ".." => "a resolved path has no `.` and no `..`",
            name if name.len() > NAME_MAX && !name.contains("**") && literals(name) > NAME_MAX => {
                "no name is that long"
            }
            _ => continue,
        };
        return Some(format!("can match nothing: {problem}"));
    }
    None
}

/// Bytes that a name must have at least to be matched.
fn literals(name: &str) -> usize {
    name.bytes().filter(|b| *b != b'*').count()
}

fn network(pattern: &str) -> Option<String> {
    let literal = pattern.split(['*', '?']).next().unwrap_or_default();
    let fits =
        |scheme: &str| literal.starts_with(scheme) || (scheme.starts_with(literal) && literal != pattern);
    let known = ["tcp://", "udp://", "dns://"].into_iter().any(fits);
    (!known)
        .then(|| "can match nothing: resources are `tcp://host:port`, `udp://host:port`, `dns://name`".into())
}

fn tool(pattern: &str) -> Option<String> {
    let known = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || matches!(c, '-' | ':' | '*' | '?');
    let colons = pattern.matches(':').count();
    let literal = !pattern.contains(['*', '?']);
    let wrong = !pattern.chars().all(known) || colons > 1 || (literal && colons == 0);
    wrong.then(|| "can match nothing: resources are `toolkit:tool`, names of a-z, 0-9 and `-`".into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn patterns_that_can_match_nothing_are_found() {
        let long = "n".repeat(256);
        let name = format!("/{long}");
        for (domain, good, bad) in [
            (
                Domain::Fs,
                &["/", "/a", "/a/*", "/**", "**", "**/.env", "/a/..b", "/a/.?", "/*/a"][..],
                &[
                    "", "a", "*", "*/a", "./a", "/a/", "//", "/a//b", "/a/../b", "/a/.", "/..", "/a/**/",
                    "/a\0", &name,
                ][..],
            ),
            (Domain::ChildProcess, &["/bin/*", "**/git"], &["git", "/bin/"]),
            (Domain::Process, &["/bin/sh"], &["12", "sh"]),
            (Domain::Env, &["*", "AWS_*", "a b", "a/b", "**/x"], &["A=B"]),
            (
                Domain::Network,
                &["tcp://a:1", "udp://*", "dns://?", "*", "t*", "**", "tcp://**"],
                &["a:1", "http://a", "tcp:/", "/etc", "x*", "tcp"],
            ),
            (Domain::Tool, &["a:b", "a:*", "*", "a*"], &["a", "a:b:c", "A:b", "/a", "a:b c"]),
        ] {
            for pattern in good {
                assert_eq!(refusal(domain, pattern), None, "{domain:?} {pattern}");
            }
            for pattern in bad {
                assert!(refusal(domain, pattern).is_some(), "{domain:?} {pattern}");
            }
        }
    }
}
