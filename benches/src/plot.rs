//! Curves as SVG.

use std::io;
use std::ops::Range;
use std::path::Path;

use plotters::prelude::*;

/// Some points with a name, for one of the plots.
#[derive(Clone, Debug)]
pub struct Curve {
    /// The plot that it belongs to, which is also the name of the file.
    pub plot: &'static str,
    /// Its name in the legend.
    pub name: String,
    /// x and y.
    pub points: Vec<(f64, f64)>,
}

/// What is said of a plot: its title and its axes.
struct Labels {
    plot: &'static str,
    title: &'static str,
    x: &'static str,
    y: &'static str,
}

const LABELS: [Labels; 4] = [
    Labels {
        plot: "udp-cpu",
        title: "CPU of a message, all threads",
        x: "messages a second",
        y: "us",
    },
    Labels {
        plot: "reply-latency",
        title: "Time until the answer",
        x: "0: p50, 1: p99, 2: p99.9",
        y: "us",
    },
    Labels { plot: "load-test", title: "Calls that ended well", x: "s", y: "calls a second" },
    Labels { plot: "memory", title: "Resident memory over the time", x: "s", y: "MB" },
];

const SIZE: (u32, u32) = (960, 540);

/// Draws every plot for which there are curves into `folder`, and gives the names of the files. Curves
/// of one name become one, with its points in order.
///
/// # Errors
///
/// If a file cannot be written.
pub fn draw(curves: &[Curve], folder: &Path) -> io::Result<Vec<String>> {
    let mut files = Vec::new();
    for labels in &LABELS {
        let curves = merged(curves.iter().filter(|curve| curve.plot == labels.plot));
        if curves.is_empty() {
            continue;
        }
        let file = format!("{}.svg", labels.plot);
        one(labels, &curves, &folder.join(&file)).map_err(io::Error::other)?;
        files.push(file);
    }
    Ok(files)
}

fn merged<'a>(curves: impl Iterator<Item = &'a Curve>) -> Vec<Curve> {
    let mut merged: Vec<Curve> = Vec::new();
    for curve in curves.filter(|curve| !curve.points.is_empty()) {
        match merged.iter_mut().find(|known| known.name == curve.name) {
            Some(known) => known.points.extend(&curve.points),
            None => merged.push(curve.clone()),
        }
    }
    for curve in &mut merged {
        curve.points.sort_by(|a, b| a.0.total_cmp(&b.0));
    }
    merged
}

/// From 0 to a little over the most.
fn range(values: impl Iterator<Item = f64>) -> Range<f64> {
    0.0..values.fold(f64::MIN_POSITIVE, f64::max) * 1.05
}

fn one(
    labels: &Labels,
    curves: &[Curve],
    file: &Path,
) -> Result<(), Box<dyn std::error::Error + Send + Sync>> {
    let root = SVGBackend::new(file, SIZE).into_drawing_area();
    root.fill(&WHITE)?;
    let points = || curves.iter().flat_map(|curve| &curve.points);
    let mut chart = ChartBuilder::on(&root)
        .caption(labels.title, ("sans-serif", 22))
        .margin(12)
        .x_label_area_size(42)
        .y_label_area_size(70)
        .build_cartesian_2d(range(points().map(|p| p.0)), range(points().map(|p| p.1)))?;
    chart
        .configure_mesh()
        .x_desc(labels.x)
        .y_desc(labels.y)
        .light_line_style(TRANSPARENT)
        .draw()?;
    for (number, curve) in curves.iter().enumerate() {
        let colour = Palette99::pick(number).to_rgba();
        chart
            .draw_series(
                LineSeries::new(curve.points.iter().copied(), colour.stroke_width(2)).point_size(3),
            )?
            .label(&curve.name)
            .legend(move |(x, y)| PathElement::new([(x, y), (x + 18, y)], colour.stroke_width(3)));
    }
    let legend = chart
        .configure_series_labels()
        .position(SeriesLabelPosition::UpperRight)
        .border_style(BLACK.mix(0.3))
        .background_style(WHITE.mix(0.8))
        .draw();
    legend?;
    root.present()?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn curve(name: &str, points: &[(f64, f64)]) -> Curve {
        Curve { plot: "udp-cpu", name: name.to_owned(), points: points.to_vec() }
    }

    #[test]
    fn a_plot_has_its_title_its_axes_and_its_curves() {
        let folder = tempfile::tempdir().unwrap();
        let curves = [curve("floor", &[(1.0, 2.0), (3.0, 1.5)]), curve("sink", &[(1.0, 1.0)])];
        assert_eq!(draw(&curves, folder.path()).unwrap(), ["udp-cpu.svg"]);
        let svg = std::fs::read_to_string(folder.path().join("udp-cpu.svg")).unwrap();
        for text in ["CPU of a message", "messages a second", "floor", "sink", "<polyline"] {
            assert!(svg.contains(text), "{text} is missing");
        }
    }

    #[test]
    fn curves_of_one_name_are_one_in_order() {
        let both = [curve("a", &[(3.0, 1.0)]), curve("a", &[(1.0, 2.0)]), curve("b", &[])];
        let merged = merged(both.iter());
        assert_eq!(merged.len(), 1);
        assert_eq!(merged[0].points, [(1.0, 2.0), (3.0, 1.0)]);
    }
}
