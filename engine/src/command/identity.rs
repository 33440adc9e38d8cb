//! `identity`: who this node is to others, whether it runs or not.

use std::fs::OpenOptions;
use std::io::{self, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use ring::rand::{SecureRandom, SystemRandom};
use sentrypeer_dht::keys::Identity;
use sentrypeer_dht::state::{Files, Item, StateStore};

use super::{Failure, print};
use crate::config::{Config, IdentityWanted};
use crate::control;

pub(super) fn run(config: &Config, wanted: &IdentityWanted) -> Result<(), Failure> {
    let files = Files::new(&config.db);
    match wanted {
        IdentityWanted::Show => {
            let seed = seed(&files)?;
            print(format!("{}\n", Identity::from_seed(&seed).node()).as_bytes())
        }
        IdentityWanted::Rotate => rotate(&config.db, &files),
        IdentityWanted::Export(path) => {
            write_new(path, &seed(&files)?).map_err(|error| failed(path, &error))?;
            let place = files.path(Item::Seed);
            print(
                format!(
                    "{}: who has this file is this node to others; to restore it, make it {} again\n",
                    path.display(),
                    place.display()
                )
                .as_bytes(),
            )
        }
    }
}

fn failed(path: &Path, error: &io::Error) -> Failure {
    Failure::Refused(format!("{}: {error}", path.display()))
}

fn seed(files: &Files) -> Result<[u8; 32], Failure> {
    let path = files.path(Item::Seed);
    let bytes = files.load(Item::Seed).map_err(|error| failed(&path, &error))?;
    let none = || {
        Failure::Refused(format!(
            "{}: there is no identity yet; a node makes one when it first shares (-p)",
            path.display()
        ))
    };
    let not_one = |_| Failure::Refused(format!("{}: this is not 32 bytes long", path.display()));
    <[u8; 32]>::try_from(bytes.ok_or_else(none)?).map_err(not_one)
}

/// Makes this node a new one to others. What it knows of them it keeps; the old seed is gone.
fn rotate(database: &Path, files: &Files) -> Result<(), Failure> {
    // For as long as this is held no node can start on the database.
    let held = control::bind(database).map_err(Failure::refused)?;
    let mut new = [0; 32];
    SystemRandom::new().fill(&mut new).map_err(|_| {
        Failure::Refused("the system gives no random bytes; nothing was changed".to_owned())
    })?;
    let path = files.path(Item::Seed);
    files.save(Item::Seed, &new).map_err(|error| failed(&path, &error))?;
    // What was published, was so under the old name. If this fails, the new seed's stamp tells.
    let sequence = files.path(Item::Sequence);
    match std::fs::remove_file(&sequence) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => {
            return Err(failed(&sequence, &error));
        }
        _ => {}
    }
    drop(held);
    print(format!("{}\n", Identity::from_seed(&new).node()).as_bytes())
}

/// Never an existing file, and for its owner only.
fn write_new(path: &PathBuf, bytes: &[u8]) -> io::Result<()> {
    let mut file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(path)?;
    file.write_all(bytes)?;
    file.sync_all()
}
