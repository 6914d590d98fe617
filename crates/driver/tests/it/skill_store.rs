//! Skills on disk: what comes, what stays when something goes wrong, and that nothing is written anywhere else.

use std::collections::HashMap;
use std::fs;
use std::os::unix::fs::{PermissionsExt as _, symlink};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use agentos_driver::ErrorInfo;
use agentos_driver::boot::{Execution, SkillEntry, SkillFrontmatter, SkillSource};
use agentos_driver::ports::{Materialized, Pending, Skills as _};
use agentos_driver::skills::{DOWNLOAD_TIMEOUT, Fetch, SkillStore, TOTAL_TIMEOUT, archive};
use bytes::Bytes;
use parking_lot::Mutex;
use proptest::prelude::*;
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};

use crate::skill_archives::{mutated, strange};
use crate::zips::{Entry, PROGRAM, Zip, file};

/// A host with archives by their address. What it does not have never comes if it is slow.
#[derive(Default)]
struct Host {
    archives: Mutex<HashMap<String, Bytes>>,
    asked: Mutex<Vec<String>>,
    slow: bool,
}

impl Fetch for Host {
    fn fetch<'a>(&'a self, url: &'a str, limit: usize, timeout: Duration) -> Pending<'a, Bytes> {
        assert_eq!(limit, archive::MAX_ARCHIVE);
        assert!(timeout <= DOWNLOAD_TIMEOUT);
        self.asked.lock().push(url.to_owned());
        let found = self.archives.lock().get(url).cloned();
        Box::pin(async move {
            match found {
                Some(bytes) => Ok(bytes),
                None if self.slow => std::future::pending().await,
                None => Err(ErrorInfo::new("http.404", format!("nothing at {url}"))),
            }
        })
    }
}

/// A shared root with a host.
struct Place {
    root: tempfile::TempDir,
    host: Arc<Host>,
}

impl Place {
    fn new() -> Self {
        Place::of(Host::default())
    }

    fn of(host: Host) -> Self {
        Place { root: tempfile::tempdir().unwrap(), host: Arc::new(host) }
    }

    fn path(&self, inside: &str) -> PathBuf {
        self.root.path().join(inside)
    }

    fn text(&self, inside: &str) -> String {
        fs::read_to_string(self.path(inside)).unwrap()
    }

    fn mount(&self, name: &str) -> String {
        format!("{}/.agent-driver/skill/{name}", self.root.path().display())
    }

    /// A skill whose archive the host has.
    fn skill(&self, name: &str, zip: &[u8]) -> SkillSource {
        let blob_sha256: String = Sha256::digest(zip).iter().map(|byte| format!("{byte:02X}")).collect();
        let download_url = format!("https://host/{blob_sha256}?key=hidden");
        self.host.archives.lock().insert(download_url.clone(), Bytes::copy_from_slice(zip));
        SkillSource {
            skill_id: format!("id-{name}"),
            skill_name: name.to_owned(),
            mount_path: self.mount(name),
            resolution_mode: "auto".into(),
            archive_format: "zip".into(),
            compression: "deflate".into(),
            blob_sha256,
            download_url,
            materialization_status: "pending".into(),
            snapshot_id: Some(format!("snapshot-{name}")),
            warning_code: None,
        }
    }

    fn store(&self) -> SkillStore {
        SkillStore { shared_root: self.root.path().to_str().unwrap().to_owned(), fetch: self.host.clone() }
    }

    async fn bring(&self, skills: impl IntoIterator<Item = SkillSource>) -> Materialized {
        let execution = Execution { skills: skills.into_iter().collect(), ..Execution::default() };
        self.store().materialize(&execution).await.unwrap()
    }

    fn asked(&self) -> usize {
        self.host.asked.lock().len()
    }

    /// The names in the directory of skills.
    fn there(&self) -> Vec<String> {
        names(&self.path(".agent-driver/skill"))
    }
}

fn names(directory: &Path) -> Vec<String> {
    let entries = fs::read_dir(directory).unwrap();
    let mut names: Vec<String> =
        entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
    names.sort();
    names
}

fn zip(text: &str) -> Vec<u8> {
    Zip::of([file("SKILL.md", text)]).bytes()
}

fn ids(came: &Materialized) -> Vec<&str> {
    came.skills.iter().map(|skill| skill.skill_id.as_str()).collect()
}

fn skipped(came: &Materialized) -> Vec<(&str, &str)> {
    came.skipped.iter().map(|skill| (skill.skill_id.as_str(), skill.reason.as_str())).collect()
}

#[tokio::test]
async fn a_skill_is_there_with_its_modes_and_a_marker() {
    let place = Place::new();
    let mut good = Zip::good();
    // Other bits than that of programs are not taken over.
    good.entries.push(Entry { mode: 0o106_777, ..file("scripts/setuid", "") });
    good.entries[2].mode = 0o100_500;
    let source = place.skill("alpha", &good.bytes());
    let came = place.bring([source.clone()]).await;
    assert_eq!(came.skipped, []);
    let [skill] = &came.skills[..] else { panic!("{came:?}") };
    assert_eq!(skill.mount_path, place.mount("alpha"));
    assert_eq!(skill.skill_markdown_path, format!("{}/SKILL.md", place.mount("alpha")));
    assert_eq!(skill.snapshot_id, "snapshot-alpha");
    let inside = |path: &str| place.path(&format!(".agent-driver/skill/alpha/{path}"));
    let mode = |path: &str| fs::metadata(inside(path)).unwrap().permissions().mode() & 0o7777;
    for (path, expected) in [
        ("", 0o755),
        ("SKILL.md", 0o644),
        ("scripts", 0o755),
        ("scripts/run.sh", 0o755),
        ("scripts/setuid", 0o755),
        ("references/deep/er", 0o755),
        ("references/deep/er/text.md", 0o644),
    ] {
        assert_eq!(mode(path), expected, "{path}");
    }
    assert_eq!(fs::read(inside("assets/picture")).unwrap(), [0, 255, 7]);
    let marker: Value =
        serde_json::from_slice(&fs::read(inside(".agent-driver-skill.json")).unwrap()).unwrap();
    let sha = source.blob_sha256.to_lowercase();
    assert_eq!(marker, json!({"blobSha256": sha, "snapshotId": "snapshot-alpha"}));
    assert_eq!(place.there(), ["alpha"]);
    assert_eq!(names(&place.path(".agent-driver/skills")), ["README.md", "manifest.json"]);
}

#[tokio::test]
async fn a_version_that_is_there_is_not_downloaded_again() {
    let place = Place::new();
    let source = place.skill("alpha", &zip("one"));
    let skill = place.path(".agent-driver/skill/alpha");
    place.bring([source.clone()]).await;
    fs::write(skill.join("note"), "kept").unwrap();
    let again = place.bring([source.clone()]).await;
    assert_eq!((place.asked(), ids(&again)), (1, vec!["id-alpha"]));
    assert!(skill.join("note").exists());
    // Without its file, or with another marker, it comes anew.
    fs::remove_file(skill.join("SKILL.md")).unwrap();
    fs::create_dir(skill.join("SKILL.md")).unwrap();
    place.bring([source.clone()]).await;
    assert_eq!((place.asked(), fs::read_to_string(skill.join("SKILL.md")).unwrap()), (2, "one".into()));
    fs::write(skill.join(".agent-driver-skill.json"), "{").unwrap();
    place.bring([source.clone()]).await;
    assert_eq!(place.asked(), 3);
    let other = SkillSource { snapshot_id: Some("next".into()), ..source };
    assert_eq!(place.bring([other]).await.skills[0].snapshot_id, "next");
    assert_eq!(place.asked(), 4);
    assert!(!skill.join("note").exists());
}

#[tokio::test]
async fn a_new_version_takes_the_place_of_the_old_one() {
    let place = Place::new();
    let old = Zip::of([file("SKILL.md", "one"), file("assets/deep/old", "x")]);
    place.bring([place.skill("alpha", &old.bytes())]).await;
    let new = Zip::of([file("SKILL.md", "two"), Entry { mode: PROGRAM, ..file("scripts/new", "x") }]);
    place.bring([place.skill("alpha", &new.bytes())]).await;
    let skill = ".agent-driver/skill/alpha";
    assert_eq!(place.text(&format!("{skill}/SKILL.md")), "two");
    assert_eq!(names(&place.path(skill)), [".agent-driver-skill.json", "SKILL.md", "scripts"]);
    assert_eq!(place.there(), ["alpha"]);
}

#[tokio::test]
async fn a_bad_skill_leaves_its_old_copy_and_the_others_alone() {
    let place = Place::new();
    place.bring([place.skill("alpha", &zip("one"))]).await;
    let new = || place.skill("alpha", &zip("two"));
    let hostile = Zip::of([file("SKILL.md", "two"), file("assets/../../x", "")]).bytes();
    let table = [
        ("integrity", SkillSource { blob_sha256: "0".repeat(64), ..new() }),
        ("integrity", SkillSource { blob_sha256: "x".repeat(64), ..new() }),
        ("integrity", SkillSource { blob_sha256: String::new(), ..new() }),
        ("archive_refused", place.skill("alpha", &hostile)),
        ("archive_refused", place.skill("alpha", b"no zip")),
        ("download_failed", SkillSource { download_url: "https://nowhere/?key=hidden".into(), ..new() }),
        ("unsupported_format", SkillSource { archive_format: "tar".into(), ..new() }),
        ("unsupported_format", SkillSource { compression: "zstd".into(), ..new() }),
        ("too_large", place.skill("alpha", &vec![0; archive::MAX_ARCHIVE + 1])),
        ("no_snapshot", SkillSource { snapshot_id: None, ..new() }),
        ("no_snapshot", SkillSource { snapshot_id: Some(String::new()), ..new() }),
        ("tombstone", SkillSource { resolution_mode: "tombstone".into(), ..new() }),
    ];
    for (n, (reason, bad)) in table.into_iter().enumerate() {
        let beta = format!("beta{n}");
        let came = place.bring([bad, place.skill(&beta, &zip("other"))]).await;
        assert_eq!(skipped(&came), [("id-alpha", reason)]);
        assert!(!came.skipped[0].message.contains("hidden"), "{came:?}");
        assert_eq!(ids(&came), [format!("id-{beta}")]);
        assert_eq!(place.text(".agent-driver/skill/alpha/SKILL.md"), "one", "{reason}");
        assert!(place.there().iter().all(|name| !name.starts_with('.')), "{:?}", place.there());
    }
}

#[tokio::test]
async fn what_one_who_was_ended_left_is_put_in_order() {
    let place = Place::new();
    place.bring([place.skill("alpha", &zip("one")), place.skill("beta", &zip("one"))]).await;
    let skill = |name: &str| place.path(&format!(".agent-driver/skill/{name}"));
    // Ended while it wrote; between the two renames; before it removed the old one; while it wrote the catalog.
    fs::create_dir_all(skill(".new-x/assets/deep")).unwrap();
    fs::write(skill(".new-x/assets/deep/file"), "half").unwrap();
    fs::rename(skill("alpha"), skill(".old-alpha")).unwrap();
    fs::create_dir_all(skill(".old-beta/assets")).unwrap();
    fs::write(place.path(".agent-driver/skills/.new-y"), "half").unwrap();
    let gone = SkillSource { download_url: "https://nowhere/".into(), ..place.skill("alpha", &zip("two")) };
    let came = place.bring([gone]).await;
    assert_eq!(skipped(&came), [("id-alpha", "download_failed")]);
    assert_eq!(place.there(), ["alpha", "beta"]);
    assert_eq!(place.text(".agent-driver/skill/alpha/SKILL.md"), "one");
    assert_eq!(place.text(".agent-driver/skill/beta/SKILL.md"), "one");
    assert_eq!(names(&place.path(".agent-driver/skills")), ["README.md", "manifest.json"]);
}

#[tokio::test]
async fn what_cannot_be_removed_keeps_no_new_version_away() {
    let place = Place::new();
    place.bring([place.skill("alpha", &zip("one"))]).await;
    // Too deep to be removed; its path is too long for one call only much deeper.
    let deep = place.path(&format!(".agent-driver/skill/alpha/assets{}", "/d".repeat(200)));
    fs::create_dir_all(deep).unwrap();
    for text in ["two", "three"] {
        let came = place.bring([place.skill("alpha", &zip(text))]).await;
        assert_eq!(ids(&came), ["id-alpha"]);
        assert_eq!(place.text(".agent-driver/skill/alpha/SKILL.md"), text);
    }
    assert_eq!(place.there(), [".old-alpha", "alpha"]);
}

#[tokio::test]
async fn a_skill_goes_nowhere_else() {
    let place = Place::new();
    let root = place.root.path().display().to_string();
    let good = place.skill("alpha", &zip("one"));
    let long = place.mount(&"a".repeat(201));
    let mounts = [
        String::new(),
        "alpha".into(),
        "/".into(),
        root.clone(),
        format!("{root}/alpha"),
        format!("{root}/.agent-driver/skill"),
        format!("{root}/.agent-driver/skill/"),
        format!("{root}/.agent-driver/skill/a/b"),
        format!("{root}/.agent-driver/skill/alpha/"),
        format!("{root}/.agent-driver/skill/.."),
        format!("{root}/.agent-driver/skill/../x"),
        format!("{root}/.agent-driver/skill/.new-x"),
        format!("{root}/.agent-driver/skill/a\\b"),
        format!("{root}/.agent-driver/skill/a\nb"),
        format!("{root}/.agent-driver/skills/alpha"),
        format!("{root}/.agent-driver/skillalpha"),
        format!("{root}x/.agent-driver/skill/alpha"),
        long,
    ];
    for mount_path in mounts {
        let came = place.bring([SkillSource { mount_path: mount_path.clone(), ..good.clone() }]).await;
        assert_eq!(skipped(&came), [("id-alpha", "mount_path")], "{mount_path}");
    }
    assert_eq!(place.asked(), 0);
    assert!(place.there().is_empty());
    assert_eq!(names(place.root.path()), [".agent-driver"]);
    // Two at one place: the first one has it.
    let second = SkillSource { skill_id: "second".into(), mount_path: place.mount("ALPHA"), ..good.clone() };
    let came = place.bring([good, second]).await;
    assert_eq!((ids(&came), skipped(&came)), (vec!["id-alpha"], vec![("second", "mount_path")]));
}

#[tokio::test]
async fn no_link_is_followed() {
    for link in [".agent-driver", ".agent-driver/skill", ".agent-driver/skills"] {
        let (place, outside) = (Place::new(), tempfile::tempdir().unwrap());
        fs::create_dir_all(place.path(link).parent().unwrap()).unwrap();
        symlink(outside.path(), place.path(link)).unwrap();
        let execution = Execution { skills: vec![place.skill("alpha", &zip("one"))], ..Execution::default() };
        let refused = place.store().materialize(&execution).await.unwrap_err();
        assert_eq!(refused.code, "skill.unavailable", "{link}");
        assert!(names(outside.path()).is_empty(), "{link}");
    }
    // Where a skill, a leftover or a file of the catalog should be, the link itself goes.
    let (place, outside) = (Place::new(), tempfile::tempdir().unwrap());
    fs::write(outside.path().join("file"), "mine").unwrap();
    fs::create_dir_all(place.path(".agent-driver/skill")).unwrap();
    fs::create_dir_all(place.path(".agent-driver/skills")).unwrap();
    symlink(outside.path(), place.path(".agent-driver/skill/alpha")).unwrap();
    symlink(outside.path(), place.path(".agent-driver/skill/.new-x")).unwrap();
    symlink(outside.path().join("file"), place.path(".agent-driver/skills/manifest.json")).unwrap();
    let came = place.bring([place.skill("alpha", &zip("one"))]).await;
    assert_eq!((ids(&came), &came.catalog_error), (vec!["id-alpha"], &None));
    assert_eq!(place.there(), ["alpha"]);
    assert!(fs::symlink_metadata(place.path(".agent-driver/skill/alpha")).unwrap().is_dir());
    assert_eq!(names(outside.path()), ["file"]);
    assert_eq!(fs::read_to_string(outside.path().join("file")).unwrap(), "mine");
    // A file that is a link does not make a skill.
    let skill = place.path(".agent-driver/skill/alpha/SKILL.md");
    fs::remove_file(&skill).unwrap();
    symlink(outside.path().join("file"), &skill).unwrap();
    place.bring([place.skill("alpha", &zip("one"))]).await;
    assert_eq!((place.asked(), fs::read_to_string(skill).unwrap()), (2, "one".into()));
}

#[tokio::test]
async fn the_catalog_says_what_there_is_and_what_there_is_not() {
    let place = Place::new();
    let entry = |name: &str, mode: &str, description: Option<&str>| SkillEntry {
        skill_id: format!("id-{name}"),
        skill_name: name.to_owned(),
        mount_path: place.mount(name),
        resolution_mode: mode.to_owned(),
        frontmatter: SkillFrontmatter {
            author: None,
            description: description.map(str::to_owned),
            version: Some("3".into()),
        },
    };
    let gone =
        SkillSource { resolution_mode: "tombstone".into(), ..place.skill("gone", &zip("it is not read")) };
    let lost = SkillSource { blob_sha256: "0".repeat(64), ..place.skill("lost", &zip("x")) };
    let execution = Execution {
        skill_catalog: vec![
            entry("alpha", "auto", Some("does\n# this\tand that")),
            entry("gone", "tombstone", Some("did that")),
            entry("lost", "explicit", None),
            entry("none", "auto", None),
            entry("recalled", "tombstone", None),
        ],
        skills: vec![
            place.skill("alpha", &zip("one")),
            gone,
            lost,
            place.skill("extra", &zip("two")),
            place.skill("recalled", &zip("three")),
        ],
        ..Execution::default()
    };
    let came = place.store().materialize(&execution).await.unwrap();
    let root = place.root.path().display();
    assert_eq!(came.catalog.unwrap(), format!("{root}/.agent-driver/skills/README.md"));
    let manifest: Value = serde_json::from_str(&place.text(".agent-driver/skills/manifest.json")).unwrap();
    assert_eq!(
        manifest["skills"][0],
        json!({
            "skillId": "id-alpha", "skillName": "alpha", "resolutionMode": "auto", "available": true,
            "mountPath": place.mount("alpha"), "skillMarkdownPath": format!("{}/SKILL.md", place.mount("alpha")),
            "snapshotId": "snapshot-alpha",
            "frontmatter": {"author": null, "description": "does\n# this\tand that", "version": "3"},
        })
    );
    let state =
        |skill: &Value| (skill["skillName"].clone(), skill["available"].clone(), skill["reason"].clone());
    let states: Vec<_> = manifest["skills"].as_array().unwrap().iter().map(state).collect();
    assert_eq!(
        states,
        [
            (json!("alpha"), json!(true), Value::Null),
            (json!("gone"), json!(false), json!("tombstone")),
            (json!("lost"), json!(false), json!("integrity")),
            (json!("none"), json!(false), json!("no_archive")),
            (json!("recalled"), json!(false), json!("tombstone")),
            (json!("extra"), json!(true), Value::Null),
        ]
    );
    let text = place.text(".agent-driver/skills/README.md");
    let (there, missing) = text.split_once("## Not available").unwrap();
    assert!(
        there.contains(&format!("- **alpha**: does # this and that (`{}/SKILL.md`)\n", place.mount("alpha")))
    );
    assert!(there.contains("**extra**") && !there.contains("gone"));
    assert!(missing.contains("- **gone** (tombstone)\n") && missing.contains("- **lost** (integrity)\n"));
    // A session without skills leaves no old catalog, and makes none.
    place.bring([]).await;
    let manifest: Value = serde_json::from_str(&place.text(".agent-driver/skills/manifest.json")).unwrap();
    assert_eq!(manifest["skills"], json!([]));
    let bare = Place::new();
    assert_eq!(bare.bring([]).await, Materialized::default());
    assert!(names(bare.root.path()).is_empty());
}

#[tokio::test]
async fn a_catalog_that_cannot_be_written_is_said_and_the_skills_are_there() {
    let place = Place::new();
    fs::create_dir_all(place.path(".agent-driver/skills/README.md/x")).unwrap();
    let came = place.bring([place.skill("alpha", &zip("one"))]).await;
    assert_eq!((ids(&came), &came.catalog), (vec!["id-alpha"], &None));
    assert_eq!(came.catalog_error.unwrap().code, "skill.unavailable");
    assert_eq!(names(&place.path(".agent-driver/skills")), ["README.md", "manifest.json"]);
}

#[tokio::test]
async fn a_shared_root_that_is_none_is_an_error() {
    let host: Arc<Host> = Arc::default();
    for (root, code) in [("relative", "path.invalid"), ("/no such root/../x", "path.invalid")] {
        let store = SkillStore { shared_root: root.into(), fetch: host.clone() };
        assert_eq!(store.materialize(&Execution::default()).await.unwrap_err().code, code);
    }
    let place = Place::new();
    let missing = place.path("missing").to_str().unwrap().to_owned();
    let store = SkillStore { shared_root: missing, fetch: host };
    // It is missed only where there is something to write.
    assert_eq!(store.materialize(&Execution::default()).await, Ok(Materialized::default()));
    let execution = Execution { skills: vec![place.skill("alpha", &zip("one"))], ..Execution::default() };
    assert_eq!(store.materialize(&execution).await.unwrap_err().code, "skill.unavailable");
}

#[tokio::test(start_paused = true)]
async fn an_archive_that_does_not_come_is_not_waited_for_for_ever() {
    let place = Place::of(Host { slow: true, ..Host::default() });
    let began = tokio::time::Instant::now();
    let mut skills = Vec::new();
    for n in 0..8 {
        let name = format!("slow{n}");
        let source = place.skill(&name, &zip("never"));
        place.host.archives.lock().remove(&source.download_url);
        skills.push(source);
    }
    // One that is there needs no time.
    place.bring([place.skill("alpha", &zip("one"))]).await;
    skills.push(place.skill("alpha", &zip("one")));
    let came = place.bring(skills).await;
    assert!(came.skipped.iter().all(|skipped| skipped.reason == "timed_out"), "{came:?}");
    assert_eq!((came.skipped.len(), ids(&came)), (8, vec!["id-alpha"]));
    assert!(began.elapsed() <= TOTAL_TIMEOUT + Duration::from_secs(1));
    assert!(place.asked() < 8, "after the time is over nothing is asked for");
}

#[tokio::test]
async fn two_sessions_with_one_shared_root_do_not_disturb_each_other() {
    let place = Place::new();
    let source = place.skill("alpha", &Zip::good().bytes());
    let (a, b) = tokio::join!(place.bring([source.clone()]), place.bring([source.clone()]));
    assert_eq!((ids(&a), ids(&b)), (vec!["id-alpha"], vec!["id-alpha"]));
    assert_eq!(place.asked(), 1);
    assert_eq!(place.there(), ["alpha"]);
}

/// All below a directory, relative to it.
fn tree(directory: &Path, prefix: &str, to: &mut Vec<String>) {
    for name in names(directory) {
        let path = directory.join(&name);
        let inside = format!("{prefix}{name}");
        assert!(!path.is_symlink(), "{inside}");
        if path.is_dir() {
            tree(&path, &format!("{inside}/"), to);
        } else {
            to.push(inside);
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn no_archive_writes_outside_its_skill(bytes in prop_oneof![mutated(), strange()]) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
        let place = Place::new();
        let came = runtime.block_on(place.bring([place.skill("alpha", &bytes)]));
        prop_assert_eq!(came.skills.len() + came.skipped.len(), 1);
        let mut files = Vec::new();
        tree(place.root.path(), "", &mut files);
        for file in files {
            let skill = file.strip_prefix(".agent-driver/skill/alpha/");
            let allowed = skill.is_some_and(|file| {
                let top = file.split('/').next().unwrap_or_default();
                ["SKILL.md", ".agent-driver-skill.json", "assets", "references", "scripts"].contains(&top)
            });
            prop_assert!(allowed || file.starts_with(".agent-driver/skills/"), "{}", file);
        }
        if came.skills.is_empty() {
            prop_assert!(place.there().is_empty());
        }
    }
}
