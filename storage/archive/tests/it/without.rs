//! A program that was built without SQLite says so.

use std::io::Write;

use sentrypeer_archive::export::{ExportError, Format, Writer};
use sentrypeer_archive::import::{self, ImportError, Options};

use crate::support::producer;

#[test]
fn sqlite_is_refused_with_the_name_of_the_feature() {
    let mut file = tempfile::NamedTempFile::new().unwrap();
    file.write_all(b"SQLite format 3\0").unwrap();
    let error = import::open(file.path(), &Options::default()).err().unwrap();
    assert!(matches!(error, ImportError::NotBuilt { .. }));
    assert!(error.to_string().contains("\"sqlite\""));
    let error = Writer::new(Format::Sqlite, Vec::new(), producer()).err().unwrap();
    assert!(matches!(error, ExportError::NotBuilt { .. }));
    assert!(error.to_string().contains("\"sqlite\""));
}
