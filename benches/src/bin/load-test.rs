//! Places calls with sipp and says what became of them: `scripts/load-test` builds what it needs and
//! calls it.

use std::path::PathBuf;
use std::process::ExitCode;
use std::{fs, io};

use clap::{Arg, ArgMatches, Command, value_parser};
use sentrypeer_benches::exit_code;
use sentrypeer_benches::load::{HEAD, Load, ROWS, line};
use sentrypeer_benches::node::Place;
use sentrypeer_benches::plot;
use serde_json::Value;

fn main() -> ExitCode {
    exit_code("load-test", run(&command().get_matches()))
}

fn command() -> Command {
    let option = |name: &'static str, default: &'static str| {
        Arg::new(name).long(name).value_name("VALUE").default_value(default)
    };
    let path = || value_parser!(PathBuf);
    Command::new("load-test")
        .about("Loads a node with sipp, and holds what sipp says against what the node counted")
        .arg(option("seconds", "30").value_parser(value_parser!(u32)).help("of each row"))
        .arg(
            option("tenths", "10")
                .value_parser(value_parser!(u32).range(1..=100))
                .help("of each row's rate: 10 is all of it"),
        )
        .arg(option("programs", "target/release").value_parser(path()))
        .arg(option("scenarios", "benches/scenarios").value_parser(path()))
        .arg(option("out", "target/load-test").value_parser(path()))
}

/// Whether every row was as it should be.
fn run(options: &ArgMatches) -> io::Result<bool> {
    let missing = || io::Error::other("an option without its default");
    let path = |name: &str| options.get_one::<PathBuf>(name).cloned().ok_or_else(missing);
    let (out, folder) = (path("out")?, tempfile::tempdir()?);
    fs::create_dir_all(&out)?;
    let place = Place {
        programs: path("programs")?,
        folder: folder.path().to_owned(),
        environment: Vec::new(),
    };
    let number = |name: &str| options.get_one::<u32>(name).copied().ok_or_else(missing);
    let (seconds, tenths) = (number("seconds")?, number("tenths")?);
    let load = Load { place, scenarios: path("scenarios")?, seconds, tenths };
    let (mut report, mut rows, mut curves) = (HEAD.to_owned(), Vec::new(), Vec::new());
    println!("{HEAD}");
    let mut is_well = true;
    for row in &ROWS {
        let (outcome, curve) = load.run(row)?;
        let line = line(row, tenths, &outcome);
        println!("{line}");
        report = report + "\n" + &line;
        is_well &= outcome.faults.is_empty();
        rows.push(outcome.json(row));
        curves.push(curve);
    }
    fs::write(out.join("load-test.md"), report + "\n")?;
    fs::write(out.join("load-test.json"), serde_json::to_vec_pretty(&Value::Array(rows))?)?;
    plot::draw(&curves, &out)?;
    println!("\n{} has the table as Markdown and JSON, and a plot", out.display());
    Ok(is_well)
}
