//! The file of the operator's tokens, beside the database: read at the start and when the node is
//! told to, and written whole or not at all.
//!
//! One process writes it at a time: the node while it runs, told through its control socket;
//! `sentrypeer token` itself where none runs.

use std::fs::{self, File};
use std::io::{self, Read};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use ring::rand::{SecureRandom, SystemRandom};
use sentrypeer_storage::event::Time;
use sentrypeer_storage::identity::{beside, write_whole};

use crate::access::{Book, BookError, RANDOM_BYTES, Record, Scopes, Secret, Wanted};
use crate::limits::TOKEN_FILE_BYTES_MAX;
use crate::pace::Rate;

/// Why the tokens cannot be read or changed.
#[derive(Debug, thiserror::Error)]
pub enum TokenError {
    /// The file cannot be read.
    #[error("{}: cannot read the tokens: {source}; its owner must be the node's user", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// The file holds something else.
    #[error(
        "{}: {source}; put back what \"sentrypeer token\" wrote, or remove the file to begin again \
         without tokens",
        path.display()
    )]
    Content {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        source: BookError,
    },
    /// The file cannot be written.
    #[error("{}: cannot write the tokens: {source}; the folder must be writable", path.display())]
    Write {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// The change makes no sense.
    #[error(transparent)]
    Refused(#[from] BookError),
    /// The system gives no random bytes.
    #[error("the system gives no random bytes; no token was made")]
    Random,
}

/// Where the tokens of a database are.
#[must_use]
pub fn path(database: &Path) -> PathBuf {
    beside(database, "tokens")
}

/// Reads the tokens. Where there is no file there are none.
///
/// # Errors
///
/// [`TokenError::Read`] and [`TokenError::Content`].
pub fn load(path: &Path) -> Result<Book, TokenError> {
    let fail = |source| TokenError::Read { path: path.to_owned(), source };
    let file = match File::open(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Book::default()),
        opened => opened.map_err(fail)?,
    };
    let mut text = String::new();
    file.take(TOKEN_FILE_BYTES_MAX).read_to_string(&mut text).map_err(fail)?;
    Book::from_json(&text).map_err(|source| TokenError::Content { path: path.to_owned(), source })
}

/// Makes a token and keeps it in the file. Its text is in what is returned and nowhere else.
///
/// # Errors
///
/// See [`TokenError`]; the file is then as it was.
pub fn make(
    path: &Path,
    name: &str,
    scopes: Scopes,
    expires: Option<Time>,
    rate: Option<Rate>,
) -> Result<(Secret, Arc<Record>, Book), TokenError> {
    let mut book = load(path)?;
    let wanted = Wanted { name, scopes, expires, rate };
    let (secret, record) = book.make(&wanted, &random()?, Time::now())?;
    save(path, &book)?;
    log::info!(target: "audit", "token {name} made, for {scopes}");
    Ok((secret, record, book))
}

/// Takes a token away, by its name or its id.
///
/// # Errors
///
/// See [`TokenError`]; the file is then as it was.
pub fn revoke(path: &Path, which: &str) -> Result<(Arc<Record>, Book), TokenError> {
    let mut book = load(path)?;
    let record = book.revoke(which)?;
    save(path, &book)?;
    log::info!(target: "audit", "token {} revoked", record.name);
    Ok((record, book))
}

fn save(path: &Path, book: &Book) -> Result<(), TokenError> {
    let fail = |source| TokenError::Write { path: path.to_owned(), source };
    // Where the folder is a link to somewhere else, the file is written there.
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty());
    fs::metadata(folder.unwrap_or(Path::new("."))).map_err(fail)?;
    write_whole(path, book.to_json().as_bytes()).map_err(fail)
}

/// The bytes of a new token.
pub(crate) fn random() -> Result<[u8; RANDOM_BYTES], TokenError> {
    let mut random = [0; RANDOM_BYTES];
    SystemRandom::new().fill(&mut random).map_err(|_| TokenError::Random)?;
    Ok(random)
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;
    use crate::access::Scope;

    #[test]
    fn a_token_is_made_kept_for_its_owner_alone_and_revoked() {
        let folder = tempfile::tempdir().unwrap();
        let path = path(&folder.path().join("s.redb"));
        assert_eq!(load(&path).unwrap(), Book::default());
        let scopes = Scopes::of([Scope::Read]);
        let (secret, record, book) = make(&path, "pbx", scopes, None, None).unwrap();
        assert_eq!(load(&path).unwrap(), book);
        let kept = fs::read_to_string(&path).unwrap();
        let text = secret.text();
        assert!(!kept.contains(&text[text.len() - 64..]) && kept.contains(&record.id));
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
        let other = make(&path, "other", scopes, None, None).unwrap().0;
        assert_ne!(other.text(), text);
        revoke(&path, "pbx").unwrap();
        assert_eq!(
            load(&path).unwrap().iter().map(|r| r.name.as_str()).collect::<Vec<_>>(),
            ["other"]
        );
        assert!(matches!(revoke(&path, "pbx"), Err(TokenError::Refused(_))));
    }

    #[test]
    fn a_file_that_holds_something_else_is_named_and_stays() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("tokens");
        fs::write(&path, "precious").unwrap();
        let refused = make(&path, "a", Scopes::of([Scope::Read]), None, None).unwrap_err();
        assert!(refused.to_string().contains(path.to_str().unwrap()), "{refused}");
        assert_eq!(fs::read(&path).unwrap(), b"precious");
    }
}
