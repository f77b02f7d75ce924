//! Latency against offered rate, as SVG.

use std::fmt::Write as _;

use crate::rig::Journal;
use crate::run::{AtRate, Figures};

const WIDTH: f64 = 760.0;
const HEIGHT: f64 = 440.0;
/// Room for what is written beside the axes.
const LEFT: f64 = 70.0;
const RIGHT: f64 = 150.0;
const TOP: f64 = 40.0;
const BOTTOM: f64 = 60.0;

/// A line of the plot.
struct Line {
    name: &'static str,
    colour: &'static str,
    /// Of the bound: drawn with gaps.
    journal: Journal,
    figure: fn(&Figures) -> f64,
}

const LINES: [Line; 6] = [
    Line { name: "p50", colour: "#2a7", journal: Journal::Sqlite, figure: |f| f.p50_ms },
    Line { name: "p99", colour: "#26c", journal: Journal::Sqlite, figure: |f| f.p99_ms },
    Line { name: "p99.9", colour: "#c33", journal: Journal::Sqlite, figure: |f| f.p999_ms },
    Line { name: "p50, no log", colour: "#2a7", journal: Journal::Memory, figure: |f| f.p50_ms },
    Line { name: "p99, no log", colour: "#26c", journal: Journal::Memory, figure: |f| f.p99_ms },
    Line { name: "p99.9, no log", colour: "#c33", journal: Journal::Memory, figure: |f| f.p999_ms },
];

/// Draws it. Latency is on a logarithmic scale: it differs by powers of ten.
pub(crate) fn plot(rates: &[AtRate]) -> String {
    let most = rates.iter().map(|at| at.offered).fold(1.0, f64::max);
    let latencies = || {
        rates.iter().flat_map(|at| LINES.iter().map(|line| (line.figure)(&at.figures).max(0.01)))
    };
    let lowest = latencies().fold(1.0, f64::min).log10().floor();
    let highest = latencies().fold(10.0, f64::max).log10().ceil();
    let x = |rate: f64| LEFT + (WIDTH - LEFT - RIGHT) * rate / most;
    let y = |ms: f64| {
        let part = (ms.max(0.01).log10() - lowest) / (highest - lowest);
        HEIGHT - BOTTOM - (HEIGHT - TOP - BOTTOM) * part
    };
    let mut svg = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {WIDTH} {HEIGHT}\" \
         font-family=\"sans-serif\" font-size=\"12\">\n\
         <rect width=\"{WIDTH}\" height=\"{HEIGHT}\" fill=\"white\"/>\n\
         <text x=\"{LEFT}\" y=\"22\" font-size=\"14\">Latency in ms against offered tx/s \
         (2 branches, 200 bytes)</text>\n"
    );
    grid(&mut svg, most, (lowest, highest), x, y);
    for (place, line) in LINES.iter().enumerate() {
        let points = rates.iter().filter(|at| at.journal == line.journal);
        let points: Vec<String> = points
            .map(|at| format!("{:.1},{:.1}", x(at.offered), y((line.figure)(&at.figures))))
            .collect();
        let gaps = match line.journal {
            Journal::Memory => " stroke-dasharray=\"5 4\"",
            Journal::Sqlite => "",
        };
        let Line { name, colour, .. } = line;
        let stroke = format!("fill=\"none\" stroke=\"{colour}\" stroke-width=\"2\"{gaps}");
        let (from, to) = (WIDTH - RIGHT + 12.0, WIDTH - RIGHT + 40.0);
        #[expect(clippy::cast_precision_loss, reason = "there are six lines")]
        let at = TOP + 18.0 * place as f64 + 6.0;
        // Writing to a text cannot fail.
        let _ = writeln!(svg, "<polyline points=\"{}\" {stroke}/>", points.join(" "));
        let _ = writeln!(svg, "<polyline points=\"{from},{at} {to},{at}\" {stroke}/>");
        let _ = writeln!(svg, "<text x=\"{}\" y=\"{}\">{name}</text>", to + 6.0, at + 4.0);
    }
    svg + "</svg>\n"
}

fn grid(
    svg: &mut String,
    most: f64,
    (lowest, highest): (f64, f64),
    x: impl Fn(f64) -> f64,
    y: impl Fn(f64) -> f64,
) {
    let mut power = lowest;
    while power <= highest {
        let (ms, right) = (10_f64.powf(power), WIDTH - RIGHT);
        let at = y(ms);
        let _ = writeln!(
            svg,
            "<path d=\"M{LEFT} {at:.1}H{right}\" stroke=\"#ddd\"/>\
             <text x=\"{}\" y=\"{:.1}\" text-anchor=\"end\">{ms}</text>",
            LEFT - 8.0,
            at + 4.0
        );
        power += 1.0;
    }
    let bottom = HEIGHT - BOTTOM;
    for fifth in 0..=5 {
        let rate = most * f64::from(fifth) / 5.0;
        let at = x(rate);
        let _ = writeln!(
            svg,
            "<path d=\"M{at:.1} {TOP}V{bottom}\" stroke=\"#eee\"/>\
             <text x=\"{at:.1}\" y=\"{}\" text-anchor=\"middle\">{rate:.0}</text>",
            bottom + 20.0
        );
    }
}
