"""`unwired lab run --baseline`: the other scenario first, then one comparison."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from synthetic_global import make_run, scenario
from typer.testing import CliRunner

from unwired.cli import lab as cli
from unwired.lab import analysis
from unwired.lab import run as lab_run
from unwired.lab.processes import LabError
from unwired.lab.scenario import Scenario


@pytest.fixture
def ran(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> list[str]:
    """What was run, in order. Nothing is built: every run comes to the made-up one."""
    order: list[str] = []
    record, result = make_run(tmp_path / "run")

    @contextmanager
    def built(asked: Scenario, watcher: object) -> Iterator[Scenario]:
        order.append(asked.name)
        yield asked

    monkeypatch.setattr(cli, "_load", lambda name: scenario(name))
    monkeypatch.setattr(cli, "_stop_on_signal", lambda: None)
    monkeypatch.setattr(lab_run, "built", built)
    monkeypatch.setattr(lab_run, "run", lambda asked, *rest: replace(record, scenario=asked))
    monkeypatch.setattr(analysis, "analyse", lambda one: replace(result, scenario=one.scenario.name))
    return order


def run(*arguments: str) -> Any:
    return CliRunner().invoke(cli.lab, ["run", *arguments])


def test_baseline_runs_first_and_is_in_the_answer(ran: list[str], tmp_path: Path) -> None:
    answer = run("global-2007", "--baseline", "single-ha", "--json", "--report", str(tmp_path / "report"))
    assert answer.exit_code == 0, answer.output
    assert ran == ["single-ha", "global-2007"]
    told = json.loads(answer.stdout)
    assert told["scenario"] == "global-2007"
    assert told["baseline"]["scenario"] == "single-ha"
    assert told["baseline"]["paths"][0].keys() >= {"correspondent", "rtt_ms", "direct_rtt_ms", "stretch"}
    assert told["baseline"]["metrics"].keys() == told["metrics"].keys()
    assert json.loads((tmp_path / "report" / "result.json").read_text()) == told
    assert "single-ha" in (tmp_path / "report" / "index.html").read_text()


def test_what_happened_is_told_with_its_figures(ran: list[str]) -> None:
    answer = run("global-2007", "--json")
    assert ran == ["global-2007"]
    assert "baseline" not in json.loads(answer.stdout)
    assert "mobile changes its home agent from tokyo to korea: 6 ms of signalling, no packet lost" in answer.stderr
    assert "The site of los-angeles disappears: silence of" in answer.stderr


def test_a_baseline_that_cannot_run_ends_it(ran: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*arguments: object) -> None:
        raise LabError("no such thing")

    monkeypatch.setattr(lab_run, "run", fail)
    answer = run("global-2007", "--baseline", "single-ha")
    assert answer.exit_code == cli.CANNOT_RUN
    assert ran == ["single-ha"]
