//! Who this node is: made once, kept in small files beside the database.

use std::fs::{File, OpenOptions};
use std::io::{self, Read, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use uuid::Uuid;

/// Who this node is.
#[derive(Clone)]
pub struct Identity {
    /// Its name towards others, a random UUID (version 4).
    pub node_id: Uuid,
    /// The secret with which it keys and signs what only it must be able to make.
    pub secret: [u8; 32],
}

impl std::fmt::Debug for Identity {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Identity").field("node_id", &self.node_id).finish_non_exhaustive()
    }
}

/// Why the identity could not be loaded or made.
#[derive(Debug, thiserror::Error)]
pub enum IdentityError {
    /// A file cannot be read.
    #[error(
        "{}: cannot be read ({reason}); give the user who runs this program the right to read it",
        path.display()
    )]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// What the system said.
        reason: io::Error,
    },
    /// A file cannot be made.
    #[error(
        "{}: cannot be made ({reason}); the folder must exist and the user who runs this program \
         must have the right to write in it", path.display()
    )]
    Unwritable {
        /// The file.
        path: PathBuf,
        /// What the system said.
        reason: io::Error,
    },
    /// A file holds something else.
    #[error(
        "{}: this is not {expected}; restore the file, or delete it and this node will be a new one",
        path.display()
    )]
    Invalid {
        /// The file.
        path: PathBuf,
        /// What it should hold.
        expected: &'static str,
    },
}

/// The identity of the node with this database, made now if it has none.
///
/// It is in two files with mode 0600 beside the database: `<database>.node`, the node id as a line of
/// text, and `<database>.secret`, 32 random bytes. Both are made with [`write_whole`].
///
/// # Errors
///
/// [`IdentityError`]. An existing file is never overwritten.
pub fn load_or_create(db_path: &Path) -> Result<Identity, IdentityError> {
    let node_path = beside(db_path, "node");
    let node_id = match load(&node_path)? {
        Some(bytes) => parse_node_id(&bytes).ok_or(IdentityError::Invalid {
            path: node_path,
            expected: "a node id, which is a UUID",
        })?,
        None => {
            let node_id = Uuid::new_v4();
            create(&node_path, format!("{node_id}\n").as_bytes())?;
            node_id
        }
    };
    let secret_path = beside(db_path, "secret");
    let secret = match load(&secret_path)? {
        Some(bytes) => bytes.try_into().map_err(|_| IdentityError::Invalid {
            path: secret_path,
            expected: "a secret, which is 32 bytes",
        })?,
        None => {
            let mut secret = [0; 32];
            getrandom::fill(&mut secret).map_err(|error| IdentityError::Unwritable {
                path: secret_path.clone(),
                reason: io::Error::other(error),
            })?;
            create(&secret_path, &secret)?;
            secret
        }
    };
    Ok(Identity { node_id, secret })
}

/// The path of a file that belongs to the database and lies beside it: the whole name of the
/// database, a dot, and `extension`.
///
/// ```
/// # use std::path::Path;
/// # use sentrypeer_storage::identity::beside;
/// assert_eq!(beside(Path::new("/var/lib/x.db"), "sock"), Path::new("/var/lib/x.db.sock"));
/// ```
#[must_use]
pub fn beside(db_path: &Path, extension: &str) -> PathBuf {
    let mut name = db_path.as_os_str().to_owned();
    name.push(".");
    name.push(extension);
    name.into()
}

fn parse_node_id(bytes: &[u8]) -> Option<Uuid> {
    Uuid::try_parse(std::str::from_utf8(bytes).ok()?.trim()).ok()
}

/// Nothing that belongs here is longer.
const FILE_BYTES_MAX: u64 = 64;

fn load(path: &Path) -> Result<Option<Vec<u8>>, IdentityError> {
    let unreadable = |reason| IdentityError::Unreadable { path: path.to_owned(), reason };
    let file = match File::open(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        other => other.map_err(unreadable)?,
    };
    let mut bytes = Vec::new();
    file.take(FILE_BYTES_MAX + 1).read_to_end(&mut bytes).map_err(unreadable)?;
    Ok(Some(bytes))
}

fn create(path: &Path, bytes: &[u8]) -> Result<(), IdentityError> {
    write_whole(path, bytes)
        .map_err(|reason| IdentityError::Unwritable { path: path.to_owned(), reason })
}

/// Writes a file that is there whole or not at all, also after loss of power, with mode 0600: under
/// another name in the same folder, synced, then renamed, and the folder synced. What had the name
/// is replaced.
///
/// # Errors
///
/// What the system says. `path` is then as it was, but for an error of the last sync, when it may
/// be there already.
pub fn write_whole(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let new = beside(path, &format!("new-{}", std::process::id()));
    // Only a file that is made here has the mode that is asked for.
    match std::fs::remove_file(&new) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    let mut file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(&new)?;
    file.write_all(bytes)?;
    file.sync_all()?;
    std::fs::rename(&new, path)?;
    sync_folder(path)
}

/// Makes a new name in the folder of `path` durable.
pub(crate) fn sync_folder(path: &Path) -> io::Result<()> {
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty());
    File::open(folder.unwrap_or(Path::new(".")))?.sync_all()
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    #[test]
    fn an_identity_is_made_once_and_kept_in_private_files() {
        let folder = tempfile::tempdir().unwrap();
        let db = folder.path().join("test.redb");
        let made = load_or_create(&db).unwrap();
        assert_eq!(made.node_id.get_version_num(), 4);
        assert_ne!(made.secret, [0; 32]);
        let loaded = load_or_create(&db).unwrap();
        assert_eq!((loaded.node_id, loaded.secret), (made.node_id, made.secret));
        let files: Vec<_> = std::fs::read_dir(folder.path()).unwrap().map(Result::unwrap).collect();
        assert_eq!(files.len(), 2);
        for file in files {
            assert_eq!(file.metadata().unwrap().permissions().mode() & 0o777, 0o600);
        }
        assert!(!format!("{made:?}").contains("secret"), "the secret is not printed");
    }

    #[test]
    fn a_file_with_something_else_is_an_error_and_stays() {
        let folder = tempfile::tempdir().unwrap();
        let db = folder.path().join("test.redb");
        std::fs::write(beside(&db, "node"), "not an id\n").unwrap();
        let error = load_or_create(&db).unwrap_err();
        assert!(error.to_string().contains("test.redb.node"), "{error}");
        assert_eq!(std::fs::read(beside(&db, "node")).unwrap(), b"not an id\n");
        std::fs::remove_file(beside(&db, "node")).unwrap();
        std::fs::write(beside(&db, "secret"), [1; 33]).unwrap();
        assert!(matches!(load_or_create(&db), Err(IdentityError::Invalid { .. })));
    }

    #[test]
    fn a_missing_folder_is_an_error_that_says_so() {
        let error = load_or_create(Path::new("/nowhere/at/all/test.redb")).unwrap_err();
        assert!(matches!(error, IdentityError::Unwritable { .. }));
        assert!(error.to_string().contains("the folder must exist"), "{error}");
    }

    #[test]
    fn two_nodes_are_never_the_same() {
        let folder = tempfile::tempdir().unwrap();
        let one = load_or_create(&folder.path().join("a")).unwrap();
        let other = load_or_create(&folder.path().join("b")).unwrap();
        assert_ne!(one.node_id, other.node_id);
        assert_ne!(one.secret, other.secret);
    }
}
