//! Where widgets lie: in rows from the top, on a grid of 24 columns ("Dashboard Body Structure and Syntax").

use serde_json::{Value as Json, json};

/// The grid's width.
const COLUMNS: u32 = 24;
/// The height of a graph, in the grid's rows.
const GRAPH_ROWS: u32 = 6;
/// The height of the headline.
const HEADLINE_ROWS: u32 = 2;

/// Widgets, from left to right and from top to bottom.
pub(super) struct Grid {
    region: String,
    widgets: Vec<Json>,
    headlines: usize,
    x: u32,
    y: u32,
    /// The height of the row that is being filled.
    rows: u32,
}

impl Grid {
    pub(super) fn new(region: &str) -> Self {
        Self {
            region: region.to_owned(),
            widgets: Vec::new(),
            headlines: 0,
            x: 0,
            y: 0,
            rows: 0,
        }
    }

    /// Whether there is nothing but headlines.
    pub(super) fn is_empty(&self) -> bool {
        self.widgets.len() == self.headlines
    }

    pub(super) fn into_widgets(self) -> Vec<Json> {
        self.widgets
    }

    /// Text over the whole width.
    pub(super) fn headline(&mut self, markdown: &str) {
        self.headlines += 1;
        self.put(
            "text",
            COLUMNS,
            HEADLINE_ROWS,
            json!({ "markdown": markdown }),
        );
    }

    /// A graph of metrics, half as wide as the dashboard.
    pub(super) fn graph(&mut self, properties: Json) {
        self.put("metric", COLUMNS / 2, GRAPH_ROWS, properties);
    }

    /// What a query of Logs Insights finds, half as wide as the dashboard.
    pub(super) fn query(&mut self, properties: Json) {
        self.put("log", COLUMNS / 2, GRAPH_ROWS, properties);
    }

    fn put(&mut self, kind: &str, width: u32, height: u32, mut properties: Json) {
        if kind != "text" {
            properties["region"] = json!(self.region);
        }
        if self.x + width > COLUMNS {
            self.y += self.rows;
            (self.x, self.rows) = (0, 0);
        }
        self.widgets.push(json!({
            "type": kind, "x": self.x, "y": self.y, "width": width, "height": height, "properties": properties,
        }));
        self.x += width;
        self.rows = self.rows.max(height);
    }
}
