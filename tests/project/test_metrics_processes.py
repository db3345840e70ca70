"""Metrics and log lines of a real server with two processes, and what `docs/ops` asks of them."""

import json
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from contextlib import suppress
from http.client import HTTPConnection
from pathlib import Path

import pytest
import yaml
from prometheus_client.parser import text_string_to_metric_families

from cinema.infra.monitoring import heartbeats, worker_counts
from project.management.commands.serve import REQUEST_THREADS
from tests.support.real_programs import celery, environment
from tests.support.services import free_port
from tests.support.suite.patience import PATIENCE_SECONDS, wait_until
from tests.support.up import processes
from tests.workers.test_flower import PRODUCTION

BASE_DIR = Path(__file__).resolve().parents[2]
OPS = BASE_DIR / "docs" / "ops"
PAGE = (BASE_DIR / "docs" / "operations.md").read_text()
PROCESSES = 2
SERVE = f"""
import os
os.sched_getaffinity = lambda _: range({PROCESSES})  # whatever this machine has
from project.management.commands import serve
serve.Command().handle()
"""


class Server:
    def __init__(self, folder: Path) -> None:
        self.port, self.folder = free_port(), folder
        secrets = {
            "SECRET_KEY": "kW3uB7xPq9ZtLr5mN1vD8sYfGhJ2cAeX",
            "EMAIL_URL": "smtp://127.0.0.1:9",
        }
        where = {"PORT": str(self.port), "HOST": "127.0.0.1", "ALLOWED_HOSTS": "127.0.0.1"}
        self.said = folder / "said"
        with self.said.open("wb") as said:
            self.popen = subprocess.Popen(
                [sys.executable, "-c", SERVE],
                env=environment(folder, DEBUG="off", LOG_LEVEL="DEBUG", **secrets, **where),
                cwd=BASE_DIR, stdout=said, stderr=said, start_new_session=True,
            )  # fmt: skip

    def get(self, path: str) -> tuple[int, str]:
        """Each over a connection of its own, so that the kernel deals them out among the processes."""
        client = HTTPConnection("127.0.0.1", self.port, timeout=PATIENCE_SECONDS)
        try:
            client.request("GET", path)
            response = client.getresponse()
            return response.status, response.read().decode()
        finally:
            client.close()

    def answers(self) -> bool:
        try:
            return self.get("/livez")[0] == 200
        except OSError:
            return False

    def samples(self) -> dict[tuple[str, ...], float]:
        families = text_string_to_metric_families(self.get("/metrics")[1])
        return {
            (one.name, *one.labels.values()): one.value
            for family in families
            for one in family.samples
        }

    def pids(self) -> set[int]:
        """The processes that have counted a request."""
        files = (self.folder / "metrics" / str(self.port)).glob("counter_*.db")
        return {
            int(path.stem.rpartition("_")[2]) for path in files if b"livez" in path.read_bytes()
        }


@pytest.fixture
def server(transactional_db, tmp_path):
    server = Server(tmp_path)
    wait_until(server.answers)
    yield server
    with suppress(ProcessLookupError):  # the test has ended it
        os.killpg(server.popen.pid, signal.SIGKILL)
    server.popen.wait()


def requests(samples: dict[tuple[str, ...], float]) -> float:
    return samples["marquee_requests_total", "", "GET", "livez", "200"]


def try_samples(server) -> dict[tuple[str, ...], float]:
    """Nothing to a connection that had come to a process when that was killed."""
    with suppress(OSError):
        return server.samples()
    return {}


def test_two_processes_count_as_one_and_a_killed_one_is_not_forgotten(server):
    before, asked = requests(server.samples()), 0
    deadline = time.monotonic() + PATIENCE_SECONDS
    while len(server.pids()) < PROCESSES or asked < 50:
        assert time.monotonic() < deadline, "one process answers nobody"
        server.get("/livez")
        asked += 1

    told = server.samples()
    assert requests(told) == before + asked
    assert told["marquee_request_seconds_count", "livez"] == before + asked
    assert told["marquee_request_threads",] == PROCESSES * REQUEST_THREADS
    assert told["marquee_requests_in_progress",] == 1  # this one

    os.kill(min(server.pids()), signal.SIGKILL)
    wait_until(server.answers)
    threads = ("marquee_request_threads",)
    samples = {}

    def is_whole_again() -> bool:
        samples.update(try_samples(server))
        return samples.get(threads) == PROCESSES * REQUEST_THREADS  # without the dead one's

    wait_until(is_whole_again)
    assert requests(samples) >= before + asked


def test_every_line_of_a_server_is_json(server):
    server.get("/api/movies/?search=hush7")
    server.popen.terminate()
    server.popen.wait(timeout=PATIENCE_SECONDS)

    said = server.said.read_text().splitlines()
    told = [json.loads(line) for line in said]

    assert "api/movies/" in {line.get("route") for line in told}
    assert "_granian" in {line["logger"] for line in told}
    assert [line for line in said if "hush7" in line] == []


def started_by_compose(program: str) -> list[str]:
    """The options that docker-compose.yml gives it, behind what `start` gives every program."""
    services = yaml.safe_load((BASE_DIR / "docker-compose.yml").read_text())["services"]
    before, command = ["celery", *celery()[3:], program], services[program]["command"]
    assert command[: len(before)] == before
    return command[len(before) :]


def test_every_line_of_a_worker_and_a_beat_is_json(start, tmp_path):
    """Also of what the pool says of a process that was killed."""
    worker, beat = (
        start(program, *started_by_compose(program), **PRODUCTION) for program in ("worker", "beat")
    )
    wait_until(lambda: heartbeats.look().workers and worker_counts.read().last_runs)
    killed = next(pid for pid, (parent, _, _) in processes().items() if parent == worker.pid)
    os.kill(killed, signal.SIGKILL)
    wait_until(lambda: heartbeats.look().killed)
    for process in (worker, beat):
        process.terminate()
        process.wait(timeout=PATIENCE_SECONDS)

    said = "".join((tmp_path / f"{program}.log").read_text() for program in ("worker", "beat"))
    told = [json.loads(line)["event"] for line in said.splitlines()]

    assert [event for event in told if f"pid:{killed} exited with 'signal 9" in event]
    assert "worker: Warm shutdown (MainProcess)" in told
    assert [event for event in told if event.endswith(" ready.")]


def asked_of_prometheus() -> list[str]:
    rules = yaml.safe_load((OPS / "alerts.yml").read_text())["groups"][0]["rules"]
    panels = json.loads((OPS / "grafana" / "marquee.json").read_text())["panels"]
    shown = [target["expr"] for panel in panels for target in panel.get("targets", [])]
    assert len(rules) > 15
    assert len(shown) > 30
    return [rule["expr"] for rule in rules] + shown


def names_in(query: str) -> set[str]:
    return set(re.findall(r"\bmarquee_\w+", query))


def test_what_dashboard_and_alerts_ask_for_is_there(server, start):
    start("worker")
    start("beat", "--pidfile=")
    wait_until(lambda: ("marquee_task_age_seconds", "sweep_mail") in server.samples())
    server.get("/api/shows/1/book/")

    there = {name for name, *_ in server.samples()}

    missing = {name for query in asked_of_prometheus() for name in names_in(query)} - there
    assert missing <= {"marquee_database_connections"}  # SQLite has none
    assert (
        names_in("sum(rate(marquee_no_such_total[5m]))") - there
    )  # an unknown name would be found


def test_every_alert_has_its_section_in_the_operations_page():
    rules = yaml.safe_load((OPS / "alerts.yml").read_text())["groups"][0]["rules"]

    for rule in rules:
        assert rule["annotations"]["runbook"] == f"docs/operations.md#{rule['alert'].lower()}"
        assert rule["labels"]["severity"] in {"info", "warning", "critical"}
        section = re.search(rf"^### {rule['alert']}\n(.*?)(?=^#)", PAGE, re.MULTILINE | re.DOTALL)[
            1
        ]
        assert re.findall(r"^(\d+)\.", section, re.MULTILINE) == ["1", "2", "3"], rule["alert"]


def test_what_the_operations_page_looks_at_in_grafana_is_there():
    panels = {
        panel["title"]
        for panel in json.loads((OPS / "grafana" / "marquee.json").read_text())["panels"]
    }
    named = re.findall(r'"([^"]+)" in Grafana', PAGE)

    assert named
    assert set(named) <= panels


def test_prometheus_takes_the_rules_and_the_configuration():
    if not (promtool := shutil.which("promtool")):
        assert not os.environ.get("CI"), "promtool is missing: apt-get install prometheus"
        pytest.skip("promtool is not installed: Debian's package prometheus has it")
    for asked in (
        "check rules alerts.yml",
        "check config prometheus.yml",
        "test rules alerts_test.yml",
    ):
        ran = subprocess.run([promtool, *asked.split()], cwd=OPS, capture_output=True, text=True)
        assert ran.returncode == 0, ran.stdout + ran.stderr
