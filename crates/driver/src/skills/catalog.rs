//! The catalog of skills: one file for programs, one that the agent reads. It holds what skills say of themselves in a line
//! or two; their texts are opened on demand. It decides nothing about which skills there are.

use std::fmt::Write as _;
use std::io;

use serde::Serialize;
use ulid::Ulid;

use super::dir::{Dir, PLAIN};
use super::materialize::NEW;
use crate::boot::{Execution, SkillFrontmatter};
use crate::ports::Materialized;

/// The file for programs.
pub(super) const MANIFEST: &str = "manifest.json";
/// The file that the agent reads.
pub(super) const README: &str = "README.md";

/// Most characters of a name or a summary in the text for the agent.
const MAX_LINE: usize = 1000;

/// What the host calls a skill that is not there any more.
const TOMBSTONE: &str = "tombstone";

/// All skills of a session.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Catalog {
    version: u32,
    skills: Vec<Listed>,
}

/// A skill.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct Listed {
    skill_id: String,
    skill_name: String,
    resolution_mode: String,
    available: bool,
    mount_path: String,
    /// Where it begins, if it is available;
    #[serde(skip_serializing_if = "Option::is_none")]
    skill_markdown_path: Option<String>,
    /// its version then,
    #[serde(skip_serializing_if = "Option::is_none")]
    snapshot_id: Option<String>,
    /// and in one word why it is not.
    #[serde(skip_serializing_if = "Option::is_none")]
    reason: Option<String>,
    frontmatter: SkillFrontmatter,
}

impl Listed {
    /// One of which is not known yet whether it is there.
    fn of(id: &str, name: &str, mode: &str, mount: &str, frontmatter: SkillFrontmatter) -> Self {
        Listed {
            skill_id: id.to_owned(),
            skill_name: name.to_owned(),
            resolution_mode: mode.to_owned(),
            available: false,
            mount_path: mount.to_owned(),
            skill_markdown_path: None,
            snapshot_id: None,
            reason: None,
            frontmatter,
        }
    }

    fn look(&mut self, came: &Materialized) {
        let skill = came.skills.iter().find(|skill| skill.skill_id == self.skill_id);
        match skill.filter(|_| self.resolution_mode != TOMBSTONE) {
            Some(skill) => {
                self.available = true;
                self.mount_path.clone_from(&skill.mount_path);
                self.skill_markdown_path = Some(skill.skill_markdown_path.clone());
                self.snapshot_id = Some(skill.snapshot_id.clone());
            }
            None if self.resolution_mode == TOMBSTONE => self.reason = Some(TOMBSTONE.to_owned()),
            None => {
                let skipped = came.skipped.iter().find(|skill| skill.skill_id == self.skill_id);
                let reason = skipped.map_or("no_archive", |skill| skill.reason.as_str());
                self.reason = Some(reason.to_owned());
            }
        }
    }
}

impl Catalog {
    /// The skills that a session was told of, and what came of them: those of the catalog, then those that it lacks.
    pub(super) fn of(execution: &Execution, came: &Materialized) -> Self {
        let mut skills: Vec<Listed> = Vec::new();
        let mut add = |mut listed: Listed| {
            if !skills.iter().any(|other| other.skill_id == listed.skill_id) {
                listed.look(came);
                skills.push(listed);
            }
        };
        for entry in &execution.skill_catalog {
            let frontmatter = entry.frontmatter.clone();
            let (id, name) = (&entry.skill_id, &entry.skill_name);
            add(Listed::of(id, name, &entry.resolution_mode, &entry.mount_path, frontmatter));
        }
        for source in &execution.skills {
            let (id, name) = (&source.skill_id, &source.skill_name);
            let frontmatter = SkillFrontmatter::default();
            add(Listed::of(id, name, &source.resolution_mode, &source.mount_path, frontmatter));
        }
        Catalog { version: 1, skills }
    }

    /// Writes both files, each at once.
    pub(super) fn write(&self, to: &Dir) -> io::Result<()> {
        let mut manifest = serde_json::to_vec_pretty(self)?;
        manifest.push(b'\n');
        put(to, MANIFEST, &manifest)?;
        put(to, README, self.readme().as_bytes())
    }

    fn readme(&self) -> String {
        let mut text = "# Skills\n\n".to_owned();
        let (there, missing): (Vec<&Listed>, Vec<&Listed>) =
            self.skills.iter().partition(|skill| skill.available);
        if there.is_empty() {
            text.push_str("There are none.\n");
        } else {
            text.push_str("Open the file of a skill when a task is what it is for.\n\n");
        }
        for skill in there {
            let summary = skill.frontmatter.description.as_deref().unwrap_or("no summary");
            let path = skill.skill_markdown_path.as_deref().unwrap_or_default();
            // A String takes all.
            let _ = writeln!(text, "- **{}**: {} (`{path}`)", line(&skill.skill_name), line(summary));
        }
        if !missing.is_empty() {
            text.push_str("\n## Not available\n\n");
        }
        for skill in missing {
            let reason = skill.reason.as_deref().unwrap_or_default();
            let _ = writeln!(text, "- **{}** ({reason})", line(&skill.skill_name));
        }
        text
    }
}

/// In one line, and not too long.
fn line(text: &str) -> String {
    let words: Vec<&str> = text.split(|c: char| c.is_control() || c.is_whitespace()).collect();
    let words = words.into_iter().filter(|word| !word.is_empty()).collect::<Vec<_>>().join(" ");
    words.chars().take(MAX_LINE).collect()
}

fn put(to: &Dir, name: &str, bytes: &[u8]) -> io::Result<()> {
    let new = format!("{NEW}{}", Ulid::generate());
    let put = to.write(&new, bytes, PLAIN).and_then(|()| to.rename(new.as_str(), name));
    if put.is_err()
        && let Ok(new) = std::ffi::CString::new(new)
    {
        let _ = to.remove(&new);
    }
    put
}
