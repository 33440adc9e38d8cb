//! The allow-list of a node: what its configuration names, and what was added while it ran.
//!
//! A [`Book`] has all of it, and makes the policy that everything else reads. Who changes something
//! keeps the book locked until the change is on the disk and in the policy: so changes come one after
//! another, and the policy's revision only grows. `entries` decides what is on the list, `file`
//! keeps what was added, `configured` reads what the configuration names.

mod configured;
mod entries;
pub mod file;

use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError, Weak};
use std::time::Duration;
use std::{io, thread};

use arc_swap::ArcSwap;
use sentrypeer_http::allow::{Added, AllowBook, AllowError, Entry, Subject};
use sentrypeer_storage::event::Time;
use sentrypeer_storage::policy::Policy;

use crate::config::Config;
use crate::context;
use crate::limits::ALLOW_LOOK_MS;
use entries::Entries;
use file::AllowFileError;

/// The allow-list of a database, and the policy that it makes.
#[derive(Debug)]
pub struct Book {
    path: PathBuf,
    state: Mutex<State>,
    policy: Arc<ArcSwap<Policy>>,
    /// Who takes off what has ended.
    watch: OnceLock<thread::Thread>,
}

#[derive(Debug)]
struct State {
    entries: Entries,
    /// The policy without what was added.
    configured: Policy,
}

impl State {
    /// The policy with what was added.
    fn policy(&self, revision: u64) -> Policy {
        let allow = self.configured.allow.clone();
        let allow =
            allow.with_prefixes(self.entries.networks()).with_numbers(self.entries.numbers());
        Policy { allow, revision, ..self.configured.clone() }
    }
}

impl Book {
    /// Reads what was added, and makes the policy.
    ///
    /// # Errors
    ///
    /// If the file of what was added cannot be read: without it addresses would be blocked that must
    /// not be.
    pub fn open(config: &Config) -> Result<Arc<Self>, AllowFileError> {
        let (now, path) = (Time::now(), file::path(&config.db));
        let entries = Entries::new(configured::entries(config), file::load(&path)?, now);
        // A client may ask with the ETag of an earlier run, in which the same number stood for another
        // policy. No run makes a thousand changes a second.
        let revision = now.0 / 1_000_000;
        let state = State { entries, configured: context::policy(config, revision) };
        let policy = Arc::new(ArcSwap::from_pointee(state.policy(revision)));
        Ok(Arc::new(Self { path, state: Mutex::new(state), policy, watch: OnceLock::new() }))
    }

    /// The policy, as the readers see it.
    #[must_use]
    pub fn policy(&self) -> Arc<ArcSwap<Policy>> {
        Arc::clone(&self.policy)
    }

    /// Takes entries off when they end, on a thread of its own that lives as long as the book.
    ///
    /// # Errors
    ///
    /// If the system gives no thread.
    pub fn watch_ends(self: &Arc<Self>) -> io::Result<()> {
        let book = Arc::downgrade(self);
        let watch =
            thread::Builder::new().name("allow-ends".to_owned()).spawn(move || ends(&book))?;
        self.watch.get_or_init(|| watch.thread().clone());
        Ok(())
    }

    /// Takes over another configuration. What was added stays.
    pub fn reconfigure(&self, config: &Config) {
        let mut state = self.state();
        state.entries.configured = configured::entries(config);
        state.configured = context::policy(config, 0);
        self.publish(&state);
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn publish(&self, state: &State) {
        let revision = self.policy.load().revision + 1;
        self.policy.store(Arc::new(state.policy(revision)));
    }

    /// Makes what was added durable, and then a part of the policy.
    ///
    /// After an error of the last sync alone the change may be in the file already. The next change
    /// writes the whole file again.
    fn keep(&self, state: &mut State, added: Vec<Entry>) -> Result<(), AllowError> {
        file::save(&self.path, &added).map_err(AllowError::Storage)?;
        state.entries.added = added;
        self.publish(state);
        self.wake();
        Ok(())
    }

    fn wake(&self) {
        if let Some(watch) = self.watch.get() {
            watch.unpark();
        }
    }

    /// Takes off what has ended, and says how long it is until the next entry does.
    ///
    /// It stays in the file until the next change; whoever reads that looks at the time too.
    fn end(&self, state: &mut State, now: Time) -> Option<Duration> {
        let over = state.entries.take_over(now);
        for Entry { subject, reason, .. } in &over {
            log::info!(target: "audit", "the time of {subject} on the allow-list is over: {reason}");
        }
        if !over.is_empty() {
            self.publish(state);
        }
        let next = state.entries.next_end()?;
        Some(Duration::from_nanos(next.0.saturating_sub(now.0)))
    }
}

impl AllowBook for Book {
    fn entries(&self, now: Time) -> Vec<Entry> {
        self.state().entries.holding_at(now)
    }

    fn add(&self, entry: Entry) -> Result<Added, AllowError> {
        let mut state = self.state();
        self.end(&mut state, Time::now());
        let entry = Entry { reason: file::plain(&entry.reason), ..entry };
        let (added, how) = state.entries.with(entry)?;
        self.keep(&mut state, added)?;
        Ok(how)
    }

    fn remove(&self, subject: &Subject) -> Result<(), AllowError> {
        let mut state = self.state();
        self.end(&mut state, Time::now());
        let added = state.entries.without(subject)?;
        self.keep(&mut state, added)
    }
}

impl Drop for Book {
    fn drop(&mut self) {
        self.wake();
    }
}

/// Looks at the clock more often than the next end demands: it may be set, and stands still while the
/// machine sleeps.
fn ends(book: &Weak<Book>) {
    loop {
        let Some(book) = book.upgrade() else { return };
        let next = book.end(&mut book.state(), Time::now());
        drop(book);
        match next {
            Some(next) => thread::park_timeout(next.min(Duration::from_millis(ALLOW_LOOK_MS))),
            None => thread::park(),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::os::unix::fs::PermissionsExt;
    use std::path::Path;

    use sentrypeer_http::allow::Origin;

    use super::*;

    fn config(database: &Path, more: &[&str]) -> Config {
        let words = ["sentrypeer", "--test-addresses", "--db"].map(Into::into).into_iter();
        let words = words.chain([database.into()]).chain(more.iter().map(Into::into));
        crate::config::load(words, std::iter::empty(), None).unwrap().config
    }

    fn entry(subject: &str, expires: Option<Time>) -> Entry {
        let reason = "a \"reason\" – with \\ all of it".to_owned();
        Entry { subject: subject.parse().unwrap(), reason, expires, origin: Origin::Added }
    }

    fn allows(book: &Book, ip: &str) -> bool {
        book.policy().load().allow.reason(ip.parse().unwrap()).is_some()
    }

    fn revision(book: &Book) -> u64 {
        book.policy().load().revision
    }

    #[test]
    fn what_was_added_is_in_the_policy_at_once_and_in_the_next_run_too() {
        let folder = tempfile::tempdir().unwrap();
        let database = folder.path().join("s.redb");
        let book = Book::open(&config(&database, &["--allow=10.0.0.0/8"])).unwrap();
        let (before, end) = (revision(&book), Time(Time::now().0 + 3_600_000_000_000));
        assert!(allows(&book, "10.0.0.7") && !allows(&book, "198.18.0.7"));
        assert_eq!(book.add(entry("198.18.0.0/24", Some(end))).unwrap(), Added::New);
        assert_eq!(book.add(entry("+44800*", None)).unwrap(), Added::New);
        assert!(allows(&book, "198.18.0.7") && allows(&book, "10.0.0.7"));
        assert_eq!(revision(&book), before + 2);
        let kept = folder.path().join("s.redb.allow");
        assert_eq!(fs::metadata(kept).unwrap().permissions().mode() & 0o777, 0o600);

        let next = Book::open(&config(&database, &["--allow=172.16.0.0/12"])).unwrap();
        let added: Vec<Entry> = next.entries(Time::now()).into_iter().skip(1).collect();
        assert_eq!(added, [entry("198.18.0.0/24", Some(end)), entry("+44800*", None)]);
        assert!(allows(&next, "198.18.0.7") && !allows(&next, "10.0.0.7"));
        let number = next.policy().load().allow.number_reason(b"0044800123456").is_some();
        assert!(number && revision(&next) >= before);
        next.remove(&"198.18.0.0/24".parse().unwrap()).unwrap();
        assert!(!allows(&next, "198.18.0.7") && revision(&next) > before);
    }

    #[test]
    fn another_configuration_leaves_what_was_added() {
        let folder = tempfile::tempdir().unwrap();
        let database = folder.path().join("s.redb");
        let book = Book::open(&config(&database, &["--allow=10.0.0.0/8"])).unwrap();
        book.add(entry("198.18.0.7", None)).unwrap();
        let before = revision(&book);
        book.reconfigure(&config(&database, &["--allow=172.16.0.0/12"]));
        assert!(allows(&book, "198.18.0.7") && allows(&book, "172.16.0.1"));
        assert!(!allows(&book, "10.0.0.7") && revision(&book) > before);
    }

    #[test]
    fn an_entry_is_taken_off_at_its_end_although_nothing_happens() {
        let folder = tempfile::tempdir().unwrap();
        let book = Book::open(&config(&folder.path().join("s.redb"), &[])).unwrap();
        book.watch_ends().unwrap();
        let end = Time(Time::now().0 + 50_000_000);
        book.add(entry("198.18.0.7", Some(end))).unwrap();
        while allows(&book, "198.18.0.7") {
            assert!(Time::now().0 < end.0 + 60_000_000_000, "it stays on");
            thread::yield_now();
        }
        assert!(Time::now() >= end);
    }

    #[test]
    fn what_cannot_be_stored_changes_nothing() {
        let folder = tempfile::tempdir().unwrap();
        let place = folder.path().join("gone");
        fs::create_dir(&place).unwrap();
        let book = Book::open(&config(&place.join("s.redb"), &[])).unwrap();
        fs::remove_dir(&place).unwrap();
        let before = revision(&book);
        let refused = book.add(entry("198.18.0.7", None));
        assert!(matches!(refused, Err(AllowError::Storage(_))), "{refused:?}");
        assert!(!allows(&book, "198.18.0.7") && revision(&book) == before);
    }
}
