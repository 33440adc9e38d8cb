//! A small disk of its own, which can be full.

use std::fs::{self, File};
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::process::Command;

/// Megabytes of it: some times what the node keeps.
const MEGABYTES: u32 = 384;

/// A file system in memory that is mounted as long as this lives; where that is not allowed, a folder.
pub struct Disk {
    folder: PathBuf,
    /// Whether it is a file system of its own, which can be filled.
    pub is_own: bool,
}

impl Disk {
    /// Mounts it at `folder`, which is made.
    ///
    /// # Errors
    ///
    /// If the folder cannot be made.
    pub fn mount(folder: &Path) -> io::Result<Self> {
        fs::create_dir_all(folder)?;
        let size = format!("size={MEGABYTES}m");
        let mounted = Command::new("mount")
            .args(["-t", "tmpfs", "-o", &size, "sentrypeer-soak"])
            .arg(folder)
            .output();
        let is_own = mounted.is_ok_and(|output| output.status.success());
        Ok(Self { folder: folder.to_owned(), is_own })
    }

    fn ballast(&self) -> PathBuf {
        self.folder.join("ballast")
    }

    /// Takes all the room that is left, if it is a disk of its own.
    ///
    /// # Errors
    ///
    /// If something else fails than for want of room.
    pub fn fill(&self) -> io::Result<()> {
        if !self.is_own {
            return Ok(());
        }
        let mut file = File::create(self.ballast())?;
        let block = vec![0; 1 << 20];
        // Then what is left of the last megabyte, so that not even a page is free.
        for piece in [&block[..], &block[..4096]] {
            loop {
                match file.write_all(piece) {
                    Ok(()) => {}
                    Err(error) if error.kind() == io::ErrorKind::StorageFull => break,
                    Err(error) => return Err(error),
                }
            }
        }
        Ok(())
    }

    /// Gives the room back.
    pub fn free(&self) {
        // It is not there if the disk was not filled.
        let _ = fs::remove_file(self.ballast());
    }
}

impl Drop for Disk {
    fn drop(&mut self) {
        if self.is_own {
            // Whoever still has a file open keeps its contents; the folder is free.
            let _ = Command::new("umount").arg("-l").arg(&self.folder).status();
        }
    }
}
