//! Paths of a sandbox: how they must look, and what a browser of files may show. It looks at no file.

use crate::ErrorInfo;

/// The root of all that agents see.
pub const WORKSPACE: &str = "/workspace";
/// What is kept between runs, and shown to nobody.
pub const CACHE: &str = "/workspace/cache";
/// Files of memory.
pub const MEMORY: &str = "/workspace/memory";
/// The directories of sessions.
pub const SESSIONS: &str = "/workspace/se";
/// Spaces that are shared.
pub const ORGANIZATION: &str = "/organization";
/// The spaces themselves.
pub const SPACES: &str = "/organization/sp";

/// The deepest directory that a browser shows, in components below the one it was asked for.
pub const BROWSE_DEPTH: usize = 3;

/// The directory of a session.
#[must_use]
pub fn session(session_id: &str) -> String {
    format!("{SESSIONS}/{session_id}")
}

/// Where a vendor keeps what it needs to resume a session.
#[must_use]
pub fn vendor_state(session_id: &str, runtime_id: &str) -> String {
    format!("{SESSIONS}/{session_id}/.state/{runtime_id}")
}

/// A path as it must be: absolute, with no control characters, no `\`, no empty component, no `.` or `..`, and no slash at
/// its end unless it is the root. It is never mended.
///
/// # Errors
/// `path.invalid`: what is wrong with it.
///
/// ```
/// use agentos_driver::paths::check;
/// assert!(check("/workspace/se/1").is_ok());
/// assert!(check("/workspace/../etc").is_err());
/// ```
pub fn check(path: &str) -> Result<&str, ErrorInfo> {
    let wrong = |why: &str| Err(ErrorInfo::new("path.invalid", format!("{path:?}: {why}")));
    if !path.starts_with('/') {
        return wrong("it is not absolute");
    }
    if path.chars().any(char::is_control) {
        return wrong("it has control characters");
    }
    if path.contains('\\') {
        return wrong("it has a backslash");
    }
    if path == "/" {
        return Ok(path);
    }
    for component in path.split('/').skip(1) {
        match component {
            "" => return wrong("it has an empty component, or a slash at its end"),
            "." | ".." => return wrong("it has a component . or .."),
            _ => {}
        }
    }
    Ok(path)
}

/// Whether a path is `directory` or below it.
#[must_use]
pub fn lies_in(path: &str, directory: &str) -> bool {
    directory == "/"
        || path.strip_prefix(directory).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
}

/// Whether a browser of files may show a path: the root, the workspace, memory, directories of sessions, shared spaces.
/// Neither the cache nor what vendors keep, nor other names of spaces.
///
/// # Errors
/// `path.invalid` for one that is none; `path.hidden` for one that is not shown.
pub fn browsable(path: &str) -> Result<(), ErrorInfo> {
    check(path)?;
    let hidden = || Err(ErrorInfo::new("path.hidden", format!("{path}: it is not shown")));
    if lies_in(path, CACHE) {
        return hidden();
    }
    if let Some(rest) = path.strip_prefix(SESSIONS).filter(|_| lies_in(path, SESSIONS)) {
        // After the id of the session.
        let inside = rest.split('/').nth(2);
        return if matches!(inside, Some(".state" | "space")) { hidden() } else { Ok(()) };
    }
    let shown = path == "/" || path == WORKSPACE || lies_in(path, MEMORY) || lies_in(path, SPACES);
    if shown { Ok(()) } else { hidden() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_is_as_it_must_be_or_refused() {
        for good in ["/", "/a", "/workspace/se/01/x y", "/ä/.hidden", "/a..b"] {
            assert_eq!(check(good), Ok(good));
        }
        for bad in
            ["", "a", "./a", "/a/", "//", "/a//b", "/a/./b", "/..", "/a/../b", "/a\\b", "/a\nb", "/a\0"]
        {
            assert!(check(bad).is_err(), "{bad:?}");
        }
    }

    #[test]
    fn what_a_browser_shows() {
        for shown in [
            "/",
            "/workspace",
            "/workspace/memory/a",
            "/workspace/se",
            "/workspace/se/1/a/b",
            "/organization/sp/x",
        ] {
            assert!(browsable(shown).is_ok(), "{shown}");
        }
        for hidden in [
            "/etc",
            "/workspace/cache",
            "/workspace/cache/a",
            "/workspace/other",
            "/workspace/se/1/.state/acp-fallback",
            "/workspace/se/1/space/a",
            "/organization",
            "/workspace/memory/../cache",
        ] {
            assert!(browsable(hidden).is_err(), "{hidden}");
        }
        assert!(browsable("/workspace/caches").is_err());
        assert!(!lies_in("/workspace/cached", "/workspace/cache"));
    }
}
