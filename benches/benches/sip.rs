//! The parser, against two loops that do less: `httparse` over the header block alone, and
//! `memchr` over every line end. What counts is the ratio, in one run.
//!
//! The messages are the built-in ones and, where `SENTRYPEER_CORPUS` or `../shared/corpus` holds
//! one, the scanners' part of a corpus.

use std::hint::black_box;
use std::path::PathBuf;
use std::{env, fs};

use criterion::{Criterion, Throughput};
use sentrypeer_sip::{Message, parse};
use sentrypeer_benches::messages::{MESSAGES, shuffled};

/// Messages in one pass: enough that none of them stays in the branch predictor.
const PASS: usize = 1_024;

fn main() {
    let mut messages: Vec<Vec<u8>> = MESSAGES.iter().map(|text| text.as_bytes().to_vec()).collect();
    let own = messages.len();
    messages.extend(corpus());
    println!("{own} messages of our own, {} in all", messages.len());

    let mut criterion = Criterion::default().configure_from_args();
    compare(&mut criterion, "every message", &messages, &[LINE_ENDS, SCAN, FIELDS]);
    // httparse refuses folds; it must do its work on every message, or it is measured giving up.
    messages.retain(|message| count_headers(message).is_some());
    compare(&mut criterion, "what httparse reads", &messages, &[LINE_ENDS, HTTPARSE, SCAN, FIELDS]);
    criterion.final_summary();
}

/// A name, and what is done with a message.
type Work = (&'static str, fn(&[u8]) -> usize);

const LINE_ENDS: Work =
    ("memchr, every line end", |message| memchr::memchr_iter(b'\n', message).count());
const HTTPARSE: Work = ("httparse, header block", |message| count_headers(message).unwrap_or(0));
const SCAN: Work =
    ("sip, the scan", |message| usize::from(black_box(parse(message)).status().is_some()));
const FIELDS: Work = ("sip, the fields of an event", |message| fields(&parse(message)));

fn compare(criterion: &mut Criterion, set: &str, messages: &[Vec<u8>], works: &[Work]) {
    let order = shuffled(messages, PASS);
    let bytes: usize = order.iter().map(Vec::len).sum();
    println!("{set}: {} of them, {} bytes on average", messages.len(), bytes / PASS);
    let mut group = criterion.benchmark_group(set);
    group.throughput(Throughput::Elements(PASS as u64));
    for (name, work) in works {
        group.bench_function(*name, |bencher| {
            bencher.iter(|| order.iter().map(|message| work(black_box(message))).sum::<usize>());
        });
    }
    group.finish();
}

/// What the honeypot asks of every message.
fn fields(message: &Message<'_>) -> usize {
    let mut number = [0; 128];
    let length = |field: Option<&[u8]>| black_box(field).map_or(0, <[u8]>::len);
    black_box(message.all_anomalies());
    black_box(message.method()).len()
        + black_box(message.called_number(&mut number)).0.len()
        + length(message.user_agent())
        + length(message.call_id())
        + length(message.from_tag())
        + length(message.to_tag())
        + message.via_count()
}

/// The header lines that httparse sees between the first line and the body.
fn count_headers(message: &[u8]) -> Option<usize> {
    let block = memchr::memchr(b'\n', message).map(|end| &message[end + 1..])?;
    let mut headers = [httparse::EMPTY_HEADER; 96];
    match httparse::parse_headers(block, &mut headers) {
        Ok(httparse::Status::Complete((_, found))) => Some(black_box(found).len()),
        _ => None,
    }
}

/// The scanners' messages of a corpus, if there is one.
fn corpus() -> Vec<Vec<u8>> {
    let given = env::var_os("SENTRYPEER_CORPUS").map(PathBuf::from);
    let beside = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../shared/corpus");
    let Ok(entries) = fs::read_dir(given.unwrap_or(beside).join("scanner")) else {
        return Vec::new();
    };
    let mut paths: Vec<PathBuf> = entries.flatten().map(|entry| entry.path()).collect();
    paths.sort();
    paths.into_iter().filter_map(|path| fs::read(path).ok()).collect()
}
