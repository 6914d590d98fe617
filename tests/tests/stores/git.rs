//! What git does in a store: many small files, names moved over others, files that only one may make.

use agentos::AgentOs;
use agentos_tests::sh;

/// A repository in `/data` is made, branched, merged, cloned and checked.
pub(crate) async fn works(os: &AgentOs) {
    let script = "cd /data && git init -q r && cd r && git config user.name n && git config user.email e \
                  && echo 1 > a && git add a && git commit -qm one && git switch -qc side && echo 2 > b && git add b \
                  && git commit -qm two && git switch -q - && git merge -q side && git status --short && git log --format=%s";
    let out = sh(os, script).await;
    assert_eq!(out.stdout, "two\none\n", "{}", out.stderr);
    let again = sh(os, "git clone -q /data/r /tmp/r && ls /tmp/r && cd /data/r && git fsck").await;
    assert_eq!(again.stdout, "a\nb\n", "{}", again.stderr);
}
