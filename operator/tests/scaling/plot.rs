//! A run as a picture: an SVG for docs/autoscaling/.

use crate::figures::grouped;
use crate::run::{Run, Sample};
use std::fmt::Write as _;
use std::path::Path;

const WIDTH: f64 = 900.0;
const HEIGHT: f64 = 380.0;
const LEFT: f64 = 76.0;
const RIGHT: f64 = 18.0;
const TOP: f64 = 58.0;
const BOTTOM: f64 = 42.0;
/// Points of a line: one a pixel and no more.
const POINTS_MAX: usize = 600;

/// Colours that are told apart in print and by most eyes.
const WATCHING: &str = "#b9d6f2";
const WAITING: &str = "#d1495b";
const WANTED: &str = "#12355b";
const READY: &str = "#2a7f62";
const ASKED: &str = "#7fb69f";
const DEMAND: &str = "#8d6a9f";

/// Compares the plot of `run` with the one in docs/autoscaling/, or writes it there.
#[allow(clippy::print_stdout, reason = "a failed test shows its figures: the difference of two plots says little")]
pub fn golden(run: &Run) {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/autoscaling");
    let path = folder.join(format!("{}.svg", run.scenario.name));
    let text = svg(run);
    println!("{:#?}", run.figures);
    lectern_golden::check(path, &text);
}

/// Where seconds and people are on the picture.
struct Scale {
    seconds: f64,
    people: f64,
}

impl Scale {
    fn x(&self, second: f64) -> f64 {
        LEFT + second / self.seconds * (WIDTH - LEFT - RIGHT)
    }

    fn y(&self, people: f64) -> f64 {
        HEIGHT - BOTTOM - (people / self.people).min(1.0) * (HEIGHT - TOP - BOTTOM)
    }
}

fn svg(run: &Run) -> String {
    let capacity = run.kind.capacity;
    let most = run.samples.iter().map(|sample| {
        sample.wanted.max(u64::from(sample.ready.max(sample.replicas)) * capacity).max(sample.demand.unwrap_or(0))
    });
    // Demand may be told far above everything else for a moment; the picture is of the rest.
    let room = run.samples.iter().map(|sample| sample.wanted.max(u64::from(sample.ready) * capacity)).max().unwrap();
    let people = step(most.max().unwrap().min(room + room / 5)).1;
    let scale = Scale { seconds: run.samples.len() as f64, people: people as f64 };
    let mut text = String::new();
    let _ = write!(
        text,
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {WIDTH} {HEIGHT}\" font-family=\"sans-serif\" \
         font-size=\"12\">\n<title>{0}</title>\n<rect width=\"{WIDTH}\" height=\"{HEIGHT}\" fill=\"#fff\"/>\n\
         <text x=\"{LEFT}\" y=\"20\" font-size=\"15\" font-weight=\"bold\">{0}</text>\n",
        run.scenario.title
    );
    grid(&mut text, &scale, people);
    let carried = |edges: u32| u64::from(edges) * capacity;
    area(&mut text, run, &scale, WAITING, |sample| sample.watching + sample.waiting);
    area(&mut text, run, &scale, WATCHING, |sample| sample.watching);
    line(&mut text, run, &scale, (DEMAND, "1", "1 3"), |sample| sample.demand);
    line(&mut text, run, &scale, (ASKED, "1.5", "5 3"), |sample| Some(carried(sample.replicas)));
    line(&mut text, run, &scale, (READY, "2", ""), |sample| Some(carried(sample.ready)));
    line(&mut text, run, &scale, (WANTED, "1.5", ""), |sample| Some(sample.wanted));
    legend(&mut text);
    text.push_str("</svg>\n");
    text
}

/// A round distance of lines for numbers up to `most`, and the number at which they end.
fn step(most: u64) -> (u64, u64) {
    let mut unit = 1;
    loop {
        for factor in [1, 2, 5] {
            let step = unit * factor;
            if most <= step * 6 {
                return (step, most.div_ceil(step).max(1) * step);
            }
        }
        unit *= 10;
    }
}

fn grid(text: &mut String, scale: &Scale, people: u64) {
    let by = step(people).0;
    for number in (0..=people).step_by(by as usize) {
        let y = scale.y(number as f64);
        let _ = writeln!(
            text,
            "<path d=\"M{LEFT} {y:.1}H{:.1}\" stroke=\"#e3e3e3\"/><text x=\"{:.1}\" y=\"{:.1}\" \
             text-anchor=\"end\" fill=\"#555\">{}</text>",
            WIDTH - RIGHT,
            LEFT - 8.0,
            y + 4.0,
            grouped(number)
        );
    }
    let minutes = (scale.seconds / 60.0) as u64;
    let by = [1, 2, 5, 10, 15, 30, 60].into_iter().find(|by| minutes / by <= 12).unwrap_or(120);
    for minute in (0..=minutes).step_by(by as usize) {
        let x = scale.x(minute as f64 * 60.0);
        let _ = writeln!(
            text,
            "<path d=\"M{x:.1} {:.1}v5\" stroke=\"#555\"/><text x=\"{x:.1}\" y=\"{:.1}\" text-anchor=\"middle\" \
             fill=\"#555\">{minute}</text>",
            HEIGHT - BOTTOM,
            HEIGHT - BOTTOM + 18.0
        );
    }
    let _ = writeln!(
        text,
        "<text x=\"{:.1}\" y=\"{:.1}\" text-anchor=\"end\" fill=\"#555\">minutes</text>",
        WIDTH - RIGHT,
        HEIGHT - 6.0
    );
}

fn points(run: &Run) -> impl Iterator<Item = (f64, &Sample)> {
    let every = run.samples.len().div_ceil(POINTS_MAX);
    run.samples.iter().enumerate().step_by(every).map(|(second, sample)| (second as f64, sample))
}

fn area(text: &mut String, run: &Run, scale: &Scale, colour: &str, value: fn(&Sample) -> u64) {
    let mut path = format!("M{:.1} {:.1}", scale.x(0.0), scale.y(0.0));
    let mut last = 0.0;
    for (second, sample) in points(run) {
        last = second;
        let _ = write!(path, "L{:.1} {:.1}", scale.x(second), scale.y(value(sample) as f64));
    }
    let _ = writeln!(text, "<path d=\"{path}L{:.1} {:.1}Z\" fill=\"{colour}\"/>", scale.x(last), scale.y(0.0));
}

/// A line that is broken where nothing is known.
fn line(
    text: &mut String,
    run: &Run,
    scale: &Scale,
    (colour, width, dashes): (&str, &str, &str),
    value: impl Fn(&Sample) -> Option<u64>,
) {
    let (mut path, mut drawing) = (String::new(), false);
    for (second, sample) in points(run) {
        if let Some(value) = value(sample) {
            let to = if drawing { 'L' } else { 'M' };
            let _ = write!(path, "{to}{:.1} {:.1}", scale.x(second), scale.y(value as f64));
        }
        drawing = value(sample).is_some();
    }
    let dashes = if dashes.is_empty() { String::new() } else { format!(" stroke-dasharray=\"{dashes}\"") };
    let _ = writeln!(text, "<path d=\"{path}\" fill=\"none\" stroke=\"{colour}\" stroke-width=\"{width}\"{dashes}/>");
}

fn legend(text: &mut String) {
    let entries = [
        (WANTED, "want to watch", 110.0),
        (WATCHING, "watch", 68.0),
        (WAITING, "refused, try again", 136.0),
        (READY, "Ready edges carry", 136.0),
        (ASKED, "edges asked for would carry", 186.0),
        (DEMAND, "demand as told", 120.0),
    ];
    let mut x = LEFT;
    for (colour, words, width) in entries {
        let _ = writeln!(
            text,
            "<rect x=\"{x}\" y=\"33\" width=\"12\" height=\"8\" fill=\"{colour}\"/><text x=\"{}\" y=\"41\" \
             fill=\"#333\">{words}</text>",
            x + 16.0
        );
        x += width;
    }
}
