//! What a session begins with.

mod execution;

pub use execution::{
    ConfigRevision, CustomToolSpec, Environment, Execution, McpServer, Origin, SessionContext, SessionSpec,
    SkillEntry, SkillFrontmatter, SkillSource, SpaceAlias,
};
