//! One set of the kernel.

use std::collections::HashSet;
use std::io::Write;
use std::net::IpAddr;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use jiff::Timestamp;

use super::document::{self, Changes};
use super::{Family, FirewallError, Tool, Wanted, tool};
use crate::control;
use crate::limits::{FIREWALL_DOCUMENT_BYTES_MAX, FIREWALL_OVERLAP_S};

/// One set, and what is known of it.
pub(super) struct Set {
    database: PathBuf,
    wanted: Wanted,
    family: Family,
    name: String,
    /// What we have loaded; `None` until the whole list was.
    loaded: Option<Loaded>,
    /// What was last said of it, so that it is not said again and again.
    complained: Option<String>,
}

/// What is in a set, as far as we have done it.
struct Loaded {
    members: HashSet<IpAddr>,
    /// When the node was first asked for the generation that was loaded last.
    asked: Timestamp,
    /// That generation.
    generation: Option<u64>,
    /// When the whole list was loaded.
    whole: Instant,
}

impl Loaded {
    /// While a generation stands still, because the disk refuses commits, say, what comes is not to be seen; when it is,
    /// it has the time at which it came. So what is asked for next begins where that generation did.
    fn note(&mut self, generation: Option<u64>, asked: Timestamp) {
        if generation.is_none() || generation != self.generation {
            self.asked = asked;
            self.generation = generation;
        }
    }
}

/// Whose timeouts the entries of a set have.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Kept {
    /// Ours, and they are right: what differs is enough. `nft` takes a minute to replace a million elements.
    ByUs,
    /// Perhaps those of another day.
    Unknown,
}

impl Set {
    pub(super) fn new(database: &Path, wanted: &Wanted, family: Family) -> Self {
        let name = match (wanted.tool, family) {
            (Tool::Ipset, Family::V4) => wanted.name.clone(),
            _ => format!("{}{}", wanted.name, family.digit()),
        };
        let (database, wanted) = (database.to_owned(), wanted.clone());
        Self { database, wanted, family, name, loaded: None, complained: None }
    }

    /// Brings it up to date; what was done, if it is worth a line.
    pub(super) fn round(&mut self) -> Result<Option<String>, FirewallError> {
        let fresh = Duration::from_secs(self.wanted.whole_s);
        let done = match self.loaded.take() {
            Some(loaded) if loaded.whole.elapsed() < fresh => self.change(loaded)?,
            Some(_) => self.load_whole(Kept::ByUs)?,
            None => self.load_whole(Kept::Unknown)?,
        };
        if self.complained.take().is_some() {
            log::info!("set {}: up to date again", self.name);
        }
        Ok(done)
    }

    /// Says what went wrong, unless that was just said. The whole list is loaded next.
    pub(super) fn complain(&mut self, error: &FirewallError) {
        let said = error.to_string();
        if self.complained.as_ref() != Some(&said) {
            log::error!("set {} stays as it is: {said}", self.name);
            self.complained = Some(said);
        }
    }

    fn load_whole(&mut self, kept: Kept) -> Result<Option<String>, FirewallError> {
        let asked = Timestamp::now();
        let live = self.live()?;
        let Some(list) = self.ask("document=full", "")? else { return self.init() };
        let generation = document::generation(&list);
        let entries = Changes::read(&list)?.added;
        let members: HashSet<IpAddr> = entries.iter().map(|(ip, _)| *ip).collect();
        let is_there = live.is_some();
        let live = live.unwrap_or_default();
        self.check(live.difference(&members).count(), live.len())?;
        let document = match (self.wanted.tool, kept) {
            (Tool::Ipset, _) => list,
            (Tool::Nft, Kept::ByUs) if is_there => {
                let changes = Changes::between(&live, &members, entries);
                document::nft_changes(&self.wanted.name, self.family, &changes)
            }
            (Tool::Nft, _) => match self.ask_feed()? {
                Some(feed) => feed,
                None => return self.init(),
            },
        };
        let count = members.len();
        self.apply(&document)?;
        self.loaded = Some(Loaded { members, asked, generation, whole: Instant::now() });
        let line = format!("set {}: {count} entries loaded", self.name);
        Ok((kept == Kept::Unknown).then_some(line))
    }

    /// The node has nothing to block: there is a set for rules to name, and what is in it stays until
    /// its time is over.
    fn init(&mut self) -> Result<Option<String>, FirewallError> {
        let document = match self.wanted.tool {
            Tool::Ipset => self.ask("document=init", "")?.unwrap_or_default(),
            Tool::Nft => document::nft_init(&self.wanted.name, self.family),
        };
        self.apply(&document)?;
        Ok(None)
    }

    fn change(&mut self, mut loaded: Loaded) -> Result<Option<String>, FirewallError> {
        let asked = Timestamp::now();
        let overlap =
            Duration::from_secs(FIREWALL_OVERLAP_S.saturating_add(self.wanted.interval_s));
        let since = loaded.asked.saturating_sub(overlap).unwrap_or(loaded.asked);
        let delta = self.ask("document=delta", &format!("&since={since}"))?.unwrap_or_default();
        let changes = Changes::read(&delta)?;
        let gone = changes.removed.iter().filter(|ip| loaded.members.contains(ip)).count();
        self.check(gone, loaded.members.len())?;
        if !changes.is_empty() {
            match self.wanted.tool {
                Tool::Ipset => self.apply(&delta)?,
                Tool::Nft => {
                    let name = &self.wanted.name;
                    self.apply(&document::nft_changes(name, self.family, &changes))?;
                }
            }
        }
        let before = loaded.members.len();
        loaded.members.extend(changes.added.iter().map(|(ip, _)| ip));
        let come = loaded.members.len() - before;
        for ip in &changes.removed {
            loaded.members.remove(ip);
        }
        loaded.note(document::generation(&delta), asked);
        self.loaded = Some(loaded);
        let worth_a_line = come + gone > 0;
        Ok(worth_a_line.then(|| format!("set {}: {come} added, {gone} taken back", self.name)))
    }

    fn check(&self, gone: usize, of: usize) -> Result<(), FirewallError> {
        if self.wanted.may_go(gone, of) {
            return Ok(());
        }
        let percent = self.wanted.shrink_percent_max;
        Err(FirewallError::Shrinks { set: self.name.clone(), gone, of, percent })
    }

    /// What is in the set; `None` if there is none. What cannot be read is no empty set, for nothing could
    /// shrink too much then; but where nothing is loaded there is nothing to guard.
    fn live(&self) -> Result<Option<HashSet<IpAddr>>, FirewallError> {
        let (tool, name) = (self.wanted.tool, self.name.as_str());
        let printed = match tool {
            Tool::Ipset => tool::run(tool, &["save", name], ""),
            Tool::Nft => tool::run(tool, &["list", "set", "inet", &self.wanted.name, name], ""),
        };
        match printed {
            Ok(text) if tool == Tool::Ipset => Ok(Some(document::saved(&text))),
            Ok(text) => Ok(Some(document::listed(&text))),
            Err(error) if self.wanted.dry_run || tool::is_absence(&error) => Ok(None),
            Err(error) => Err(error),
        }
    }

    fn apply(&self, document: &str) -> Result<(), FirewallError> {
        if self.wanted.dry_run {
            let mut stdout = std::io::stdout().lock();
            let written = stdout.write_all(document.as_bytes()).and_then(|()| stdout.flush());
            return written.map_err(FirewallError::Output);
        }
        tool::load(self.wanted.tool, document)
    }

    /// A document for `ipset`, which is read whatever the tool is; `None` if it would be empty.
    fn ask(&self, document: &str, more: &str) -> Result<Option<String>, FirewallError> {
        let (digit, name, level) = (self.family.digit(), &self.name, self.level());
        let path = format!("/ip-addresses/ipset?{document}&family={digit}&set={name}{level}{more}");
        self.request(&path)
    }

    fn ask_feed(&self) -> Result<Option<String>, FirewallError> {
        let (digit, name, level) = (self.family.digit(), &self.wanted.name, self.level());
        self.request(&format!("/api/v1/feeds/nft?family={digit}&name={name}{level}"))
    }

    fn level(&self) -> String {
        let level = self.wanted.min_verification;
        level.map(|level| format!("&min_verification={}", level.name())).unwrap_or_default()
    }

    /// The node's whole answer: one that was cut is an error.
    fn request(&self, path: &str) -> Result<Option<String>, FirewallError> {
        let answer = control::request(&self.database, path).map_err(FirewallError::Node)?;
        let answer = answer.ok_or_else(|| FirewallError::NoNode(self.database.clone()))?;
        let status = answer.status;
        let bytes = answer.whole(FIREWALL_DOCUMENT_BYTES_MAX).map_err(FirewallError::Node)?;
        let text = String::from_utf8_lossy(&bytes).into_owned();
        match status {
            200 => Ok(Some(text)),
            409 => Ok(None),
            _ => Err(FirewallError::Refused(control::refusal_text(&text))),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_comes_while_a_generation_stands_still_is_asked_for_when_it_moves() {
        let at = |second| Timestamp::from_second(second).unwrap();
        let (members, whole) = (HashSet::new(), Instant::now());
        let mut loaded = Loaded { members, asked: at(10), generation: Some(3), whole };
        for second in [20, 90, 900] {
            loaded.note(Some(3), at(second));
            assert_eq!(loaded.asked, at(10));
        }
        loaded.note(Some(4), at(910));
        assert_eq!(loaded.asked, at(910));
        loaded.note(None, at(920));
        assert_eq!(loaded.asked, at(920));
    }
}
