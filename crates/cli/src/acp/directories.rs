//! Which directories of the host the machine gets for the sessions of an editor: those that it works in, at the same path. What
//! the machine itself needs, and what holds far more than a project, is refused.

use std::path::{Path, PathBuf};

use agentos::{AgentOs, MountFsOptions, MountPlugin};
use agentos_acp::envelope::RpcError;
use tokio::sync::Mutex;

use super::host_path::HostPath;
use super::params::invalid;
use super::refusal::refusal;
use crate::args::normal;

/// Directories of the machine whose place none of the host can take.
const OF_THE_MACHINE: [&str; 16] = [
    "/bin", "/boot", "/dev", "/etc", "/home", "/lib", "/lib64", "/media", "/mnt", "/opt", "/proc", "/run",
    "/sbin", "/srv", "/sys", "/tmp",
];
/// Those in which none can be, either.
const CLOSED: [&str; 12] = [
    "/bin", "/boot", "/dev", "/etc", "/lib", "/lib64", "/proc", "/run", "/sbin", "/sys", "/usr/bin",
    "/usr/lib",
];
/// More of them, whose insides are free.
const WIDE: [&str; 5] = ["/root", "/usr", "/usr/local", "/usr/share", "/var"];

/// The directories that the machine has of the host.
pub(super) struct Directories {
    /// Sessions bring none.
    closed: bool,
    home: Option<PathBuf>,
    /// Those that it had from the start.
    given: Vec<Given>,
    /// Those that sessions brought, by their path, which is the same in the machine.
    mounted: Mutex<Vec<HostPath>>,
}

/// A directory that the machine has from the start.
#[derive(Clone, Debug)]
pub(super) struct Given {
    /// Where it is in the machine.
    pub(super) guest: String,
    /// Where it is on the host.
    pub(super) host: HostPath,
}

fn holds(outer: &str, inner: &str) -> bool {
    outer == "/" || inner.strip_prefix(outer).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
}

/// A path as the editor says it, without what is twice.
pub(super) fn path(name: &str, text: &str) -> Result<String, RpcError> {
    if !text.starts_with('/') {
        return Err(invalid(format!("{name}: must be an absolute path")));
    }
    if text.contains('\0') || text.split('/').any(|part| part == "..") {
        return Err(invalid(format!("{name}: must not contain `..` or NUL")));
    }
    Ok(normal(text))
}

impl Directories {
    /// `given` is there from the start; `closed`: it stays at that.
    pub(super) fn new(given: Vec<Given>, closed: bool, home: Option<PathBuf>) -> Self {
        // Where there is none, nothing can be taken for it.
        let home = home.filter(|home| home.is_absolute()).and_then(|home| home.canonicalize().ok());
        Directories { closed, home, given, mounted: Mutex::default() }
    }

    /// Sees to it that the machine has this directory.
    pub(super) async fn ensure(&self, os: &AgentOs, name: &str, path: &str) -> Result<(), RpcError> {
        let mut mounted = self.mounted.lock().await;
        let given = self.given.iter().map(|given| &given.guest);
        let brought = mounted.iter().map(HostPath::said);
        if self.closed || given.map(String::as_str).chain(brought).any(|outer| holds(outer, path)) {
            return Ok(());
        }
        let host = self.host(path).and_then(|host| self.uncovered(path).map(|()| host));
        let host = host.map_err(|why| {
            invalid(format!(
                "{name}: {path} cannot be given to the machine: {why}; name what it is to get with --mount HOST:GUEST, or use \
                 --no-mount"
            ))
        })?;
        let known =
            HostPath::new(Path::new(path)).map_err(|error| invalid(format!("{name}: {path}: {error}")))?;
        let known_roots = self.given.iter().map(|given| &given.host).chain(mounted.iter());
        for root in known_roots {
            if root.is_left_by(Path::new(path), Path::new(&host)) {
                let said = root.said();
                return Err(invalid(format!(
                    "{name}: {path} leads out of {said} by a link, which a program of the machine may have made: name where \
                     it leads ({host}), if that is what is meant"
                )));
            }
        }
        let plugin =
            MountPlugin { id: "host_dir".to_owned(), config: serde_json::json!({ "hostPath": host }) };
        os.mount_native(path, plugin, MountFsOptions::default()).await.map_err(|error| refusal(&error))?;
        mounted.push(known);
        Ok(())
    }

    /// The path on the host of a file that lies beneath a mount; nothing if that is none of these. One that a session brought is
    /// spelled as the editor spelled it.
    ///
    /// # Errors
    /// What is there now is not what the machine has there.
    pub(super) async fn of_host(&self, mount: &Path, beneath: &Path) -> Result<Option<String>, String> {
        if let Some(given) = self.given.iter().find(|given| Path::new(&given.guest) == mount) {
            return given.host.file(beneath);
        }
        let mounted = self.mounted.lock().await;
        match mounted.iter().find(|path| Path::new(path.said()) == mount) {
            Some(of_session) => of_session.file(beneath),
            None => Ok(None),
        }
    }

    /// A mount would lie over those that are below it, and undo what they keep away from the machine.
    fn uncovered(&self, path: &str) -> Result<(), String> {
        match self.given.iter().find(|inner| holds(path, &inner.guest)) {
            Some(Given { guest: inner, .. }) => {
                Err(format!("it would lie over {inner}, which --mount gives to the machine"))
            }
            None => Ok(()),
        }
    }

    /// The directory of the host behind a path; or why it is none to be given away.
    fn host(&self, path: &str) -> Result<String, String> {
        let host = Path::new(path).canonicalize().map_err(|error| error.to_string())?;
        if !host.is_dir() {
            return Err("it is not a directory".to_owned());
        }
        let home = self.home.as_deref();
        if host == Path::new("/") || path == "/" {
            return Err("it is all of the host".to_owned());
        }
        if home.is_some_and(|home| home.starts_with(&host)) {
            return Err("it holds your whole home directory".to_owned());
        }
        let text = host.to_str().ok_or("its path is not UTF-8")?;
        for place in [path, text] {
            if OF_THE_MACHINE.contains(&place)
                || WIDE.contains(&place)
                || CLOSED.iter().any(|closed| holds(closed, place))
            {
                return Err("it is a directory of the system".to_owned());
            }
        }
        Ok(text.to_owned())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_no_project_is_refused() {
        let scratch = tempfile::tempdir().unwrap();
        let root = scratch.path().canonicalize().unwrap();
        let home = root.join("home/me");
        std::fs::create_dir_all(home.join("project")).unwrap();
        std::fs::write(home.join("file"), "").unwrap();
        std::os::unix::fs::symlink("/etc", home.join("link")).unwrap();
        let of = Directories::new(Vec::new(), false, Some(home.clone()));
        let said = |path: &Path| of.host(path.to_str().unwrap());
        assert_eq!(said(&home.join("project")).unwrap(), home.join("project").to_str().unwrap());
        for (path, why) in [
            (PathBuf::from("/"), "all of the host"),
            (home.clone(), "home directory"),
            (root.join("home"), "home directory"),
            (home.join("file"), "not a directory"),
            (home.join("none"), "No such file"),
            (home.join("link"), "of the system"),
            ("/etc".into(), "of the system"),
            ("/usr".into(), "of the system"),
            ("/usr/bin".into(), "of the system"),
            ("/proc/self".into(), "of the system"),
        ] {
            let error = said(&path).unwrap_err();
            assert!(error.contains(why), "{}: {error}", path.display());
        }
    }

    fn given(guest: &str, host: &Path) -> Given {
        Given { guest: guest.to_owned(), host: HostPath::new(host).unwrap() }
    }

    #[tokio::test]
    async fn files_have_their_path_on_the_host() {
        let scratch = tempfile::tempdir().unwrap();
        let root = scratch.path().canonicalize().unwrap();
        for name in ["p/a", "g", "x/y"] {
            std::fs::create_dir_all(root.join(name)).unwrap();
        }
        let x = root.join("x").to_str().unwrap().to_owned();
        let git = format!("{x}/.git");
        let all = vec![given("/workspace", &root.join("p")), given(&git, &root.join("g"))];
        let of = Directories::new(all, false, None);
        of.mounted.lock().await.push(HostPath::new(Path::new(&x)).unwrap());
        for (mount, beneath, path) in [
            ("/workspace", "a/b", Some("p/a/b")),
            (x.as_str(), "a", Some("x/a")),
            (&git, "config", Some("g/config")),
            ("/", "x/a", None),
            ("/x/y", "a", None),
        ] {
            let host = of.of_host(Path::new(mount), Path::new(beneath)).await.unwrap();
            let path = path.map(|path| root.join(path).to_str().unwrap().to_owned());
            assert_eq!(host, path, "{mount} {beneath}");
        }
    }

    #[test]
    fn what_was_given_is_not_covered() {
        let of = Directories::new(vec![given("/work/p/.git", &std::env::temp_dir())], false, None);
        for (path, covers) in [("/work/p", true), ("/work", true), ("/work/p/src", false), ("/work/q", false)]
        {
            assert_eq!(of.uncovered(path).is_err(), covers, "{path}");
        }
        assert!(of.uncovered("/work/p").unwrap_err().contains("/work/p/.git"));
    }

    #[test]
    fn paths_are_absolute_and_whole() {
        assert_eq!(path("cwd", "/a//b/./").unwrap(), "/a/b");
        for wrong in ["a", "", "/a/../b", "/a\0"] {
            assert!(path("cwd", wrong).unwrap_err().message.starts_with("cwd: "), "{wrong:?}");
        }
        assert!(holds("/a", "/a/b") && holds("/", "/x") && holds("/a", "/a") && !holds("/a", "/ab"));
    }
}
