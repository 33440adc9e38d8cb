//! What a soak finds.

use serde_json::{Value, json};

use crate::plot::Curve;

/// What was found.
#[derive(Default)]
pub struct Report {
    /// Everything that is wrong.
    pub faults: Vec<String>,
    /// What could not be done here, and why.
    pub skipped: Vec<String>,
    /// What happened, in numbers.
    pub counts: Counts,
    /// Memory over the time.
    pub curves: Vec<Curve>,
}

/// What happened, in numbers.
#[derive(Clone, Copy, Debug, Default)]
pub struct Counts {
    /// Rounds.
    pub rounds: usize,
    /// Datagrams that were sent.
    pub datagrams: f64,
    /// Of them, those that no phone sends.
    pub hostile: f64,
    /// Events that were stored.
    pub stored: f64,
    /// Events given up, and counted: by shards, and by the writer while the disk was full.
    pub shed: f64,
    /// Datagrams that the kernel dropped.
    pub dropped: f64,
    /// Commits that failed, in all lives.
    pub commit_errors: f64,
    /// Starts of the node.
    pub lives: usize,
    /// Requests that the webhook's receiver took.
    pub webhook_requests: u64,
    /// Most resident memory in the last life, in MB.
    pub memory_mb: f64,
    /// Open descriptors with no traffic, in the first life and in the last.
    pub descriptors: [usize; 2],
}

impl Counts {
    /// As JSON.
    #[must_use]
    pub fn json(&self) -> Value {
        json!({
            "rounds": self.rounds, "datagrams": self.datagrams, "hostile": self.hostile,
            "stored": self.stored, "shed": self.shed, "dropped": self.dropped,
            "commit_errors": self.commit_errors,
            "lives": self.lives, "webhook_requests": self.webhook_requests,
            "memory_mb": self.memory_mb, "descriptors": self.descriptors,
        })
    }
}
