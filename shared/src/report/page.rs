//! The monthly report as one HTML page: no script, no external resource, plots as inline SVG, and a style sheet for print.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use jiff::civil::Date;
use minijinja::value::Serde;
use minijinja::{Environment, UndefinedBehavior};
use plotters::prelude::{
    ChartBuilder, Circle, Color as _, IntoDrawingArea as _, LineSeries, RGBColor, SVGBackend,
};
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};

use super::{Month, Monthly, SyncWeek};
use crate::history::{DataDay, History, SyncDay};

const STYLE: &str = include_str!("monthly.css");
/// The beginning of a page with its `title`, which its template includes.
const HEAD: &str = include_str!("head.html");
const PAGE: &str = include_str!("monthly.html");
/// Width and height of a plot, in pixels.
const SIZE: (u32, u32) = (680, 220);
/// Colors that people with color blindness can tell apart (Okabe and Ito); `monthly.css` has them for the legend, in this order.
const COLORS: [RGBColor; 4] =
    [RGBColor(0, 114, 178), RGBColor(213, 94, 0), RGBColor(0, 158, 115), RGBColor(204, 121, 167)];

/// A line of a plot: its name, and its value on each day that has one.
type Line = (String, Vec<(Date, f64)>);

/// A page cannot be rendered: a defect of its template.
#[derive(Debug, thiserror::Error)]
#[error("the page cannot be rendered: {0}")]
pub struct PageError(String);

impl Monthly {
    /// Renders the report as a page with plots; `history` has the days of the month. It needs no network, and prints well.
    ///
    /// # Errors
    /// A template or a plot has a defect.
    pub fn html(&self, history: &History, month: Month) -> Result<String, PageError> {
        page(self, history, month)
    }
}

fn page(monthly: &Monthly, history: &History, month: Month) -> Result<String, PageError> {
    let of_month = |day: Date| (month.first()..=month.end()).contains(&day);
    let of_syncs = |of: fn(&SyncDay) -> Option<f64>| {
        let line = |(sync, days): (&String, &Vec<SyncDay>)| {
            let days = days.iter().filter(|day| of_month(day.day));
            (sync.clone(), days.filter_map(|day| Some((day.day, of(day)?))).collect())
        };
        history.syncs.iter().map(line).collect::<Vec<Line>>()
    };
    let of_data = |name: &str, of: fn(&DataDay) -> Option<f64>| {
        let days = history.days.iter().filter(|day| of_month(day.day));
        (name.to_owned(), days.filter_map(|day| Some((day.day, of(day)?))).collect())
    };
    let plots = [
        ("Median duration of a day's runs, in minutes", of_syncs(|day| Some(day.median_seconds? / 60.0))),
        ("Records that did not arrive, in percent", of_syncs(SyncDay::error_rate)),
        (
            "Coverage and agreement of fields, in percent",
            vec![of_data("coverage", DataDay::coverage), of_data("fields that agree", DataDay::agreement)],
        ),
    ];
    let mut figures = Vec::new();
    for (title, lines) in plots.iter().filter(|(_, lines)| lines.iter().any(|(_, days)| !days.is_empty())) {
        let svg = plot(lines, month).map_err(|error| PageError(error.to_string()))?;
        let names: Vec<_> = lines.iter().map(|(name, _)| name).collect();
        figures.push(json!({ "title": title, "svg": svg, "names": names }));
    }
    let cells: Vec<_> = monthly.syncs.iter().map(SyncWeek::cells).collect();
    let objects = monthly.objects.iter().map(|object| json!([object.object, object.in_words()]));
    let values = json!({
        "title": format!("{}, {}", monthly.pipeline, monthly.month),
        "monthly": monthly,
        "alerts": monthly.alerts.in_words(),
        "objects": objects.collect::<Vec<_>>(),
        "weeks": cells,
        "figures": figures,
    });
    render_page("monthly.html", PAGE, values)
}

/// Renders a page of these values that looks like the monthly report: with its style, and the hash by which its policy allows that
/// style. Texts are escaped.
///
/// # Errors
/// The template has a defect, or lacks a value.
pub fn render_page(name: &str, template: &str, mut values: Value) -> Result<String, PageError> {
    let own = [("style", STYLE.to_owned()), ("hash", STANDARD.encode(Sha256::digest(STYLE)))];
    if let Some(values) = values.as_object_mut() {
        values.extend(own.map(|(name, value)| (name.to_owned(), value.into())));
    }
    let mut environment = Environment::new();
    environment.set_undefined_behavior(UndefinedBehavior::Strict);
    let added =
        environment.add_template("head.html", HEAD).and_then(|()| environment.add_template(name, template));
    let rendered = added.and_then(|()| environment.get_template(name)?.render(Serde(&values)));
    rendered.map(|page| page + "\n").map_err(|error| PageError(error.to_string()))
}

/// Draws lines over the days of a month. A day without a value breaks its line.
fn plot(lines: &[Line], month: Month) -> Result<String, Box<dyn std::error::Error>> {
    let values = || {
        lines
            .iter()
            .flat_map(|(_, days)| days.iter().map(|(_, value)| *value))
            .filter(|value| value.is_finite())
    };
    let (low, high) = (values().fold(f64::INFINITY, f64::min), values().fold(f64::NEG_INFINITY, f64::max));
    let margin = ((high - low) * 0.1).max(0.05);
    let mut svg = String::new();
    {
        let area = SVGBackend::with_string(&mut svg, SIZE).into_drawing_area();
        let days = 0.5..f64::from(month.end().day()) + 0.5;
        let mut chart = ChartBuilder::on(&area)
            .margin(8)
            .x_label_area_size(24)
            .y_label_area_size(48)
            .build_cartesian_2d(days, (low - margin).max(0.0)..high + margin)?;
        chart
            .configure_mesh()
            .disable_x_mesh()
            .max_light_lines(0)
            .x_labels(10)
            .x_label_formatter(&|day| format!("{day:.0}"))
            .y_label_formatter(&|value| format!("{value:.1}"))
            .draw()?;
        for ((_, days), color) in lines.iter().zip(COLORS.iter().cycle()) {
            let points: Vec<(f64, f64)> =
                days.iter().map(|(day, value)| (f64::from(day.day()), *value)).collect();
            for part in points.chunk_by(|(a, _), (b, _)| b - a < 1.5) {
                chart.draw_series(LineSeries::new(part.iter().copied(), color.stroke_width(2)))?;
            }
            let dots = points.iter().map(|point| Circle::new(*point, 2, color.filled()));
            chart.draw_series(dots)?;
        }
        area.present()?;
    }
    Ok(svg)
}

#[cfg(test)]
mod tests {
    use jiff::Timestamp;

    use super::*;
    use crate::days::days_before;
    use crate::pipeline::Pipeline;
    use crate::report::Inputs;
    use crate::scoreboard::Stored;

    /// The page of a month of two syncs, of which one has a hostile name, with a gap of three days.
    fn rendered(sync: &str, improvement: &str) -> String {
        let month = Month::parse("2026-11").unwrap();
        let mut history = History::default();
        for day in (0..30)
            .rev()
            .map(|back| days_before(month.end(), back))
            .filter(|day| !(10..13).contains(&day.day()))
        {
            history.days.push(DataDay { day, total: Some(100.0), synced: Some(96.0), ..DataDay::default() });
            for key in ["properties-create", sync] {
                let seconds = 300.0 + f64::from(day.day());
                let of_day = SyncDay {
                    day,
                    processed: Some(100.0),
                    failed: Some(1.0),
                    median_seconds: Some(seconds),
                    ..SyncDay::default()
                };
                history.syncs.entry(key.to_owned()).or_default().push(of_day);
            }
        }
        let pipeline = Pipeline::parse(include_str!("../../../infra/pipeline.toml")).unwrap();
        let inputs = Inputs { stored: Stored::default(), history: Ok(history.clone()) };
        let now: Timestamp = "2026-12-07T16:00:00Z".parse().unwrap();
        let advice = Ok(vec![improvement.to_owned()]);
        let monthly = Monthly::of(&inputs, &Ok(Vec::new()), &advice, &pipeline, month, now);
        monthly.html(&history, month).unwrap()
    }

    #[test]
    fn page_has_plots_and_needs_no_script_or_network() {
        let html = rendered("properties-update", "lower the batch size");
        assert!(html.starts_with("<!doctype html>\n") && html.ends_with("</html>\n"), "{html}");
        assert_eq!(html.matches("<svg").count(), 3);
        for absent in ["<script", "http://", "https://", "url(", "@import", " style=", "src=", "onload"] {
            assert!(!html.replace("http://www.w3.org/2000/svg", "").contains(absent), "{absent}: {html}");
        }
        let hash = STANDARD
            .encode(Sha256::digest(html.split("<style>").nth(1).unwrap().split("</style>").next().unwrap()));
        assert!(html.contains(&format!("default-src 'none'; style-src 'sha256-{hash}'")), "{html}");
        assert!(
            html.contains("27 of 30 days recorded") && html.contains("<li>lower the batch size</li>"),
            "{html}"
        );
        assert!(html.len() < 60_000, "{} bytes", html.len());
    }

    #[test]
    fn line_of_a_plot_breaks_at_days_without_a_value() {
        let month = Month::parse("2026-11").unwrap();
        let days =
            |wanted: &[i8]| wanted.iter().map(|day| (Date::new(2026, 11, *day).unwrap(), 1.0)).collect();
        let lines = |wanted: &[i8]| {
            let svg = plot(&[("sync".to_owned(), days(wanted))], month).unwrap();
            (svg.matches("stroke-width=\"2\"").count(), svg.matches("r=\"2\"").count())
        };
        assert_eq!(lines(&[1, 2, 3]), (1, 3));
        assert_eq!(lines(&[1, 2, 5, 6]), (2, 4));
    }

    #[test]
    fn hostile_names_and_texts_are_escaped() {
        let hostile = "</text></svg><script>alert(1)</script>\" onload=\"x";
        let html = rendered(hostile, hostile);
        assert!(!html.contains("<script") && !html.contains("\" onload=\""), "{html}");
        assert!(html.contains("&lt;script&gt;"), "{html}");
    }
}
