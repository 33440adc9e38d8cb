//! Soaks a node: `scripts/soak` builds what it needs and calls it.

use std::path::PathBuf;
use std::process::ExitCode;
use std::{fs, io};

use clap::{Arg, ArgMatches, Command, value_parser};
use sentrypeer_benches::exit_code;
use sentrypeer_benches::node::Place;
use sentrypeer_benches::plot;
use sentrypeer_benches::soak::report::Report;
use sentrypeer_benches::soak::run::{Soak, run};
use serde_json::json;

fn main() -> ExitCode {
    exit_code("soak", soak(&command().get_matches()))
}

fn command() -> Command {
    let option = |name: &'static str, default: &'static str| {
        Arg::new(name).long(name).value_name("VALUE").default_value(default)
    };
    Command::new("soak")
        .about("Mixed traffic with everything going wrong, and what must hold at the end")
        .arg(option("minutes", "30").value_parser(value_parser!(f64)))
        .arg(option("round-seconds", "30").value_parser(value_parser!(f64)))
        .arg(option("pps", "2000").value_parser(value_parser!(u32)).help("good datagrams a second"))
        .arg(option("programs", "target/release").value_parser(value_parser!(PathBuf)))
        .arg(option("out", "target/soak").value_parser(value_parser!(PathBuf)))
}

fn soak(options: &ArgMatches) -> io::Result<bool> {
    let missing = || io::Error::other("an option without its default");
    let path = |name: &str| options.get_one::<PathBuf>(name).cloned().ok_or_else(missing);
    let number = |name: &str| options.get_one::<f64>(name).copied().ok_or_else(missing);
    let (out, folder) = (path("out")?, tempfile::tempdir()?);
    fs::create_dir_all(&out)?;
    let place = Place {
        programs: path("programs")?,
        folder: folder.path().to_owned(),
        environment: Vec::new(),
    };
    let (minutes, round_seconds) = (number("minutes")?, number("round-seconds")?);
    let pps = *options.get_one("pps").ok_or_else(missing)?;
    let report = run(&Soak { place, minutes, round_seconds, pps })?;
    plot::draw(&report.curves, &out)?;
    let json = json!({
        "minutes": minutes, "pps": pps, "counts": report.counts.json(),
        "skipped": report.skipped, "faults": report.faults,
    });
    fs::write(out.join("soak.json"), serde_json::to_vec_pretty(&json)?)?;
    print(&report);
    Ok(report.faults.is_empty())
}

fn print(report: &Report) {
    let counts = &report.counts;
    println!(
        "{} rounds, {} lives: {:.0} datagrams sent, {:.0} of them hostile",
        counts.rounds, counts.lives, counts.datagrams, counts.hostile
    );
    println!(
        "of the lives that ended in order: {:.0} events stored, {:.0} given up and counted, {:.0} datagrams dropped by the kernel and counted",
        counts.stored, counts.shed, counts.dropped
    );
    println!(
        "{:.0} commits failed while the disk was full, and were made again",
        counts.commit_errors
    );
    println!(
        "at most {:.1} MB in the last life; descriptors {} at first, {} in the end; {} requests to the webhook",
        counts.memory_mb, counts.descriptors[0], counts.descriptors[1], counts.webhook_requests
    );
    report.skipped.iter().for_each(|skipped| println!("SKIPPED: {skipped}"));
    report.faults.iter().for_each(|fault| println!("FAULT: {fault}"));
    println!("{} faults", report.faults.len());
}
