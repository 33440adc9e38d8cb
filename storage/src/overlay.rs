//! A database file that can be opened, repaired and read without changing a byte of it.
//!
//! redb writes to a file as soon as it opens it: a mark that it is open, or what a repair makes. So a
//! file that might be another program's, or of another version, is first opened through this: what
//! is written stays in memory, in pages of [`PAGE`] bytes over those of the file.

use std::collections::BTreeMap;
use std::fs::File;
use std::io;
use std::ops::Bound;
use std::sync::{Mutex, MutexGuard, PoisonError};

use redb::backends::FileBackend;
use redb::{BackendError, StorageBackend};

/// Size of what is kept in memory when part of it is written, in bytes.
const PAGE: u64 = 4096;

#[derive(Debug)]
struct Pages {
    written: BTreeMap<u64, Vec<u8>>,
    /// Length of the storage as it is seen.
    len: u64,
    /// How much of the file still shows through: it is less than its length after the storage was
    /// made shorter.
    visible: u64,
}

/// The file and what was written over it.
#[derive(Debug)]
pub(crate) struct Overlay {
    file: FileBackend,
    pages: Mutex<Pages>,
}

impl Overlay {
    pub(crate) fn new(file: File) -> io::Result<Self> {
        let file = FileBackend::new(file).map_err(io::Error::other)?;
        let len = file.len()?;
        let pages = Pages { written: BTreeMap::new(), len, visible: len };
        Ok(Self { file, pages: Mutex::new(pages) })
    }

    /// Nothing here can be left half done by a panic.
    fn pages(&self) -> MutexGuard<'_, Pages> {
        self.pages.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Reads what the file shows, and zeros behind it.
    fn read_file(&self, visible: u64, offset: u64, out: &mut [u8]) -> io::Result<()> {
        let shown = visible.saturating_sub(offset).min(out.len() as u64) as usize;
        out[shown..].fill(0);
        if shown == 0 { Ok(()) } else { self.file.read(offset, &mut out[..shown]) }
    }
}

/// The parts of `offset..offset + len` by page: the page, where in it, and where in the range.
fn by_page(offset: u64, len: usize) -> impl Iterator<Item = (u64, usize, std::ops::Range<usize>)> {
    let mut done = 0;
    std::iter::from_fn(move || {
        if done == len {
            return None;
        }
        let at = offset + done as u64;
        let within = (at % PAGE) as usize;
        let take = (PAGE as usize - within).min(len - done);
        done += take;
        Some((at / PAGE, within, done - take..done))
    })
}

impl StorageBackend for Overlay {
    fn len(&self) -> io::Result<u64> {
        Ok(self.pages().len)
    }

    fn read(&self, offset: u64, out: &mut [u8]) -> io::Result<()> {
        let pages = self.pages();
        if offset.saturating_add(out.len() as u64) > pages.len {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        self.read_file(pages.visible, offset, out)?;
        for (page, within, range) in by_page(offset, out.len()) {
            if let Some(written) = pages.written.get(&page) {
                let len = range.len();
                out[range].copy_from_slice(&written[within..within + len]);
            }
        }
        Ok(())
    }

    fn set_len(&self, len: u64) -> io::Result<()> {
        let mut pages = self.pages();
        if len < pages.len {
            pages.written.retain(|page, _| page * PAGE < len);
            if let Some(last) = pages.written.get_mut(&(len / PAGE)) {
                last[(len % PAGE) as usize..].fill(0);
            }
        }
        pages.len = len;
        pages.visible = pages.visible.min(len);
        Ok(())
    }

    fn sync_data(&self) -> io::Result<()> {
        Ok(())
    }

    fn write(&self, offset: u64, data: &[u8]) -> io::Result<()> {
        let mut pages = self.pages();
        for (page, within, range) in by_page(offset, data.len()) {
            if !pages.written.contains_key(&page) {
                let mut bytes = vec![0; PAGE as usize];
                self.read_file(pages.visible, page * PAGE, &mut bytes)?;
                pages.written.insert(page, bytes);
            }
            if let Some(written) = pages.written.get_mut(&page) {
                written[within..within + range.len()].copy_from_slice(&data[range]);
            }
        }
        Ok(())
    }

    fn close(&self) -> io::Result<()> {
        self.file.close()
    }

    fn try_lock_range(&self, start: Bound<u64>, end: Bound<u64>) -> Result<bool, BackendError> {
        self.file.try_lock_range(start, end)
    }

    fn try_lock_shared_range(
        &self,
        start: Bound<u64>,
        end: Bound<u64>,
    ) -> Result<bool, BackendError> {
        self.file.try_lock_shared_range(start, end)
    }

    fn lock_range(&self, start: Bound<u64>, end: Bound<u64>) -> Result<(), BackendError> {
        self.file.lock_range(start, end)
    }

    fn lock_shared_range(&self, start: Bound<u64>, end: Bound<u64>) -> Result<(), BackendError> {
        self.file.lock_shared_range(start, end)
    }

    fn unlock_range(&self, start: Bound<u64>, end: Bound<u64>) -> Result<(), BackendError> {
        self.file.unlock_range(start, end)
    }

    fn query_lock_range(&self, start: Bound<u64>, end: Bound<u64>) -> Result<bool, BackendError> {
        self.file.query_lock_range(start, end)
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use proptest::prelude::*;

    use super::*;

    #[derive(Clone, Debug)]
    enum Step {
        Write(u64, Vec<u8>),
        SetLen(u64),
        Read(u64, usize),
    }

    fn step() -> impl Strategy<Value = Step> {
        prop_oneof![
            (0..20_000u64, prop::collection::vec(any::<u8>(), 1..6000))
                .prop_map(|(at, data)| Step::Write(at, data)),
            (0..30_000u64).prop_map(Step::SetLen),
            (0..20_000u64, 0..9000usize).prop_map(|(at, len)| Step::Read(at, len)),
        ]
    }

    proptest! {
        #[test]
        fn it_reads_like_plain_memory_and_leaves_the_file_alone(
            base in prop::collection::vec(any::<u8>(), 0..20_000),
            steps in prop::collection::vec(step(), 0..30),
        ) {
            let mut file = tempfile::NamedTempFile::new().unwrap();
            file.write_all(&base).unwrap();
            let overlay = Overlay::new(file.reopen().unwrap()).unwrap();
            let mut model = base.clone();
            for step in steps {
                match step {
                    Step::Write(at, data) => {
                        let end = at as usize + data.len();
                        if end > model.len() {
                            model.resize(end, 0);
                            overlay.set_len(end as u64).unwrap();
                        }
                        model[at as usize..end].copy_from_slice(&data);
                        overlay.write(at, &data).unwrap();
                    }
                    Step::SetLen(len) => {
                        model.resize(len as usize, 0);
                        overlay.set_len(len).unwrap();
                    }
                    Step::Read(at, len) => {
                        let mut out = vec![1; len];
                        let expected = model.get(at as usize..at as usize + len);
                        let read = overlay.read(at, &mut out);
                        prop_assert_eq!(expected.is_some(), read.is_ok());
                        if let Some(expected) = expected {
                            prop_assert_eq!(expected, &out[..]);
                        }
                    }
                }
                prop_assert_eq!(overlay.len().unwrap(), model.len() as u64);
            }
            prop_assert_eq!(std::fs::read(file.path()).unwrap(), base);
        }
    }
}
