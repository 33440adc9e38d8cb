//! A file of lines that is only appended to, and never holds a part of one for long.

use std::fs::{File, Metadata, OpenOptions};
use std::io::{self, Read, Seek, SeekFrom};
use std::os::unix::fs::MetadataExt;
use std::path::Path;

use crate::limits::TORN_LINE_BYTES_MAX;

#[derive(Debug)]
pub(crate) struct LinesFile {
    pub(crate) file: File,
    device: u64,
    inode: u64,
    /// A pipe or a terminal can be neither cut nor synced, and is never another file.
    is_regular: bool,
}

impl LinesFile {
    pub(crate) fn open(path: &Path) -> io::Result<Self> {
        let is_new = !path.exists();
        let mut file = OpenOptions::new().read(true).append(true).create(true).open(path)?;
        let metadata = file.metadata()?;
        if metadata.is_file() {
            cut_torn_line(&mut file, metadata.len())?;
        }
        if is_new {
            sync_folder(path)?;
        }
        Ok(Self {
            file,
            device: metadata.dev(),
            inode: metadata.ino(),
            is_regular: metadata.is_file(),
        })
    }

    /// Whether the name still leads to this file: logrotate moves it.
    pub(crate) fn is_still_at(&self, path: &Path) -> bool {
        let is_this = |at: Metadata| (at.dev(), at.ino()) == (self.device, self.inode);
        !self.is_regular || path.metadata().is_ok_and(is_this)
    }

    pub(crate) fn len(&self) -> io::Result<u64> {
        Ok(self.file.metadata()?.len())
    }

    /// Returns when everything that was written is on the disk.
    pub(crate) fn sync(&self) -> io::Result<()> {
        if self.is_regular { self.file.sync_data() } else { Ok(()) }
    }

    /// Takes back what was written of a batch. If that fails too, a torn line is left, which the next
    /// opening cuts; whole lines of the batch come twice then.
    pub(crate) fn cut(&self, end: u64) {
        if self.is_regular
            && let Err(error) = self.file.set_len(end)
        {
            log::warn!("what was written in part cannot be taken back: {error}");
        }
    }
}

/// A file that was just made is there after a loss of power only if its folder says so.
fn sync_folder(path: &Path) -> io::Result<()> {
    match path.parent() {
        Some(folder) if !folder.as_os_str().is_empty() => File::open(folder)?.sync_all(),
        _ => File::open(".")?.sync_all(),
    }
}

/// Cuts a file after its last newline.
fn cut_torn_line(file: &mut File, len: u64) -> io::Result<()> {
    let from = len.saturating_sub(TORN_LINE_BYTES_MAX);
    file.seek(SeekFrom::Start(from))?;
    let mut tail = Vec::new();
    file.take(TORN_LINE_BYTES_MAX).read_to_end(&mut tail)?;
    let end = match tail.iter().rposition(|byte| *byte == b'\n') {
        Some(newline) => from + newline as u64 + 1,
        None if from == 0 && tail.first().is_none_or(|first| *first == b'{') => 0,
        None => {
            let text = "it does not end like a JSON log; move it away or name another file";
            return Err(io::Error::new(io::ErrorKind::InvalidData, text));
        }
    };
    if end < len {
        log::warn!("cut {} bytes of a line that was never finished", len - end);
        file.set_len(end)?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn opened(content: &[u8]) -> (io::Result<LinesFile>, Vec<u8>) {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("log");
        std::fs::write(&path, content).unwrap();
        let opened = LinesFile::open(&path);
        (opened, std::fs::read(&path).unwrap())
    }

    #[test]
    fn a_torn_line_is_cut_and_whole_ones_stay() {
        for (before, after) in [("", ""), ("{}\n", "{}\n"), ("{}\n{\"a", "{}\n"), ("{\"a", "")] {
            let (open, content) = opened(before.as_bytes());
            assert!(open.is_ok(), "{before}");
            assert_eq!(content, after.as_bytes());
        }
        let long = [b"{}\n".to_vec(), vec![b'x'; TORN_LINE_BYTES_MAX as usize - 1]].concat();
        assert_eq!(opened(&long).1, b"{}\n");
    }

    #[test]
    fn a_file_that_is_something_else_is_left_as_it_is() {
        let without_lines = vec![b'{'; TORN_LINE_BYTES_MAX as usize + 1];
        for content in [b"a key".as_slice(), &without_lines] {
            let (open, after) = opened(content);
            assert_eq!(open.unwrap_err().kind(), io::ErrorKind::InvalidData);
            assert_eq!(after, content);
        }
    }
}
