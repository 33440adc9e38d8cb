//! Short-lived tokens, in memory: what an OAuth 2 client got for its own.

use std::collections::{HashMap, VecDeque};

use sentrypeer_storage::event::Time;

use super::scope::Scopes;
use super::token::{Hash, RANDOM_BYTES, Secret, parts};
use crate::limits::ISSUED_PER_CLIENT_MAX;

/// All that were issued and have not ended, by client. There are no more clients than tokens of the
/// operator, and none has more than [`ISSUED_PER_CLIENT_MAX`]: the next takes the place of its own
/// oldest, so no client can push out another's.
#[derive(Debug, Default)]
pub(super) struct Issued {
    by_client: HashMap<String, VecDeque<Lease>>,
    /// Whose a token is, by its id.
    clients: HashMap<String, String>,
}

#[derive(Debug)]
struct Lease {
    id: String,
    hash: Hash,
    scopes: Scopes,
    expires: Time,
}

impl Issued {
    /// Issues a token to a client.
    pub(super) fn issue(
        &mut self,
        client: &str,
        scopes: Scopes,
        expires: Time,
        random: &[u8; RANDOM_BYTES],
    ) -> Secret {
        let (secret, kept) = Secret::new(random);
        let leases = self.by_client.entry(client.to_owned()).or_default();
        if leases.len() >= ISSUED_PER_CLIENT_MAX
            && let Some(oldest) = leases.pop_front()
        {
            self.clients.remove(&oldest.id);
        }
        self.clients.insert(kept.id.clone(), client.to_owned());
        leases.push_back(Lease { id: kept.id, hash: kept.hash, scopes, expires });
        secret
    }

    /// Forgets the clients that are not wanted any more.
    pub(super) fn retain(&mut self, mut is_wanted: impl FnMut(&str) -> bool) {
        self.by_client.retain(|client, _| is_wanted(client));
        let by_client = &self.by_client;
        self.clients.retain(|_, client| by_client.contains_key(client));
    }

    /// Whose token this is, and what it may do, if it has not ended.
    pub(super) fn find(&self, text: &str, now: Time) -> Option<(&str, Scopes)> {
        let (id, secret) = parts(text)?;
        let client = self.clients.get(id)?;
        let lease = self.by_client.get(client)?.iter().find(|lease| lease.id == id)?;
        (lease.hash.is_of(secret) && lease.expires > now).then_some((client, lease.scopes))
    }
}

#[cfg(test)]
mod tests {
    use super::super::scope::Scope;
    use super::*;

    fn random(number: usize) -> [u8; RANDOM_BYTES] {
        let mut random = [0; RANDOM_BYTES];
        random[..8].copy_from_slice(&(number as u64).to_be_bytes());
        random
    }

    #[test]
    fn a_client_has_so_many_and_its_oldest_go_first() {
        let mut issued = Issued::default();
        let read = Scopes::of([Scope::Read]);
        let other = issued.issue("other", read, Time(100), &random(usize::MAX));
        let tokens: Vec<Secret> = (0..ISSUED_PER_CLIENT_MAX + 3)
            .map(|number| issued.issue("one", read, Time(100), &random(number)))
            .collect();
        let holds = |secret: &Secret| issued.find(secret.text(), Time(99)).is_some();
        assert_eq!(tokens.iter().filter(|secret| holds(secret)).count(), ISSUED_PER_CLIENT_MAX);
        assert!(!holds(&tokens[2]) && holds(&tokens[3]) && holds(&other));
        assert_eq!(issued.clients.len(), ISSUED_PER_CLIENT_MAX + 1);
        assert!(issued.find(other.text(), Time(100)).is_none());
        issued.retain(|client| client == "other");
        assert_eq!((issued.clients.len(), issued.by_client.len()), (1, 1));
    }
}
