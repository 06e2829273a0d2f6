"""CloudWatch: a metric is its namespace, its name and *all* its dimensions; periods begin where AWS begins them."""

import contextlib
from datetime import timedelta

import moto.cloudwatch.models as models
from moto.cloudwatch.exceptions import InvalidParameterValue
from moto.cloudwatch.models import CloudWatchBackend, MetricDatumBase, Statistics

from .patching import around

# Start times are rounded down to a whole minute, or to the period if that is shorter (GetMetricData, API reference).
COARSEST_START_S = 60


def _identity(dimensions):
    return {(dimension.name, dimension.value) for dimension in dimensions}


@around(models, "are_dimensions_same")
def are_dimensions_same(_moto, ours, theirs):
    return _identity(ours) == _identity(theirs)


@around(MetricDatumBase, "filter")
def filter_datum(moto, datum, namespace, name, dimensions, already_present_metrics=None):
    # moto lists a metric without dimensions once for each value.
    if not datum.dimensions and any(
        (known.namespace, known.name, known.dimensions) == (datum.namespace, datum.name, datum.dimensions)
        for known in already_present_metrics or []
    ):
        return False
    return moto(datum, namespace, name, dimensions, already_present_metrics)


def _is_of(datum, namespace, name, dimensions):
    asked = {(dimension["Name"], dimension.get("Value")) for dimension in dimensions}
    return datum.namespace == namespace and datum.name == name and _identity(datum.dimensions) == asked


def _round_down(time, period_s):
    step = min(int(period_s), COARSEST_START_S)
    seconds = time.hour * 3600 + time.minute * 60 + time.second
    return time.replace(microsecond=0) - timedelta(seconds=seconds % step)


@contextlib.contextmanager
def _only(backend, wanted):
    """While this lasts the backend holds just the data that are `wanted`. (One request at a time: see `server`.)"""
    data = [datum for datum in backend.get_all_metrics() if wanted(datum)]
    backend.get_all_metrics = lambda: data
    try:
        yield
    finally:
        del backend.get_all_metrics


@around(CloudWatchBackend, "get_metric_data")
def get_metric_data(moto, backend, queries, start_time, end_time, scan_by="TimestampAscending"):
    if any("Expression" in query for query in queries):
        # They need the results of the other queries: as moto does it.
        return moto(backend, queries, start_time, end_time, scan_by)
    results = []
    for query in queries:
        stat = query["MetricStat"]
        metric = stat["Metric"]
        key = (metric.get("Namespace"), metric.get("MetricName"), metric.get("Dimensions", []))
        with _only(backend, lambda datum: _is_of(datum, *key)):
            results += moto(backend, [query], _round_down(start_time, stat["Period"]), end_time, scan_by)
    return results


@around(CloudWatchBackend, "get_metric_statistics")
def get_metric_statistics(
    _moto, backend, namespace, metric_name, start_time, end_time, period, stats, dimensions, unit=None
):
    start = _round_down(start_time, period)
    end = end_time.replace(microsecond=0)
    if start >= end:
        raise InvalidParameterValue("The parameter StartTime must be less than the parameter EndTime.")
    periods = {}
    for datum in backend.get_all_metrics():
        wanted = _is_of(datum, namespace, metric_name, dimensions or []) and unit in (None, datum.unit)
        if wanted and start <= datum.timestamp < end:
            begun = start + (datum.timestamp - start) // timedelta(seconds=period) * timedelta(seconds=period)
            point = periods.setdefault(begun, Statistics(stats, begun, datum.unit))
            point.metric_data.append(datum)
    return [periods[begun] for begun in sorted(periods)]
