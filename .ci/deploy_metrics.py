"""Checks the dashboard and the alerts against a running server.

deploy_metrics.py names SCRAPE      the metrics, labels and values of labels in queries are in a scrape (text format)
deploy_metrics.py queries URL       a Prometheus that scrapes the server has data for each query of the dashboard
"""

import json
import pathlib
import re
import sys
import urllib.parse
import urllib.request

import yaml
from prometheus_client.parser import text_string_to_metric_families

ALERTS = yaml.safe_load(pathlib.Path("deploy/prometheus/alerts.yaml").read_text())
TESTS = yaml.safe_load(pathlib.Path("deploy/prometheus/alerts.test.yaml").read_text())
DASHBOARD = json.loads(pathlib.Path("deploy/grafana/tokend.json").read_text())
# Labels that Prometheus adds, and values that only an error gives.
TARGET = {"job", "instance"}
ERRORS = {"grpc_code": {"OK", "CANCELLED", "UNKNOWN", "INVALID_ARGUMENT", "DEADLINE_EXCEEDED", "INTERNAL", "UNAVAILABLE", "DATA_LOSS"}}
LATER = {"grpc_method": {"WatchTrustBundle"}}


def panels():
    return [panel for panel in DASHBOARD["panels"] if panel["type"] != "row"]


def queries():
    """Yields where a query is, the query, and the labels in its text."""
    for panel in panels():
        for target in panel["targets"]:
            yield panel["title"], target["expr"], re.findall(r"{{(\w+)}}", target["legendFormat"])
    for rule in (rule for group in ALERTS["groups"] for rule in group["rules"]):
        texts = " ".join(rule["annotations"].values())
        yield rule["alert"], rule["expr"], re.findall(r"\$labels\.(\w+)", texts)


def check_names(scrape):
    labels, values = {"up": set()}, {}
    for family in text_string_to_metric_families(pathlib.Path(scrape).read_text()):
        for sample in family.samples:
            labels.setdefault(sample.name, set()).update(sample.labels)
            for label, value in sample.labels.items():
                values.setdefault((sample.name, label), set()).add(value)
    metrics = set()
    for where, query, shown in queries():
        used = re.findall(r"\b(up|(?:tokend|grpc|rpc)_\w+)\{([^}]*)\}", query)
        bare = re.sub(r"\{[^}]*\}|\[[^]]*\]|\b(?:by|on) \([^)]*\)", "", query)
        assert len(used) == len(re.findall(r"\b(?:up|(?:tokend|grpc|rpc)_\w+)\b", bare)) > 0, f"{where}: a metric without matchers: {query}"
        known = set(TARGET)
        for metric, matchers in used:
            assert metric in labels, f"{where}: the server has no metric {metric}"
            known |= labels[metric]
            metrics.add(metric)
            for label, operator, value in re.findall(r'(\w+)(=~|!~|!=|=)"([^"]*)"', matchers):
                assert label in labels[metric] | TARGET, f"{where}: {metric} has no label {label}"
                found = values.get((metric, label), set()) | ERRORS.get(label, set()) | LATER.get(label, set())
                for one in value.split("|"):
                    assert label in TARGET or "*" in one or one in found, f"{where}: {metric} has no {label}={one}"
        grouped = [label for group in re.findall(r"\b(?:by|on) \(([^)]*)\)", query) for label in group.split(", ")]
        for label in grouped:
            assert label in known, f"{where}: no metric has the label {label}: {query}"
        aggregated = set(grouped) if re.match(r"[(\s]*(topk|sum|min|max|count|histogram_quantile)\b", query) else known
        assert set(shown) <= aggregated, f"{where}: the text shows {shown}, and the result has only {sorted(aggregated)}"
    print(f"ok: {len(metrics)} metrics of {len(list(queries()))} queries are exported, with their labels")


def check_dashboard():
    ids = [panel["id"] for panel in DASHBOARD["panels"]]
    assert len(ids) == len(set(ids)), "two panels have the same id"
    cells = set()
    for panel in DASHBOARD["panels"]:
        at = panel["gridPos"]
        own = {(x, y) for x in range(at["x"], at["x"] + at["w"]) for y in range(at["y"], at["y"] + at["h"])}
        assert not own & cells and at["x"] + at["w"] <= 24, f"{panel['title']} overlaps another panel"
        cells |= own
    variables = {variable["name"] for variable in DASHBOARD["templating"]["list"]} | {"__rate_interval"}
    assert set(re.findall(r"\$\{?(\w+)", json.dumps(DASHBOARD))) - {"__all"} <= variables


def check_tests():
    """Each alert has a test in which it fires, and one in which it does not."""
    cases = {}
    for case in (case for test in TESTS["tests"] for case in test["alert_rule_test"]):
        cases.setdefault(case["alertname"], set()).add(bool(case["exp_alerts"]))
    names = [rule["alert"] for group in ALERTS["groups"] for rule in group["rules"]]
    assert len(names) == len(set(names))
    for name in names:
        assert cases.get(name) == {True, False}, f"{name}: needs a test that fires and one that does not"
    documented = pathlib.Path("docs/observability.md").read_text()
    for name in names:
        assert f"| `{name}` |" in documented, f"{name} is missing in the table of docs/observability.md"


def check_queries(url):
    def ask(path, **parameters):
        with urllib.request.urlopen(f"{url}{path}?{urllib.parse.urlencode(parameters)}", timeout=10) as response:
            return json.load(response)["data"]

    for panel in panels():
        for target in panel["targets"]:
            query = target["expr"].replace("$__rate_interval", "5s").replace("$job", "tokend").replace("$instance", ".*")
            assert ask("/api/v1/query", query=query)["result"], f"{panel['title']}: no data for {query}"
    rules = [rule for group in ask("/api/v1/rules")["groups"] for rule in group["rules"]]
    assert len(rules) == sum(len(group["rules"]) for group in ALERTS["groups"])
    for rule in rules:
        assert rule["health"] != "err", f"{rule['name']}: {rule['lastError']}"
        assert rule["state"] == "inactive", f"{rule['name']} fires for a server that works"
    print(f"ok: Prometheus has data for every query of {len(panels())} panels; {len(rules)} alerts are evaluated, and none fires")


if sys.argv[1] == "names":
    check_dashboard()
    check_tests()
    check_names(sys.argv[2])
else:
    check_queries(sys.argv[2])
