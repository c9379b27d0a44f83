//! Data points to values: a number as it is, a distribution as its moments.

use std::sync::Arc;

use super::messages::{KeyValue, Metric, MetricsRequest};
use super::names;
use crate::error::Shown;
use crate::gathered::{Gathered, Reject};

/// `DATA_POINT_FLAGS_NO_RECORDED_VALUE_MASK`: the point tells that there is none.
const NO_RECORDED_VALUE: u32 = 1;

/// One point of any kind: where it belongs, and its values by the ending of the metric's name.
struct Point<'m, const N: usize> {
    attributes: &'m [KeyValue],
    time_unix_nano: u64,
    flags: u32,
    values: [(&'static str, Option<f64>); N],
}

pub(super) fn gather(request: &MetricsRequest, out: &mut Gathered) {
    for part in &request.resource_metrics {
        let source = out.source(names::source(part.resource.as_ref()));
        let metrics = part.scope_metrics.iter().flat_map(|scope| &scope.metrics);
        metrics.for_each(|metric| gather_metric(&source, metric, out));
    }
}

fn gather_metric(source: &Arc<str>, metric: &Metric, out: &mut Gathered) {
    let mut put = Put { source, name: &metric.name, out };
    if let Some(numbers) = metric.gauge.as_ref().or(metric.sum.as_ref()) {
        for point in &numbers.data_points {
            // A double holds whole numbers to 2^53, a record's float to 2^24.
            let value = point.as_double.or(point.as_int.map(|value| value as f64));
            let values = [("", value)];
            let (time_unix_nano, flags) = (point.time_unix_nano, point.flags);
            put.point(&Point { attributes: &point.attributes, time_unix_nano, flags, values });
        }
    } else if let Some(histogram) = &metric.histogram {
        for point in &histogram.data_points {
            let mean = point.sum.filter(|_| point.count > 0).map(|sum| sum / point.count as f64);
            let values = [
                (".count", Some(point.count as f64)),
                (".sum", point.sum),
                (".min", point.min),
                (".max", point.max),
                (".mean", mean),
            ];
            let (time_unix_nano, flags) = (point.time_unix_nano, point.flags);
            put.point(&Point { attributes: &point.attributes, time_unix_nano, flags, values });
        }
    } else if let Some(histogram) = &metric.exponential_histogram {
        for point in &histogram.data_points {
            let values = [(".count", Some(point.count as f64)), (".sum", point.sum)];
            let (time_unix_nano, flags) = (point.time_unix_nano, point.flags);
            put.point(&Point { attributes: &point.attributes, time_unix_nano, flags, values });
        }
    } else if let Some(summary) = &metric.summary {
        for point in &summary.data_points {
            let values = [(".count", Some(point.count as f64)), (".sum", Some(point.sum))];
            let (time_unix_nano, flags) = (point.time_unix_nano, point.flags);
            put.point(&Point { attributes: &point.attributes, time_unix_nano, flags, values });
        }
    } else {
        out.reject(Reject::UnknownKind(Shown::of(source), Shown::of(&metric.name)));
    }
}

/// Where the points of one metric go.
struct Put<'g> {
    source: &'g Arc<str>,
    name: &'g str,
    out: &'g mut Gathered,
}

impl Put<'_> {
    fn point<const N: usize>(&mut self, point: &Point<'_, N>) {
        if self.name.is_empty() {
            return self.out.reject(Reject::Unnamed(Shown::of(self.source)));
        }
        let at = self.out.time(point.time_unix_nano);
        let is_recorded = point.flags & NO_RECORDED_VALUE == 0;
        let attributes = names::metric("", point.attributes);
        for (ending, value) in point.values {
            let name = [self.name, ending, &*attributes];
            self.out.put(self.source, at, &name, value.filter(|_| is_recorded));
        }
    }
}
