//! Charts as SVG: a bar for each median, with the range of all repetitions.

use anyhow::Context;
use plotters::prelude::*;

use super::numbers::{Spread, rounded};

const WIDTH: u32 = 900;
/// Room for the title, the axis and its name.
const FRAME: u32 = 90;
const BAR: u32 = 24;
const LABELS: u32 = 300;
const OURS: RGBColor = RGBColor(31, 119, 180);
const OTHERS: RGBColor = RGBColor(170, 170, 170);

/// One bar.
pub(super) struct Bar {
    pub(super) label: String,
    pub(super) spread: Spread,
    /// Whether it is shown in the colour of ours.
    pub(super) ours: bool,
}

/// Bars from top to bottom.
pub(super) fn bars(title: &str, unit: &str, bars: &[Bar]) -> anyhow::Result<String> {
    let mut svg = String::new();
    draw(&mut svg, title, unit, bars).context("drawing a chart")?;
    Ok(svg)
}

fn draw(svg: &mut String, title: &str, unit: &str, bars: &[Bar]) -> anyhow::Result<()> {
    let count = bars.len();
    let height = FRAME + BAR * u32::try_from(count)?;
    let most = bars.iter().map(|bar| bar.spread.most).fold(0.0, f64::max);
    let area = SVGBackend::with_string(svg, (WIDTH, height)).into_drawing_area();
    area.fill(&WHITE)?;
    let mut chart = ChartBuilder::on(&area)
        .caption(title, ("sans-serif", 18))
        .margin(10)
        .margin_right(30)
        .x_label_area_size(36)
        .y_label_area_size(LABELS)
        .build_cartesian_2d(0.0..most * 1.05, (0..count.saturating_sub(1)).into_segmented())?;
    // The axis has a segment for its last number too. The first bar is at the top, and the axis begins at the bottom.
    let label = |segment: &SegmentValue<usize>| match segment {
        SegmentValue::CenterOf(place) => {
            let from_top = (count - 1).saturating_sub(*place);
            bars.get(from_top).map_or_else(String::new, |bar| bar.label.clone())
        }
        SegmentValue::Exact(_) | SegmentValue::Last => String::new(),
    };
    chart
        .configure_mesh()
        .disable_y_mesh()
        .light_line_style(WHITE)
        .y_labels(count)
        .y_label_formatter(&label)
        .x_label_formatter(&|number| rounded(*number))
        .x_desc(unit)
        .draw()?;
    for (place, bar) in bars.iter().rev().enumerate() {
        let colour = if bar.ours { OURS } else { OTHERS };
        let corners = [
            (0.0, SegmentValue::Exact(place)),
            (bar.spread.median, SegmentValue::Exact(place + 1)),
        ];
        let mut rectangle = Rectangle::new(corners, colour.filled());
        rectangle.set_margin(4, 4, 0, 0);
        let range = [bar.spread.least, bar.spread.most];
        let line = range.map(|end| (end, SegmentValue::CenterOf(place))).to_vec();
        chart.draw_series(std::iter::once(rectangle))?;
        chart.draw_series(std::iter::once(PathElement::new(line, BLACK)))?;
    }
    area.present()?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_bar_has_its_label_from_top_to_bottom() {
        let bar = |label: &str, values: &[f64], ours| Bar {
            label: label.to_owned(),
            spread: Spread::of(values.to_vec()).unwrap(),
            ours,
        };
        let drawn = bars(
            "Tasks",
            "per second",
            &[bar("first bar", &[1.0, 2.0], true), bar("second bar", &[5.0], false)],
        )
        .unwrap();
        let height = |label: &str| -> f64 {
            let text = drawn.split("<text").find(|text| text.contains(label)).unwrap();
            text.split(" y=\"").nth(1).unwrap().split('"').next().unwrap().parse().unwrap()
        };
        assert!(height("first bar") < height("second bar"), "{drawn}");
        assert_eq!(drawn.matches("first bar").count(), 1, "{drawn}");
        assert!(drawn.contains("per second"));
    }
}
