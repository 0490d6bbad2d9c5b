//! The metrics page, in the format that the scraper accepts: OpenMetrics text, or Prometheus text format.

use std::sync::Arc;

use axum::{
    extract::State,
    http::{
        HeaderMap, StatusCode,
        header::{ACCEPT, CONTENT_TYPE, VARY},
    },
    response::{IntoResponse, Response},
};

use crate::metrics::MetricsRegistry;

const OPEN_METRICS: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";
const PROMETHEUS: &str = "text/plain; version=0.0.4; charset=utf-8";

pub(super) async fn metrics(State(metrics): State<Arc<MetricsRegistry>>, headers: HeaderMap) -> Response {
    let Ok(text) = metrics.write() else { return StatusCode::INTERNAL_SERVER_ERROR.into_response() };
    let (content_type, text) =
        if prefers_open_metrics(&headers) { (OPEN_METRICS, text) } else { (PROMETHEUS, prometheus(&text)) };
    ([(CONTENT_TYPE, content_type), (VARY, "accept")], text).into_response()
}

/// Whether `Accept` (RFC 9110 section 12.5.1) admits a supported version of OpenMetrics, and prefers it to the Prometheus text format.
/// The latter is the default, since every scraper reads it.
fn prefers_open_metrics(headers: &HeaderMap) -> bool {
    let (mut open_metrics, mut prometheus) = (0.0, 0.0);
    let values = headers.get_all(ACCEPT).iter().filter_map(|value| value.to_str().ok());
    for range in values.flat_map(|value| value.split(',')) {
        let mut parts = range.split(';').map(str::trim);
        let media_type = parts.next().unwrap_or_default().to_ascii_lowercase();
        let parameters: Vec<(&str, &str)> = parts.filter_map(|part| part.split_once('=')).collect();
        let parameter = |name: &str| {
            let found = parameters.iter().find(|(given, _)| given.trim().eq_ignore_ascii_case(name));
            found.map(|(_, value)| value.trim().trim_matches('"'))
        };
        let quality = parameter("q").map_or(1.0, |quality| quality.parse::<f32>().unwrap_or(0.0));
        let best = match (media_type.as_str(), parameter("version")) {
            ("application/openmetrics-text", None | Some("1.0.0" | "0.0.1")) => &mut open_metrics,
            ("text/plain", None | Some("0.0.4")) | ("text/*" | "*/*", _) => &mut prometheus,
            _ => continue,
        };
        *best = quality.max(*best);
    }
    open_metrics > 0.0 && open_metrics >= prometheus
}

/// Converts to the Prometheus text format: a counter has the name of its samples, and there are no `# UNIT` and `# EOF` lines.
fn prometheus(open_metrics: &str) -> String {
    let mut text = String::with_capacity(open_metrics.len());
    let mut help = None;
    for line in open_metrics.lines() {
        let mut words = line.splitn(4, ' ');
        match (words.next(), words.next(), words.next(), words.next().unwrap_or_default()) {
            (Some("#"), Some("HELP"), Some(name), rest) => help = Some((name, rest)),
            (Some("#"), Some("TYPE"), Some(name), kind) => {
                let suffix = if kind == "counter" { "_total" } else { "" };
                if let Some((_, help)) = help.take().filter(|(described, _)| *described == name) {
                    text.extend(["# HELP ", name, suffix, " ", help, "\n"]);
                }
                text.extend(["# TYPE ", name, suffix, " ", kind, "\n"]);
            }
            (Some("#"), ..) => {}
            _ => text.extend([line, "\n"]),
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use axum::http::HeaderValue;

    use super::*;

    fn accepts(values: &[&'static str]) -> bool {
        let values = values.iter().map(|value| (ACCEPT, HeaderValue::from_static(value)));
        prefers_open_metrics(&values.collect())
    }

    #[test]
    fn accept_selects_the_format() {
        for open_metrics in [
            &["application/openmetrics-text"][..],
            &["application/openmetrics-text; version=1.0.0; charset=utf-8"],
            &["Application/OpenMetrics-Text;version=\"1.0.0\";q=0.5, */*;q=0.1"],
            &["text/plain;version=0.0.4;q=0.2", "application/openmetrics-text;version=0.0.1;q=0.3"],
            // Prometheus 3.
            &[
                "application/openmetrics-text;version=1.0.0;escaping=allow-utf-8;q=0.6,application/openmetrics-text;version=0.0.1;q=0.5,text/plain;version=1.0.0;escaping=allow-utf-8;q=0.4,text/plain;version=0.0.4;q=0.3,*/*;q=0.2",
            ],
        ] {
            assert!(accepts(open_metrics), "{open_metrics:?}");
        }
        for prometheus in [
            &[][..],
            &["*/*"],
            &["text/plain"],
            &["application/json"],
            &["application/openmetrics-text;q=0"],
            &["application/openmetrics-text;q=none"],
            &["application/openmetrics-text;version=2.0.0"],
            &["application/openmetrics-text;q=0.3,text/plain;q=0.5"],
            &["text/html, application/xhtml+xml, */*;q=0.8"],
        ] {
            assert!(!accepts(prometheus), "{prometheus:?}");
        }
    }

    #[test]
    fn the_prometheus_format_names_counters_after_their_samples() {
        let open_metrics = "# HELP calls Calls, by \\\"code\\\".\n# TYPE calls counter\ncalls_total{code=\"a # b\"} 3\n\
                            # HELP age_seconds Age.\n# TYPE age_seconds gauge\n# UNIT age_seconds seconds\nage_seconds 1.5\n\
                            # TYPE bare counter\nbare_total 1\n# EOF\n";
        let expected = "# HELP calls_total Calls, by \\\"code\\\".\n# TYPE calls_total counter\ncalls_total{code=\"a # b\"} 3\n\
                        # HELP age_seconds Age.\n# TYPE age_seconds gauge\nage_seconds 1.5\n\
                        # TYPE bare_total counter\nbare_total 1\n";
        assert_eq!(prometheus(open_metrics), expected);
    }
}
