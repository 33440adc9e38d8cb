//! Measures everything and prints one table. `scripts/bench` builds what it needs and calls it.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::{Arg, ArgMatches, Command, value_parser};
use sentrypeer_benches::exit_code;
use sentrypeer_benches::machine::Processors;
use sentrypeer_benches::node::Place;
use sentrypeer_benches::suite::{Bench, Found, PARTS};
use sentrypeer_benches::{plot, table};
use serde_json::{Value, json};

/// How long the machine is watched before anything begins.
const WATCH: std::time::Duration = std::time::Duration::from_secs(2);

fn main() -> ExitCode {
    exit_code("bench", run(&command().get_matches()).map(|()| true))
}

fn command() -> Command {
    let names: Vec<&str> = PARTS.iter().map(|part| part.name).collect();
    let folder = |name: &'static str, default: &'static str| {
        Arg::new(name)
            .long(name)
            .value_name("FOLDER")
            .default_value(default)
            .value_parser(value_parser!(PathBuf))
    };
    Command::new("bench")
        .about("Measures sentrypeer beside bare loops on this machine, and prints one table")
        .arg(Arg::new("part").num_args(0..).value_parser(names).help("only these parts"))
        .arg(
            Arg::new("repeats")
                .long("repeats")
                .value_name("N")
                .default_value("3")
                .value_parser(value_parser!(u32).range(1..=100)),
        )
        .arg(
            Arg::new("seconds")
                .long("seconds")
                .value_name("S")
                .default_value("4")
                .value_parser(value_parser!(f64))
                .help("length of one trial"),
        )
        .arg(
            Arg::new("drivers")
                .long("drivers")
                .value_delimiter(',')
                .default_value("uring,poll")
                .value_parser(["uring", "poll", "auto"]),
        )
        .arg(folder("programs", "target/release").help("where the programs were built"))
        .arg(folder("folder", "target").help("where databases are made, on the disk to measure"))
        .arg(folder("out", "target/bench").help("for bench.json, bench.md and the plots"))
}

fn run(options: &ArgMatches) -> io::Result<()> {
    let (bench, out) = bench(options)?;
    fs::create_dir_all(&out)?;
    let wanted: Vec<&String> = options.get_many("part").into_iter().flatten().collect();
    let machine = machine();
    println!("{}", line(&machine));
    let before = Processors::now();
    std::thread::sleep(WATCH);
    if let Some(busy) = Processors::now().busy_since(before, std::time::Duration::ZERO) {
        println!("before anything was started the machine was {busy}");
    }
    let mut all = Found::default();
    for part in
        PARTS.iter().filter(|part| wanted.is_empty() || wanted.iter().any(|w| *w == part.name))
    {
        eprintln!("{}", part.name);
        let found = (part.measure)(&bench)?;
        all.rows.extend(found.rows);
        all.curves.extend(found.curves);
        // What was found so far is kept: hours may pass until the end.
        keep(&machine, &all, &out)?;
    }
    println!("\n{}", table::text(&all.rows));
    let missed = all.rows.iter().filter(|row| row.is_met() == Some(false)).count();
    let goals = all.rows.iter().filter(|row| row.is_met().is_some()).count();
    println!(
        "{} of {goals} goals met; {} has the table as JSON and Markdown, and the plots",
        goals - missed,
        out.display()
    );
    Ok(())
}

fn keep(machine: &Value, all: &Found, out: &Path) -> io::Result<()> {
    let json = serde_json::to_vec_pretty(&table::json(machine, &all.rows))?;
    fs::write(out.join("bench.json"), json)?;
    fs::write(
        out.join("bench.md"),
        format!("{}\n\n{}", line(machine), table::markdown(&all.rows)),
    )?;
    plot::draw(&all.curves, out).map(drop)
}

fn bench(options: &ArgMatches) -> io::Result<(Bench, PathBuf)> {
    let missing = || io::Error::other("an option without its default");
    let path = |name: &str| options.get_one::<PathBuf>(name).cloned().ok_or_else(missing);
    let place =
        Place { programs: path("programs")?, folder: path("folder")?, environment: Vec::new() };
    let bench = Bench {
        place,
        repeats: *options.get_one("repeats").ok_or_else(missing)?,
        seconds: *options.get_one("seconds").ok_or_else(missing)?,
        drivers: options.get_many("drivers").into_iter().flatten().cloned().collect(),
        core: 0,
    };
    Ok((bench, path("out")?))
}

/// What is measured on.
fn machine() -> Value {
    let read = |path: &str| fs::read_to_string(path).unwrap_or_default();
    let cpu = read("/proc/cpuinfo");
    let model = cpu.lines().find_map(|line| line.strip_prefix("model name"));
    let memory = read("/proc/meminfo");
    let memory = memory.lines().next().and_then(|line| line.split_ascii_whitespace().nth(1));
    json!({
        "processor": model.map_or("unknown", |text| text.trim_start_matches(['\t', ' ', ':'])),
        "processors": std::thread::available_parallelism().map_or(0, std::num::NonZero::get),
        "memory_gb": memory.and_then(|kb| kb.parse::<u64>().ok()).unwrap_or(0) / 1_000_000,
        "kernel": read("/proc/sys/kernel/osrelease").trim(),
    })
}

fn line(machine: &Value) -> String {
    let text = |name: &str| machine[name].as_str().unwrap_or_default().to_owned();
    format!(
        "{} processors ({}), {} GB, Linux {}",
        machine["processors"],
        text("processor"),
        machine["memory_gb"],
        text("kernel")
    )
}
