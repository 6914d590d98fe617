//! What a session begins with.

mod execution;
mod payload;

pub use execution::{
    ConfigRevision, CustomToolSpec, Environment, Execution, McpServer, Origin, SessionContext, SessionSpec,
    SkillEntry, SkillFrontmatter, SkillSource, SpaceAlias,
};
pub use payload::{
    ACP_ARGS, ACP_AUTH_METHOD, ACP_COMMAND, BootPayload, CLAUDE_EXECUTABLE, CODEX_EXECUTABLE, PAYLOAD,
    PAYLOAD_FILE, PREFIX, PROTOCOL_VERSION, PayloadSource,
};
