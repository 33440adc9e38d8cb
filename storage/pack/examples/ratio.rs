//! What packing saves and costs, beside zstd alone and in the same run.
//!
//! ```text
//! cargo run --release -p sentrypeer-pack --example ratio -- [MESSAGES] [REPEATS]
//! ```
//!
//! First messages as scanners send them, in blocks of four sizes; then messages that are made to be slow
//! or large. Times are CPU time of the one thread; the passes take turns, and of their repeats the median
//! is shown, and the least and the most in brackets.

mod mix;

use std::io::Write;
use std::process::{Command, Stdio};

use mix::{Message, Mix, hostile};
use nix::time::{ClockId, clock_gettime};
use sentrypeer_pack::{Class, Decoder, Encoder, Endpoints};
use zstd::bulk::Compressor;

type Failure = Box<dyn std::error::Error>;

const SOURCES: u32 = 10_000;
const HOSTILE_BYTES: usize = 4 << 20;

fn main() -> Result<(), Failure> {
    let mut args = std::env::args().skip(1).map(|arg| arg.parse());
    let count = args.next().transpose()?.unwrap_or(40_000);
    let repeats: usize = args.next().transpose()?.unwrap_or(3);
    for mix in [Mix::Short, Mix::Long] {
        honest(&mix::messages(mix, count, SOURCES), repeats)?;
    }
    println!("\nhostile, blocks of 1 MiB; packed as % of raw, ns for each raw byte");
    println!(
        "{:38} {:>7} {:>7} {:>8} {:>8} {:>8}",
        "", "zstd 1", "ours", "zstd 1", "ours", "unpack"
    );
    let long = mix::messages(Mix::Long, HOSTILE_BYTES / 650, SOURCES);
    one_kind("(as scanners send them)", &long, repeats)?;
    for (name, kind) in hostile::KINDS {
        one_kind(name, &hostile::messages(kind, HOSTILE_BYTES), repeats)?;
    }
    Ok(())
}

fn honest(messages: &[Message], repeats: usize) -> Result<(), Failure> {
    let each = |sum: f64| sum / messages.len() as f64;
    let raw: usize = messages.iter().map(|message| message.bytes.len()).sum();
    let bits = messages.iter().map(|message| message.bits).sum::<f64>();
    println!(
        "\n{} messages of {:.0} bytes on average from {SOURCES} sources; true randomness {:.1} B each",
        messages.len(),
        each(raw as f64),
        each(bits / 8.0)
    );
    if let Some(packed) = xz(messages) {
        println!("xz -9 of all of them at once: {:.1} B each", each(packed as f64));
    }
    println!(
        "{:>9} | {:>7} {:>18} | {:>7} {:>18} {:>12} | {:>18} {:>12}",
        "block", "zstd 1", "ns", "ours", "push + pack, ns", "pack alone", "unpack, ns", "skip"
    );
    for kib in [64, 256, 1024, 4096] {
        let pass = Passes::run(messages, kib << 10, repeats)?;
        let ns = |times: &[u64]| spread(times, messages.len());
        println!(
            "{kib:5} KiB | {:5.1} B {:>18} | {:5.1} B {:>18} {:>12} | {:>18} {:>12}",
            each(pass.zstd_bytes as f64),
            ns(&pass.zstd),
            each(pass.our_bytes as f64),
            ns(&pass.both()),
            median(&pass.pack, messages.len()),
            ns(&pass.unpack),
            median(&pass.skip, messages.len()),
        );
    }
    Ok(())
}

fn one_kind(name: &str, messages: &[Message], repeats: usize) -> Result<(), Failure> {
    let raw: usize = messages.iter().map(|message| message.bytes.len()).sum();
    let pass = Passes::run(messages, 1 << 20, repeats)?;
    let percent = |bytes: usize| 100.0 * bytes as f64 / raw as f64;
    let ns = |times: &[u64]| sorted(times)[times.len() / 2] as f64 / raw as f64;
    println!(
        "{name:38} {:6.1}% {:6.1}% {:8.2} {:8.2} {:8.2}",
        percent(pass.zstd_bytes),
        percent(pass.our_bytes),
        ns(&pass.zstd),
        ns(&pass.both()),
        ns(&pass.unpack)
    );
    Ok(())
}

/// The times of each repeat, in ns, and the packed bytes.
#[derive(Default)]
struct Passes {
    zstd: Vec<u64>,
    push: Vec<u64>,
    pack: Vec<u64>,
    unpack: Vec<u64>,
    skip: Vec<u64>,
    zstd_bytes: usize,
    our_bytes: usize,
}

impl Passes {
    fn run(messages: &[Message], block_bytes: usize, repeats: usize) -> Result<Self, Failure> {
        let mut passes = Self::default();
        let (mut zstd, mut encoder) = (Compressor::new(1)?, Encoder::new());
        for _ in 0..repeats {
            let mut times = [0; 5];
            (passes.zstd_bytes, passes.our_bytes) = (0, 0);
            for block in blocks(messages, block_bytes) {
                passes.zstd_bytes += timed(&mut times[0], || zstd.compress(&concat(block)))?.len();
                passes.our_bytes += ours(block, &mut encoder, &mut times)?;
            }
            let all = [&mut passes.zstd, &mut passes.push, &mut passes.pack];
            let all = all.into_iter().chain([&mut passes.unpack, &mut passes.skip]);
            all.zip(times).for_each(|(all, time)| all.push(time));
        }
        Ok(passes)
    }

    fn both(&self) -> Vec<u64> {
        self.push.iter().zip(&self.pack).map(|(push, pack)| push + pack).collect()
    }
}

/// Packs and unpacks a block; how many bytes it took.
fn ours(block: &[Message], encoder: &mut Encoder, times: &mut [u64; 5]) -> Result<usize, Failure> {
    timed(&mut times[1], || {
        encoder.clear();
        for message in block {
            let user_agent = message.user_agent.as_bytes();
            let class = Class { method: message.method.as_bytes(), user_agent };
            encoder.push(&message.bytes, class, &endpoints(message));
        }
    });
    let mut packed = Vec::new();
    timed(&mut times[2], || encoder.pack(&mut packed));
    let mut unpacked = Vec::with_capacity(encoder.raw_bytes());
    let done = timed(&mut times[3], || {
        let mut decoder = Decoder::new(&packed, block.len(), encoder.raw_bytes())?;
        let mut next = |m: &Message| decoder.next(m.bytes.len(), &endpoints(m), &mut unpacked);
        block.iter().try_for_each(&mut next)
    });
    done?;
    let done = timed(&mut times[4], || {
        let mut decoder = Decoder::new(&packed, block.len(), encoder.raw_bytes())?;
        block.iter().try_for_each(|message| decoder.skip(message.bytes.len()))
    });
    done?;
    assert!(unpacked == concat(block), "what was unpacked is not what was packed");
    Ok(packed.len())
}

fn endpoints(message: &Message) -> Endpoints {
    Endpoints { source: message.source, destination: message.destination }
}

fn concat(block: &[Message]) -> Vec<u8> {
    let mut all = Vec::with_capacity(block.iter().map(|message| message.bytes.len()).sum());
    block.iter().for_each(|message| all.extend_from_slice(&message.bytes));
    all
}

/// The messages, divided into blocks that are full when they have so many bytes.
fn blocks(messages: &[Message], bytes: usize) -> Vec<&[Message]> {
    let mut blocks = Vec::new();
    let (mut rest, mut sum) = (messages, 0);
    while let Some(end) = rest.iter().position(|message| {
        sum += message.bytes.len();
        sum >= bytes
    }) {
        let (block, others) = rest.split_at(end + 1);
        blocks.push(block);
        (rest, sum) = (others, 0);
    }
    blocks.extend((!rest.is_empty()).then_some(rest));
    blocks
}

/// What `xz -9` makes of all messages at once, if there is such a program.
fn xz(messages: &[Message]) -> Option<usize> {
    let mut command = Command::new("xz");
    command.args(["-9", "-T1", "-c"]).stdin(Stdio::piped()).stdout(Stdio::piped());
    let mut child = command.stderr(Stdio::null()).spawn().ok()?;
    let mut stdin = child.stdin.take()?;
    let all = concat(messages);
    let feeder = std::thread::spawn(move || stdin.write_all(&all));
    let output = child.wait_with_output().ok()?;
    let fed = feeder.join().is_ok_and(|written| written.is_ok());
    (fed && output.status.success()).then_some(output.stdout.len())
}

/// Does something and adds the CPU time that it took, in ns.
fn timed<T>(sum: &mut u64, work: impl FnOnce() -> T) -> T {
    let before = cpu_ns();
    let result = work();
    *sum += cpu_ns() - before;
    result
}

fn cpu_ns() -> u64 {
    // Without such a clock all times are 0.
    clock_gettime(ClockId::CLOCK_THREAD_CPUTIME_ID)
        .map_or(0, |time| time.tv_sec() as u64 * 1_000_000_000 + time.tv_nsec() as u64)
}

fn sorted(times: &[u64]) -> Vec<u64> {
    let mut times = times.to_vec();
    times.sort_unstable();
    times
}

fn median(times: &[u64], messages: usize) -> u64 {
    sorted(times)[times.len() / 2] / messages as u64
}

/// For one message: the median, and the least and the most.
fn spread(times: &[u64], messages: usize) -> String {
    let times = sorted(times);
    let [first, last] = [times[0], times[times.len() - 1]].map(|time| time / messages as u64);
    format!("{} ({first}-{last})", median(&times, messages))
}
