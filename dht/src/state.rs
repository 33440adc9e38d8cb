//! What a node must not forget, and where it is kept.

use std::fs::File;
use std::io::{self, Read};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use sentrypeer_storage::identity::{beside, write_whole};

use crate::keys::sha256;
use crate::limits::STATE_BYTES_MAX;
use crate::publisher::Stamp;

/// What is kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Item {
    /// The seed that the node's keys come from. Written once.
    Seed,
    /// The state of the publisher. It is on the disk before what it tells of is put.
    Sequence,
    /// The ledger and the proofs of lying.
    Ledger,
}

/// Where the state is kept. A save is durable when it returns, and whole or not at all.
pub trait StateStore: Send {
    /// What was saved, if anything was.
    ///
    /// # Errors
    ///
    /// What the system says.
    fn load(&self, item: Item) -> io::Result<Option<Vec<u8>>>;

    /// Saves.
    ///
    /// # Errors
    ///
    /// What the system says. What was saved before may be there still, or be replaced already.
    fn save(&self, item: Item, bytes: &[u8]) -> io::Result<()>;

    /// What tells this copy of the state from another.
    ///
    /// # Errors
    ///
    /// What the system says.
    fn stamp(&self) -> io::Result<Stamp>;
}

/// Files beside the database, with mode 0600: `<database>.peer-seed`, `.peer-sequence`,
/// `.peer-ledger`.
#[derive(Clone, Debug)]
pub struct Files {
    database: PathBuf,
}

impl Files {
    /// The files of the node with this database.
    #[must_use]
    pub fn new(database: &Path) -> Self {
        Self { database: database.to_owned() }
    }

    /// Where an item is.
    #[must_use]
    pub fn path(&self, item: Item) -> PathBuf {
        beside(
            &self.database,
            match item {
                Item::Seed => "peer-seed",
                Item::Sequence => "peer-sequence",
                Item::Ledger => "peer-ledger",
            },
        )
    }
}

impl StateStore for Files {
    fn load(&self, item: Item) -> io::Result<Option<Vec<u8>>> {
        let file = match File::open(self.path(item)) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            other => other?,
        };
        let mut bytes = Vec::new();
        file.take(STATE_BYTES_MAX as u64 + 1).read_to_end(&mut bytes)?;
        if bytes.len() > STATE_BYTES_MAX {
            return Err(io::Error::new(io::ErrorKind::InvalidData, "longer than it can be"));
        }
        Ok(Some(bytes))
    }

    fn save(&self, item: Item, bytes: &[u8]) -> io::Result<()> {
        write_whole(&self.path(item), bytes)
    }

    /// From where the seed's file lies: it is written once, so a copy or a restored backup is another
    /// file. A copy of a whole disk is not told apart; see [`crate::publisher::Publisher::own_announcement`].
    fn stamp(&self) -> io::Result<Stamp> {
        let seed = std::fs::metadata(self.path(Item::Seed))?;
        let machine = std::fs::read("/etc/machine-id").unwrap_or_default();
        let place = [seed.dev().to_be_bytes(), seed.ino().to_be_bytes()].concat();
        Ok(Stamp(sha256(&[&place[..], &machine].concat())))
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    #[test]
    fn what_is_saved_is_there_for_nobody_else() {
        let folder = tempfile::tempdir().unwrap();
        let files = Files::new(&folder.path().join("x.db"));
        assert_eq!(files.load(Item::Seed).unwrap(), None);
        for (item, bytes) in [(Item::Seed, b"a"), (Item::Sequence, b"b"), (Item::Ledger, b"c")] {
            files.save(item, bytes).unwrap();
            assert_eq!(files.load(item).unwrap().as_deref(), Some(&bytes[..]));
            let mode = std::fs::metadata(files.path(item)).unwrap().permissions().mode();
            assert_eq!(mode & 0o777, 0o600);
        }
    }

    #[test]
    fn a_copy_of_the_files_has_another_stamp_and_the_same_files_the_same() {
        let folder = tempfile::tempdir().unwrap();
        let files = Files::new(&folder.path().join("x.db"));
        files.save(Item::Seed, b"seed").unwrap();
        let stamp = files.stamp().unwrap();
        files.save(Item::Sequence, b"1").unwrap();
        assert_eq!(files.stamp().unwrap(), stamp);
        let copy = Files::new(&folder.path().join("y.db"));
        std::fs::copy(files.path(Item::Seed), copy.path(Item::Seed)).unwrap();
        assert_ne!(copy.stamp().unwrap(), stamp);
    }
}
