"""What Prometheus and Grafana are given in compose/: rules that fire when they should and name
metrics that exist, and a dashboard whose questions have answers.
"""

import http.client
import json
import re
import subprocess
from itertools import combinations
from pathlib import Path
from urllib.parse import quote

import ports
import process
import pytest
import yaml
from kit import PATIENCE, eventually, evidence

_TOP = Path(__file__).resolve().parents[2]
_COMPOSE = _TOP / "compose"
_RULES = yaml.safe_load((_COMPOSE / "alerts.yml").read_text(encoding="utf-8"))["groups"][0]["rules"]
_PROVED = yaml.safe_load(Path(__file__).with_name("alerts.yaml").read_text(encoding="utf-8"))
_BOARD = json.loads((_COMPOSE / "grafana.json").read_text(encoding="utf-8"))
_PANELS = [panel for panel in _BOARD["panels"] if panel["type"] != "row"]
_QUESTIONS = [target["expr"].replace("$__rate_interval", "1m")
              for panel in _PANELS for target in panel["targets"]]
_GRID = 24  # columns
_QUEUES = "/metrics/detailed?family=queue_coarse_metrics"


def _promtool(*arguments):
    done = subprocess.run(["promtool", *arguments], capture_output=True, text=True, check=False,
                          stdin=subprocess.DEVNULL, timeout=2 * PATIENCE)
    assert done.returncode == 0, done.stdout + done.stderr


def test_the_settings_and_rules_are_good():
    _promtool("check", "config", str(_COMPOSE / "prometheus.yml"))


def _moment(rule, at, *labels):
    """What promtool expects of a rule at a time: an alert for each of these labels."""
    return {"eval_time": at, "alertname": rule["alert"], "exp_alerts": [
        {"exp_labels": {**rule["labels"], **of_one}, "exp_annotations": rule["annotations"]}
        for of_one in labels]}


def _experiment(series, *moments):
    return {"interval": "15s", "alert_rule_test": list(moments),
            "input_series": [{"series": name, "values": values} for name, values in series.items()]}


def test_each_alert_fires_when_it_should_and_not_before(tmp_path):
    assert set(_PROVED["cases"]) == {rule["alert"] for rule in _RULES}
    healthy = _PROVED["healthy"]
    tests = [_experiment(healthy, *(_moment(rule, "1h") for rule in _RULES))]
    for rule in _RULES:
        for case in _PROVED["cases"][rule["alert"]]:
            series = case["series"] if case.get("alone") else {**healthy, **case["series"]}
            tests.append(_experiment(series, *(_moment(rule, at) for at in case["silent"]),
                                     _moment(rule, case["fires"], case["labels"])))
    path = tmp_path / "alerts.json"
    path.write_text(json.dumps({"rule_files": [str(_COMPOSE / "alerts.yml")],
                                "evaluation_interval": "15s", "tests": tests}), encoding="utf-8")
    _promtool("test", "rules", str(path))


def test_readme_has_a_row_for_each_alert():
    readme = (_TOP / "README.md").read_text(encoding="utf-8")
    rows = [f"| `{rule['alert']}` | {rule['labels']['severity']} | {rule['annotations']['when']} | "
            f"{rule['annotations']['do']} |" for rule in _RULES]
    missing = [row for row in rows if row not in readme]
    assert not missing, "\n".join(missing)
    assert len(re.findall(r"^\| `Warren\w+` \|", readme, re.MULTILINE)) == len(rows)


def test_the_dashboard_is_whole():
    assert len({panel["id"] for panel in _BOARD["panels"]}) == len(_BOARD["panels"])
    for panel in _PANELS:
        assert panel["title"] and panel["description"] and panel["targets"]
        assert panel["datasource"] == {"type": "prometheus", "uid": "${source}"}
        letters = [target["refId"] for target in panel["targets"]]
        assert len(set(letters)) == len(letters)
    [source] = _BOARD["templating"]["list"]
    assert (source["name"], source["type"], source["query"]) == (
        "source", "datasource", "prometheus")
    places = [panel["gridPos"] for panel in _BOARD["panels"]]
    assert all(0 <= place["x"] and place["x"] + place["w"] <= _GRID for place in places)
    for one, two in combinations(places, 2):
        assert (one["x"] + one["w"] <= two["x"] or two["x"] + two["w"] <= one["x"] or
                one["y"] + one["h"] <= two["y"] or two["y"] + two["h"] <= one["y"]), (one, two)


def _names(text):
    """The metrics of an expression, of histograms and summaries the family's name."""
    text = re.sub(r"\{[^}]*\}|\b(by|without)\s*\([^)]*\)", "", text)
    return {re.sub(r"_(bucket|sum|count)$", "", name)
            for name in re.findall(r"\b(?:warren|rabbitmq)_\w+", text)}


def test_every_metric_that_is_asked_for_exists(broker, deployment):
    rabbit = [deployment.gateways[0].get(path, broker.metrics_port)[1]
              for path in ("/metrics", _QUEUES)]
    services = [service.get("/metrics")[1]
                for service in deployment.gateways + deployment.broadcasters]
    exist = set(re.findall(r"^# TYPE (\w+) ", "\n".join(rabbit + services), re.MULTILINE))
    asked = set().union(*map(_names, [rule["expr"] for rule in _RULES] + _QUESTIONS +
                             list(_PROVED["healthy"])))
    assert len(asked) > 50
    assert asked - exist == set()


class _Prometheus:
    """A Prometheus of the test's own, with the files of the containers but for whom it asks."""

    def __init__(self, folder, targets):
        settings = yaml.safe_load((_COMPOSE / "prometheus.yml").read_text(encoding="utf-8"))
        settings["global"] = {"scrape_interval": "500ms", "scrape_timeout": "500ms",
                              "evaluation_interval": "500ms"}
        settings["rule_files"] = [str(_COMPOSE / "alerts.yml")]
        assert [job["job_name"] for job in settings["scrape_configs"]] == list(targets)
        for job in settings["scrape_configs"]:
            job.pop("dns_sd_configs", None)
            job["static_configs"] = [{"targets": [f"127.0.0.1:{port}"
                                                  for port in targets[job["job_name"]]]}]
        (folder / "prometheus.yml").write_text(yaml.safe_dump(settings), encoding="utf-8")
        self.port = ports.claim_any()
        self.log = folder / "prometheus.log"
        self.process = process.spawn(
            ["prometheus", f"--config.file={folder / 'prometheus.yml'}",
             f"--storage.tsdb.path={folder / 'data'}",
             f"--web.listen-address=127.0.0.1:{self.port}", "--log.level=warn"], self.log)
        evidence.add("prometheus", self.log, lambda: self.process.poll() is None)

    def ask(self, path):
        """The data of an answer of its API; AssertionError when it has none yet."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=PATIENCE)
        try:
            connection.request("GET", f"/api/v1/{path}")
            answer = connection.getresponse()
            text = answer.read()
            assert answer.status == 200, text
            return json.loads(text)["data"]
        finally:
            connection.close()

    def query(self, expression):
        return self.ask(f"query?query={quote(expression)}")["result"]


@pytest.fixture(name="prometheus")
def _prometheus(tmp_path, broker, deployment):
    running = _Prometheus(tmp_path, {
        "warren-gateway": [one.admin_port for one in deployment.gateways],
        "warren-broadcaster": [one.admin_port for one in deployment.broadcasters],
        "rabbitmq": [broker.metrics_port], "rabbitmq-queues": [broker.metrics_port]})
    try:
        yield running
    finally:
        process.end(running.process)


def test_prometheus_reads_all_and_hears_of_a_death(prometheus, deployment):
    targets = len(deployment.gateways + deployment.broadcasters) + 2
    eventually(lambda: len(prometheus.query("up == 1")) == targets, what="all are read")

    def judged():
        [group] = prometheus.ask("rules")["groups"]
        assert {rule["health"] for rule in group["rules"]} == {"ok"}, group
        return True
    eventually(judged, what="all rules are judged")
    for question in _QUESTIONS:
        prometheus.query(question)
    deployment.broadcasters[0].kill()

    def pending():
        alerts = {alert["labels"]["alertname"] for alert in prometheus.ask("alerts")["alerts"]}
        return "WarrenServiceDown" in alerts
    eventually(pending, what="it is noticed")
