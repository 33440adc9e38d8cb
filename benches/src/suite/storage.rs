//! The storage alone, by its own example `ingest`.

use std::io;
use std::process::Command;

use super::{Bench, Found, tell};
use crate::figure::Figure;
use crate::table::{Goal, Limit, Row};

/// How long each is fed, in seconds.
const SECONDS: u32 = 15;

/// What is read from the text of the example: the number between the two texts.
struct Read {
    what: &'static str,
    unit: &'static str,
    before: &'static str,
    after: &'static str,
    goal: fn(u32) -> Option<Goal>,
}

const READ: [Read; 6] = [
    Read {
        what: "stored, durable",
        unit: "/s",
        before: " s: ",
        after: " events/s",
        goal: |sources| Some(Goal::AtLeast(if sources == 10_000 { 600_000.0 } else { 400_000.0 })),
    },
    Read { what: "CPU of the writer", unit: "ns", before: "writer ", after: " ns", goal: |_| None },
    Read {
        what: "CPU of the packer",
        unit: "ns",
        before: "packer ",
        after: " ns",
        goal: |_| Some(Goal::AtMost(1_200.0)),
    },
    Read { what: "packed", unit: "B", before: " B raw, ", after: " B packed", goal: |_| None },
    Read {
        what: "allocated pages of an event",
        unit: "B",
        before: " B packed, ",
        after: " B of allocated",
        goal: |sources| (sources == 10_000).then_some(Goal::AtMost(80.0)),
    },
    Read { what: "longest commit", unit: "ms", before: "longest ", after: " ms", goal: |_| None },
];

/// The storage fed directly, with few and with many sources.
///
/// # Errors
///
/// If the example cannot be run, or says something else than it used to.
pub fn measure(bench: &Bench) -> io::Result<Found> {
    let mut found = Found::default();
    for sources in [10_000, 1_000_000] {
        let (mut figures, mut ratios) = (vec![Vec::new(); READ.len()], Vec::new());
        for _ in 0..bench.repeats {
            let said = ingest(bench, sources)?;
            for (read, figures) in READ.iter().zip(&mut figures) {
                figures.push(between(&said, read.before, read.after)?);
            }
            ratios.push(between(&said, "the database took ", " times as long")?);
        }
        for (read, figures) in READ.iter().zip(&figures) {
            let Some(figure) = Figure::of(figures) else { continue };
            let what = format!("{}, {sources} sources", read.what);
            let mut row = Row::new("storage", what, read.unit, figure);
            row.goal = (read.goal)(sources);
            if read.unit == "/s" {
                // The example's own floor: the same bytes by write and fdatasync.
                let limits: Vec<f64> = figures.iter().zip(&ratios).map(|(f, r)| f * r).collect();
                row = row.beside(Limit::of("write + fdatasync", figures, &limits));
            }
            tell(format_args!("{}: {}", row.what, row.figure.text()));
            found.rows.push(row);
        }
    }
    Ok(found)
}

fn ingest(bench: &Bench, sources: u32) -> io::Result<String> {
    let program = bench.place.programs.join("examples/ingest");
    let output = Command::new(&program)
        .args([SECONDS.to_string(), "0".to_owned(), bench.place.folder.display().to_string()])
        .arg(sources.to_string())
        .output()
        .map_err(|error| io::Error::other(format!("{}: {error}", program.display())))?;
    if !output.status.success() {
        return Err(io::Error::other(format!("ingest: {}", output.status)));
    }
    Ok(String::from_utf8_lossy(&output.stdout).into_owned())
}

/// The number that stands between two texts.
fn between(text: &str, before: &str, after: &str) -> io::Result<f64> {
    let parts = text.match_indices(after).filter_map(|(end, _)| {
        let start = text[..end].rfind(before)? + before.len();
        text[start..end].parse::<f64>().ok()
    });
    let mut parts = parts;
    parts.next().ok_or_else(|| {
        io::Error::other(format!("no number between `{before}` and `{after}` in:\n{text}"))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_number_is_read_from_between_two_texts() {
        let text =
            "  5 stored in 1.0 s: 741652 events/s\n  CPU: writer 839 ns, packer 938 ns (x)\n";
        assert_eq!(between(text, " s: ", " events/s").unwrap(), 741_652.0);
        assert_eq!(between(text, "packer ", " ns").unwrap(), 938.0);
        assert!(between(text, "packer ", " ms").is_err());
        assert!(between(text, "CPU: ", " ns").is_err(), "that is no number");
    }
}
