//! Files of the size that they have.

use std::fs;
use std::time::Instant;

use sentrypeer_archive::export::Writer;
use sentrypeer_archive::honey::SourceForm;
use sentrypeer_archive::import::{self, Options};

use crate::support::{event, producer};

fn peak_kib() -> u64 {
    let status = fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find(|line| line.starts_with("VmHWM")).unwrap();
    line.split_whitespace().nth(1).unwrap().parse().unwrap()
}

/// `cargo test --release -p sentrypeer-archive --test it million -- --ignored --nocapture`
#[test]
#[ignore = "takes half a minute, and memory can only be seen alone"]
fn a_million_rows_go_through_in_constant_memory() {
    const ROWS: u64 = 1_000_000;
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("million.db");
    let begin = Instant::now();
    let mut writer: Writer<Vec<u8>> =
        Writer::sqlite(&path, SourceForm::AddressAndPort, producer()).unwrap();
    let mut event = event(0);
    event.message = vec![b'x'; 500].into();
    for seq in 1..=ROWS {
        let next = crate::support::event(seq);
        (event.id, event.time, event.source) = (next.id, next.time, next.source);
        writer.write(&event).unwrap();
    }
    writer.finish().unwrap();
    let seconds = begin.elapsed().as_secs_f64();
    println!(
        "written: {:.0} rows/s, {} MB",
        ROWS as f64 / seconds,
        fs::metadata(&path).unwrap().len() / 1_000_000
    );

    let before = peak_kib();
    let begin = Instant::now();
    let mut import = import::open(&path, &Options::default()).unwrap();
    assert_eq!(import.by_ref().filter(Result::is_ok).count() as u64, ROWS);
    let seconds = begin.elapsed().as_secs_f64();
    println!(
        "read: {:.0} rows/s; {before} KiB at most before, {} KiB after",
        ROWS as f64 / seconds,
        peak_kib()
    );
    assert_eq!(import.finish().unwrap().place, ROWS);
    assert!(peak_kib() < before + 16 * 1024 && peak_kib() < 96 * 1024);
}
