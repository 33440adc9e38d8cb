//! Turns a file of events into another, as an import and an export one after the other would.
//!
//! `cargo run --release -p sentrypeer-archive --example convert -- FROM TO [ZONE]`
//!
//! The format of TO is that of its name: `.json`, `.csv`, `.parquet` or `.sqlite`.

use std::error::Error;
use std::fs::File;
use std::io::BufWriter;
use std::path::Path;
use std::time::Instant;

use sentrypeer_archive::export::{ExportError, Format, Writer};
use sentrypeer_archive::import::{self, Import, Options};
use sentrypeer_storage::event_json::Producer;
use uuid::Uuid;

fn main() -> Result<(), Box<dyn Error>> {
    let arguments: Vec<String> = std::env::args().collect();
    let [_, from, to, rest @ ..] = arguments.as_slice() else {
        return Err("name two files".into());
    };
    let zone = rest.first().map_or(Ok(Default::default()), |text| text.parse())?;
    let mut import = import::open(from.as_ref(), &Options { zone, ..Options::default() })?;
    if let Some(zone) = import.zone_instead() {
        eprintln!("the times seem to be in the zone {zone}");
    }
    let begin = Instant::now();
    let events = copy(&mut import, to.as_ref())?;
    let rate = events as f64 / begin.elapsed().as_secs_f64();
    let (done, total) = import.progress();
    eprintln!("{events} events, {rate:.0} a second; read {done} of {total}");
    let summary = import.finish()?;
    eprintln!("skipped: {}; cut: {}", summary.skipped, summary.cut);
    Ok(())
}

fn copy(import: &mut Import, to: &Path) -> Result<u64, Box<dyn Error>> {
    let mut writer = writer(to)?;
    for event in import.by_ref().filter_map(Result::ok) {
        writer.write(&event.into_stored())?;
    }
    Ok(writer.finish()?)
}

#[cfg(feature = "sqlite")]
fn sqlite(to: &Path, producer: Producer) -> Result<Writer<BufWriter<File>>, ExportError> {
    Writer::sqlite(to, Default::default(), producer)
}

#[cfg(not(feature = "sqlite"))]
fn sqlite(to: &Path, producer: Producer) -> Result<Writer<BufWriter<File>>, ExportError> {
    Writer::new(Format::Sqlite, BufWriter::new(File::create(to)?), producer)
}

fn writer(to: &Path) -> Result<Writer<BufWriter<File>>, Box<dyn Error>> {
    let producer = Producer {
        app_name: "sentrypeer".into(),
        app_version: env!("CARGO_PKG_VERSION").into(),
        node_id: Uuid::from_u128(1),
    };
    let format: Format = to.extension().unwrap_or_default().to_string_lossy().parse()?;
    if format == Format::Sqlite {
        return Ok(sqlite(to, producer)?);
    }
    Ok(Writer::new(format, BufWriter::new(File::create(to)?), producer)?)
}
