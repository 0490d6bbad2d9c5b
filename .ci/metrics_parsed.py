"""Parses a scrape in the OpenMetrics format and one in the classic text format: metrics_parsed.py OPEN CLASSIC

Both must have the same families. Each histogram must have a +Inf bucket with every observation.
"""

import math
import sys

from prometheus_client import parser
from prometheus_client.openmetrics.parser import text_string_to_metric_families as read_open_metrics


def families(read, path):
    with open(path, encoding="utf-8") as file:
        return {family.name: family for family in read(file.read())}


def check_histogram(family):
    """Checks each series: buckets do not decrease, and the last one is +Inf and equals the count."""
    buckets, counts = {}, {}
    for sample in family.samples:
        labels = frozenset((name, value) for name, value in sample.labels.items() if name != "le")
        if sample.name == family.name + "_bucket":
            buckets.setdefault(labels, []).append((float(sample.labels["le"]), sample.value))
        elif sample.name == family.name + "_count":
            counts[labels] = sample.value
    assert buckets and buckets.keys() == counts.keys(), family.name
    for labels, series in buckets.items():
        bounds, values = zip(*series)
        assert list(bounds) == sorted(bounds) and list(values) == sorted(values), (family.name, series)
        assert math.isinf(bounds[-1]) and values[-1] == counts[labels], (family.name, series[-1])
        assert all(bound < 1e6 for bound in bounds[:-1]), (family.name, bounds)


open_metrics = families(read_open_metrics, sys.argv[1])
classic = families(parser.text_string_to_metric_families, sys.argv[2])
for name, family in open_metrics.items():
    assert family.documentation and family.type != "unknown", name
    assert name in classic and classic[name].type == family.type, (name, classic.get(name))
    samples = [{sample.name for sample in one.samples} for one in (family, classic[name])]
    assert samples[0] == samples[1], (name, samples)
assert open_metrics.keys() == classic.keys(), open_metrics.keys() ^ classic.keys()
histograms = [family for both in (open_metrics, classic) for family in both.values() if family.type == "histogram"]
for family in histograms:
    check_histogram(family)
print(f"ok: {len(open_metrics)} families in both formats, {len(histograms)} histograms with +Inf")
