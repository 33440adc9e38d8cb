//! `/api/v1/user-agents`.

use sentrypeer_storage::aggregate::CountRow;
use sentrypeer_storage::event::Time;
use sentrypeer_storage::key::AgentKey;
use sentrypeer_storage::snapshot::{Snapshot, Table};
use serde::Serialize;

use super::page::{self, Listed};
use super::{Often, Shown};
use crate::exchange::{Request, Response};
use crate::query::{Parameters, QueryError};
use crate::routes::View;

/// One user agent as it is shown: as text, whatever its bytes.
#[derive(Serialize)]
struct Agent {
    user_agent: String,
    #[serde(flatten)]
    seen: Shown,
}

/// Which user agents are wanted.
struct Filter {
    often: Often,
    prefix: Box<[u8]>,
}

impl Listed for Filter {
    type Key = AgentKey;
    type Row = CountRow;
    type Shown = Agent;
    const MEMBER: &'static str = "user_agents";
    const NAMES: &'static [&'static str] = &["since", "until", "prefix", "min_count"];

    fn table(snapshot: &Snapshot) -> &Table<AgentKey, CountRow> {
        &snapshot.agents
    }

    fn parse(parameters: &Parameters<'_>) -> Result<Self, QueryError> {
        let prefix = parameters.bytes("prefix").unwrap_or(b"").into();
        Ok(Self { often: Often::parse(parameters)?, prefix })
    }

    fn fits(&self, _: &View, key: &AgentKey, row: &CountRow, _: Time) -> bool {
        self.often.has(&row.seen) && key.as_bytes().starts_with(&self.prefix)
    }

    fn shown(_: &View, key: &AgentKey, row: &CountRow, _: Time) -> Agent {
        let user_agent = String::from_utf8_lossy(key.as_bytes()).into_owned();
        Agent { user_agent, seen: Shown::from(&row.seen) }
    }
}

/// `/api/v1/user-agents`
pub(crate) fn list(view: &View, request: &Request<'_>) -> Response {
    page::list::<Filter>(view, request)
}
