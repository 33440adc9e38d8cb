//! The parser beside other parsers, over the same messages in the same run.
//!
//! ```text
//! cargo bench -p sentrypeer-benches --bench sip [--features peers] [-- PART] [--json]
//!
//! PART: messages | hostile                  [both]
//! ```
//!
//! `messages` prints nanoseconds a message: what counts is the ratio to `httparse` over the header
//! block alone. All take turns, pass by pass, so that a busy moment of the machine hits all of them;
//! a repeat's figure is the median of its passes. `hostile` prints the time of 64 KB that were made
//! to be expensive. With `--json` the messages' figures are one line of JSON: each repeat's ns.
//!
//! The messages are what scanners send: the built-in ones and, where `SENTRYPEER_CORPUS` or
//! `../shared/corpus` holds one, the scanners' part of a corpus.

use std::hint::black_box;
use std::path::PathBuf;
use std::time::Instant;
use std::{env, fs};

use sentrypeer_benches::messages::{MESSAGES, redraw_digits, shuffled};
use sentrypeer_sip::limits::NUMBER_BYTES_MAX;
use sentrypeer_sip::{Message, parse};

#[path = "../../engine/sip/tests/it/expensive.rs"]
mod expensive;

/// Messages in a pass: enough that none of them stays in the branch predictor.
const PASS: usize = 1_024;
const PASSES: usize = 200;
const REPEATS: usize = 3;

fn main() {
    let part = env::args().skip(1).find(|argument| !argument.starts_with('-'));
    let wanted = |name: &str| part.as_deref().is_none_or(|part| part == name);
    if wanted("messages") {
        messages(env::args().any(|argument| argument == "--json"));
    }
    if wanted("hostile") {
        hostile();
    }
}

/// A name, and what is done with a message. What it returns only keeps it from being left out.
type Work = (&'static str, fn(&[u8]) -> usize);

const HTTPARSE: Work =
    ("httparse, header block only", |message| count_headers(message).unwrap_or(0));

const WORKS: &[Work] = &[
    HTTPARSE,
    ("memchr, every line end", |message| memchr::memchr_iter(b'\n', message).count()),
    ("sip, spans only", |message| black_box(&parse(message)).body().len()),
    ("sip, all fields, anomalies of the scan", |message| {
        let message = parse(message);
        fields(&message) + message.anomalies().observed as usize
    }),
    ("sip, that, both tags, the called number", |message| {
        let message = parse(message);
        fields(&message) + call(&message) + message.anomalies().observed as usize
    }),
    ("sip, that with deep checks, once an event", |message| {
        let message = parse(message);
        fields(&message) + call(&message) + message.all_anomalies().observed as usize
    }),
    #[cfg(feature = "peers")]
    ("rsip", |message| {
        rsip::SipMessage::try_from(message).map_or(0, |m| {
            use rsip::headers::untyped::ToTypedHeader as _;
            use rsip::prelude::HeadersExt as _;
            let typed = m.from_header().is_ok_and(|from| black_box(from.typed()).is_ok());
            usize::from(typed) + usize::from(black_box(m.to_header()).is_ok())
        })
    }),
    #[cfg(feature = "peers")]
    ("rvoip-sip-core", |message| {
        usize::from(black_box(rvoip_sip_core::parse_message(message)).is_ok())
    }),
];

fn messages(json: bool) {
    let mut messages: Vec<Vec<u8>> = MESSAGES.iter().map(|text| text.as_bytes().to_vec()).collect();
    let own = messages.len();
    messages.extend(corpus());
    let all = messages.len();
    // What refuses a message has less to do than what reads it.
    messages.retain(|message| count_headers(message).is_some());
    let mut order = shuffled(&messages, PASS);
    redraw_digits(&mut order);
    let repeats: Vec<Vec<f64>> = (0..REPEATS).map(|_| medians(&order)).collect();
    if json {
        return print_json(&repeats);
    }
    let bytes: usize = order.iter().map(Vec::len).sum();
    println!(
        "{PASS} messages of {} bytes on average, made from {} ({own} of our own, {} of a corpus, {} \
         left out that httparse refuses)",
        bytes / PASS,
        messages.len(),
        all - own,
        all - messages.len()
    );
    println!("{:42} {:>8}  {:>17}  {:>5}", "ns a message", "median", "least to most", "ratio");
    for (index, (name, _)) in WORKS.iter().enumerate() {
        let figures = sorted(repeats.iter().map(|figures| figures[index]));
        let ratios = sorted(repeats.iter().map(|figures| figures[index] / figures[0]));
        let range = format!("{:.0} to {:.0}", figures[0], figures[REPEATS - 1]);
        println!(
            "{name:42} {:>8.0}  {range:>17}  {:>5.2}",
            figures[REPEATS / 2],
            ratios[REPEATS / 2]
        );
    }
}

fn print_json(repeats: &[Vec<f64>]) {
    let of = |index: usize| repeats.iter().map(|figures| figures[index]).collect::<Vec<f64>>();
    let works = WORKS.iter().enumerate();
    let works =
        works.map(|(index, (name, _))| serde_json::json!({ "name": name, "ns": of(index) }));
    println!("{}", works.collect::<serde_json::Value>());
}

/// The median of many passes, for each work: nanoseconds a message.
fn medians(order: &[Vec<u8>]) -> Vec<f64> {
    let mut passes = vec![Vec::with_capacity(PASSES); WORKS.len()];
    for _ in 0..PASSES {
        for ((_, work), passes) in WORKS.iter().zip(&mut passes) {
            let start = Instant::now();
            black_box(order.iter().map(|message| work(black_box(message))).sum::<usize>());
            passes.push(start.elapsed().as_nanos() as f64 / PASS as f64);
        }
    }
    passes.into_iter().map(|passes| sorted(passes)[PASSES / 2]).collect()
}

fn sorted(figures: impl IntoIterator<Item = f64>) -> Vec<f64> {
    let mut figures: Vec<f64> = figures.into_iter().collect();
    figures.sort_by(f64::total_cmp);
    figures
}

/// Every field that the manifest of the shared corpus names.
fn fields(message: &Message<'_>) -> usize {
    length(Some(message.method()))
        + length(message.request_user())
        + length(message.call_id())
        + length(message.from_user())
        + length(message.to_user())
        + length(message.via_host())
        + length(message.contact_user())
        + length(message.user_agent())
        + length(Some(message.cseq().method))
        + black_box(message.cseq().number).map_or(0, |number| number as usize)
        + black_box(message.content_length()).map_or(0, |length| length as usize)
}

/// What tells one call from another, and the number that it wants.
fn call(message: &Message<'_>) -> usize {
    let mut number = [0; NUMBER_BYTES_MAX];
    length(message.from_tag())
        + length(message.to_tag())
        + black_box(message.called_number(&mut number)).0.len()
}

fn length(field: Option<&[u8]>) -> usize {
    black_box(field).map_or(0, <[u8]>::len)
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

/// Prints what each expensive input costs: the scan, what is done for an event, and all that can be
/// asked. The least of several runs: more is the machine's.
fn hostile() {
    println!("{:42} {:>9} {:>9} {:>9}", "us for 64 KB", "scan", "event", "all");
    let mut worst = [(0.0, ""); 3];
    for (name, bytes) in expensive::inputs(65_000) {
        let works: [fn(&[u8]) -> usize; 3] = [
            |bytes| black_box(parse(bytes)).anomalies().observed as usize,
            |bytes| {
                let message = parse(bytes);
                fields(&message) + call(&message) + message.all_anomalies().observed as usize
            },
            |bytes| expensive::everything(bytes),
        ];
        let times = works.map(|work| {
            let run = |_| {
                let start = Instant::now();
                black_box(work(black_box(&bytes)));
                start.elapsed().as_nanos() as f64 / 1_000.0
            };
            sorted((0..20).map(run))[0]
        });
        println!("{name:42} {:>9.0} {:>9.0} {:>9.0}", times[0], times[1], times[2]);
        for (worst, time) in worst.iter_mut().zip(times) {
            if time > worst.0 {
                *worst = (time, name);
            }
        }
    }
    let [scan, event, all] = worst.map(|(time, name)| format!("{time:.0} ({name})"));
    println!("worst: scan {scan}, event {event}, all {all}");
}
