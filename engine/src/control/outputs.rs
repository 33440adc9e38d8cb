//! Orders about the node's outputs.
//!
//! | line | what is done | document |
//! |---|---|---|
//! | `output list` | nothing | how each is doing |
//! | `output pause NAME`, `output resume NAME` | it rests, it goes on | how it is doing |
//! | `output reset NAME oldest`, `output reset NAME newest` | it begins again there | the same |
//!
//! An order is passed on to the output's thread and not waited for: that may be busy with its receiver.

use sentrypeer_export::handle::Handle;
use sentrypeer_export::status::Status;
use sentrypeer_storage::Store;
use sentrypeer_storage::cursor::Begin;
use sentrypeer_storage::event::{Seq, Time};
use sentrypeer_storage::limits::CURSOR_NAME_BYTES_MAX;
use sentrypeer_storage::utc::Utc;
use serde_json::{Value, json};

use super::order::{Refusal, malformed, text, word};

/// The node's outputs, for who looks after them.
#[derive(Clone, Debug, Default)]
pub struct Watched(Vec<Handle>);

impl Watched {
    /// These.
    #[must_use]
    pub fn new(handles: impl IntoIterator<Item = Handle>) -> Self {
        Self(handles.into_iter().collect())
    }

    /// How each is doing.
    #[must_use]
    pub fn status(&self, store: &Store, now: Time) -> Vec<Status> {
        let through = store.snapshot().map_or(Seq(0), |snapshot| snapshot.through);
        self.0.iter().map(|handle| handle.status(through, now)).collect()
    }

    fn get(&self, name: &str) -> Result<&Handle, Refusal> {
        self.0.iter().find(|handle| handle.name() == name).ok_or_else(|| {
            let known: Vec<&str> = self.0.iter().map(Handle::name).collect();
            let known = if known.is_empty() { "none".to_owned() } else { known.join(", ") };
            malformed(&format!("there is no output \"{name}\"; this node has: {known}"))
        })
    }
}

/// What is to be done with outputs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum OutputOrder {
    /// Say how each is doing.
    List,
    /// Hand nothing on.
    Pause(String),
    /// Go on.
    Resume(String),
    /// Begin again.
    Reset(String, Begin),
}

const OLDEST: &str = "oldest";
const NEWEST: &str = "newest";

impl OutputOrder {
    /// Its words, behind `output`.
    pub(super) fn words(&self) -> Vec<String> {
        let name = |name: &String| word(name.as_bytes());
        match self {
            Self::List => vec!["list".to_owned()],
            Self::Pause(of) => vec!["pause".to_owned(), name(of)],
            Self::Resume(of) => vec!["resume".to_owned(), name(of)],
            Self::Reset(of, begin) => {
                let begin = if *begin == Begin::Oldest { OLDEST } else { NEWEST };
                vec!["reset".to_owned(), name(of), begin.to_owned()]
            }
        }
    }

    /// Understands the words behind `output`.
    pub(super) fn decode(words: &[&str]) -> Result<Self, Refusal> {
        match *words {
            ["list"] => Ok(Self::List),
            ["pause", of] => Ok(Self::Pause(name(of)?)),
            ["resume", of] => Ok(Self::Resume(name(of)?)),
            ["reset", of, OLDEST] => Ok(Self::Reset(name(of)?, Begin::Oldest)),
            ["reset", of, NEWEST] => Ok(Self::Reset(name(of)?, Begin::Newest)),
            _ => Err(malformed("this version knows no such order about outputs")),
        }
    }

    /// Carries it out.
    ///
    /// # Errors
    ///
    /// [`Refusal`] where there is no such output.
    pub(super) fn carry_out(&self, outputs: &Watched, store: &Store) -> Result<Value, Refusal> {
        let of = match self {
            Self::List => {
                let all = outputs.status(store, Time::now());
                return Ok(json!({ "outputs": all.iter().map(document).collect::<Vec<_>>() }));
            }
            Self::Pause(of) | Self::Resume(of) | Self::Reset(of, _) => outputs.get(of)?,
        };
        match self {
            Self::Pause(_) => of.pause(),
            Self::Resume(_) => of.resume(),
            Self::Reset(_, begin) => of.reset(*begin),
            Self::List => {}
        }
        let through = store.snapshot().map_or(Seq(0), |snapshot| snapshot.through);
        log::info!(target: "audit", "output {}: {}", of.name(), self.words().join(" "));
        Ok(document(&of.status(through, Time::now())))
    }
}

/// One status as JSON.
#[must_use]
pub fn document(status: &Status) -> Value {
    json!({
        "name": status.name,
        "kind": status.kind,
        "target": status.target,
        "state": status.state.name(),
        "cursor": status.cursor.0,
        "lag_events": status.lag_events,
        "lag_s": status.lag_s,
        "sent": status.sent,
        "filtered": status.filtered,
        "set_aside": status.set_aside,
        "missed": status.missed,
        "failures": status.failures,
        "last_error": status.last_error.as_ref().map(|error| json!({
            "at": Utc(error.at).to_string(),
            "text": error.text,
        })),
    })
}

fn name(word: &str) -> Result<String, Refusal> {
    text(word, CURSOR_NAME_BYTES_MAX)
}
