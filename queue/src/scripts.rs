//! The Lua scripts. Each is sent by its hash and loaded again when Redis has forgotten it.

use redis::Script;

/// All scripts, parsed once per process.
#[derive(Debug)]
pub(crate) struct Scripts {
    pub(crate) submit: Script,
    pub(crate) claim: Script,
    pub(crate) heartbeat: Script,
    pub(crate) finish: Script,
    pub(crate) sweep: Script,
    pub(crate) acknowledge: Script,
}

impl Scripts {
    pub(crate) fn new() -> Self {
        Self {
            submit: Script::new(include_str!("../lua/submit.lua")),
            claim: Script::new(include_str!("../lua/claim.lua")),
            heartbeat: Script::new(include_str!("../lua/heartbeat.lua")),
            finish: Script::new(include_str!("../lua/finish.lua")),
            sweep: Script::new(include_str!("../lua/sweep.lua")),
            acknowledge: Script::new(include_str!("../lua/acknowledge.lua")),
        }
    }
}
