//! What the configuration says of other repositories: addresses, refspecs, the remote of a branch. It reaches none.

use crate::address;
use crate::error::Res;
use crate::refspec::Spec;
use crate::repo::Repo;

/// A remote by its name, or an address that stands for one.
pub(crate) struct Remote {
    /// The name, or the address itself.
    pub(crate) name: String,
    pub(crate) known: bool,
    pub(crate) fetch: Vec<Spec>,
    pub(crate) push: Vec<Spec>,
    pub(crate) mirror: bool,
}

impl Remote {
    pub(crate) fn new(repo: &Repo, name: &str) -> Res<Remote> {
        let config = &repo.config;
        let specs = |key: &str| -> Res<Vec<Spec>> {
            config.all(&format!("remote.{name}.{key}")).iter().map(|s| Spec::parse(s)).collect()
        };
        Ok(Remote {
            name: name.to_owned(),
            known: config.subsections("remote").iter().any(|r| r == name),
            fetch: specs("fetch")?,
            push: specs("push")?,
            mirror: config.flag(&format!("remote.{name}.mirror"), false),
        })
    }

    /// Where it is fetched from.
    pub(crate) fn url(&self, repo: &Repo) -> String {
        let url = repo.config.all(&format!("remote.{}.url", self.name)).into_iter().next();
        address::rewrite(&repo.config, url.as_deref().unwrap_or(&self.name), false)
    }

    /// Where it is pushed to.
    pub(crate) fn push_urls(&self, repo: &Repo) -> Vec<String> {
        let own = repo.config.all(&format!("remote.{}.pushurl", self.name));
        if !own.is_empty() {
            return own.iter().map(|u| address::rewrite(&repo.config, u, false)).collect();
        }
        let all = repo.config.all(&format!("remote.{}.url", self.name));
        if all.is_empty() {
            return vec![address::rewrite(&repo.config, &self.name, true)];
        }
        all.iter().map(|u| address::rewrite(&repo.config, u, true)).collect()
    }

    /// The ref that follows one of the other side.
    pub(crate) fn tracking(&self, name: &str) -> Option<String> {
        crate::refspec::map(&self.fetch, name)
    }
}

/// The remote that is fetched from if none is named.
pub(crate) fn default(repo: &Repo) -> String {
    let branch = repo.head_branch().unwrap_or_default();
    if let Some(name) = repo.config.get(&format!("branch.{branch}.remote")) {
        return name;
    }
    let all = repo.config.subsections("remote");
    match &all[..] {
        [one] => one.clone(),
        _ => "origin".to_owned(),
    }
}

/// The remote that is pushed to if none is named.
pub(crate) fn default_push(repo: &Repo) -> String {
    let branch = repo.head_branch().unwrap_or_default();
    repo.config
        .get(&format!("branch.{branch}.pushremote"))
        .or_else(|| repo.config.get("remote.pushdefault"))
        .unwrap_or_else(|| default(repo))
}
