//! What the system promises, tested through the public client against the real program. One module per area; each test
//! has a machine of its own and a watch of one minute, which only tells a hang. Nothing here measures time.
#![allow(clippy::unwrap_used)]

mod test_acp_outwards;
mod test_acp_sessions;
mod test_agents;
mod test_attacks;
mod test_cli;
mod test_cli_shell;
mod test_coder;
mod test_config;
mod test_cron;
mod test_driver;
mod test_drivers;
mod test_egress;
mod test_escapes;
mod test_exec;
mod test_executor;
mod test_files;
mod test_forks;
mod test_isolation;
mod test_layers;
mod test_limits;
mod test_limits_named;
mod test_locks;
mod test_mcp_remote;
mod test_mount_layers;
mod test_mount_rules;
mod test_mounts;
mod test_permissions;
mod test_persistence;
mod test_pipelines;
mod test_preview1;
mod test_resume;
mod test_scenarios;
mod test_scripts;
mod test_sessions;
mod test_sidecar;
mod test_snapshots;
mod test_spawn;
mod test_stores;
mod test_streams;
mod test_terminals;
mod test_tools;
mod test_vendors;
mod test_watch;
mod test_zones;
