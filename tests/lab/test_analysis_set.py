"""What failures, paths and Home Agent Switches of a made-up run come to."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from synthetic_run import HOME_ADDRESS, STARTED_AT, make_run

from unwired.lab.analysis import analyse
from unwired.lab.metric import Metric
from unwired.lab.record import FailureRecord, NoticeRecord, RunRecord
from unwired.lab.result import PathMeasured, Result
from unwired.lab.scenario import Scenario
from unwired.lab.traffic.log import read_log


def measured(result: Result, metric: Metric) -> float | None:
    return next(value for name, value, _ in result.metrics if name == metric)


def failure(what: str, at_s: float, node: str = "tokyo", before: int = 3, after: int = 3) -> FailureRecord:
    return FailureRecord(what, node, STARTED_AT + at_s, {"korea": before, "la": before + 1}, {"korea": after, "la": 9})


def notice(node: str, at_s: float, name: str, **fields: Any) -> NoticeRecord:
    return NoticeRecord(node, STARTED_AT + at_s, name, "info", fields, HOME_ADDRESS)


def drop(record: RunRecord, since_s: float, until_s: float) -> None:
    """Take what was received of the packets sent in this time out of the probes' logs."""
    for flow in record.flows:
        if flow.kind == "udp":
            sent = {
                row[0] for row in read_log(flow.source_log).rows if since_s <= int(row[1]) / 1e9 - STARTED_AT < until_s
            }
            lines = flow.sink_log.read_text().splitlines()
            kept = [line for line in lines if line.startswith("#") or line.partition(",")[0] not in sent]
            flow.sink_log.write_text("\n".join(kept) + "\n")


@pytest.fixture
def record(tmp_path: Path) -> RunRecord:
    return make_run(tmp_path, moves=())


def test_an_outage_is_the_longest_silence_after_the_failure(record: RunRecord) -> None:
    drop(record, 4.99, 5.2)
    drop(record, 9.0, 9.05)
    happened = (failure("site", 5.0), failure("heal", 9.5), failure("site", 12.0, after=1), failure("heal", 14.0))
    result = analyse(replace(record, failures=happened))
    first, healed, second, _ = result.failures
    assert first.what == "site"
    assert first.at_s == pytest.approx(5.0)
    assert first.outage_ms == pytest.approx(210, abs=15)
    assert first.packets_lost == 2 * (21 + 5)
    assert (first.bindings_before, first.bindings_after, first.resets) == (3, 3, 0)
    assert healed.packets_lost == 0
    assert (healed.outage_ms or 0) < 10
    assert (second.outage_ms or 0) < 10
    assert measured(result, Metric.SITE_OUTAGE_MAX_MS) == first.outage_ms
    assert measured(result, Metric.BINDINGS_LOST) == 2


def test_a_site_after_which_nothing_arrives_is_out_to_the_end(record: RunRecord) -> None:
    drop(record, 20.0, 99.0)
    result = analyse(replace(record, failures=(failure("site", 20.0),)))
    assert result.failures[0].outage_ms == pytest.approx(4000, abs=40)


def test_resets_count_for_the_failure_that_they_follow(tmp_path: Path) -> None:
    record = make_run(tmp_path, moves=(), resets=1)
    result = analyse(replace(record, failures=(failure("daemon", 5.0), failure("heal", 22.0))))
    assert [failed.resets for failed in result.failures] == [0, 2]


def test_a_daemons_death_and_its_new_start_are_judged_together(record: RunRecord) -> None:
    drop(record, 6.0, 6.03)
    drop(record, 8.0, 8.02)
    happened = (failure("daemon", 5.0), failure("heal", 7.0), failure("site", 12.0, node="korea"))
    result = analyse(replace(record, failures=happened))
    assert measured(result, Metric.DAEMON_KILL_PACKETS_LOST) == 2 * 5


def path(at_s: float, network: str, correspondent: str, rtt_ms: float, direct_rtt_ms: float) -> PathMeasured:
    stretch = rtt_ms / direct_rtt_ms
    return PathMeasured(at_s, "mobile-node", network, correspondent, rtt_ms, direct_rtt_ms, stretch, None, None)


def test_the_last_path_of_a_pair_counts_unless_something_is_broken(record: RunRecord) -> None:
    found = (
        path(1, "net1", "far", 400, 100),  # before the change of the home agent
        path(2, "net1", "far", 110, 100),
        path(3, "net2", "far", 120, 100),
        path(4, "net2", "near", 8, 4),
        path(6, "net2", "far", 300, 100),  # while something is broken
    )
    happened = (failure("site", 5.0), failure("heal", 7.0))
    result = analyse(replace(record, paths=found, failures=happened))
    assert measured(result, Metric.PATH_STRETCH_MEDIAN) == pytest.approx(1.15)
    assert measured(result, Metric.NEAR_PATH_STRETCH_MEDIAN) == pytest.approx(2)
    assert result.paths == found


def test_packets_around_a_switch_are_counted(record: RunRecord) -> None:
    drop(record, 6.1, 6.12)
    drop(record, 9.0, 9.02)
    switched = notice("mobile-node", 6.0, "home_agent_switched")
    result = analyse(replace(record, notices=(switched,)))
    assert measured(result, Metric.SWITCH_PACKETS_LOST) == 4
    assert measured(result, Metric.HOME_AGENT_SWITCHES) == 1


def test_what_a_move_lost_is_not_the_switchs(tmp_path: Path) -> None:
    record = make_run(tmp_path)  # moves at 8.5 s, through at 8.65 s
    switched = notice("mobile-node", 8.7, "home_agent_switched")
    result = analyse(replace(record, notices=(*record.notices, switched)))
    assert measured(result, Metric.SWITCH_PACKETS_LOST) == 0


def test_switches_are_counted_between_moves(tmp_path: Path) -> None:
    record = make_run(tmp_path)
    times = (5.0, 9.0, 10.0, 11.0, 14.0)
    switched = tuple(notice("mobile-node", at_s, "home_agent_switched") for at_s in times)
    assert measured(analyse(replace(record, notices=switched)), Metric.SWITCHES_PER_CARE_OF_ADDRESS_MAX) == 3


def binding(version: int) -> dict[str, Any]:
    return {"home_address": HOME_ADDRESS, "care_of_address": "2001:db8::1", "primary": "tokyo", "version": version}


@pytest.mark.parametrize(("other", "expected"), [([binding(1)], 1), ([binding(2)], 0), ([], 0)])
def test_agents_agree_on_primary_and_version(record: RunRecord, other: list[dict[str, Any]], expected: int) -> None:
    result = analyse(replace(record, bindings={"tokyo": [binding(1)], "korea": other}))
    assert measured(result, Metric.BINDINGS_AGREE) == expected


@pytest.fixture
def set_scenario(record: RunRecord) -> Callable[[], Scenario]:
    def make() -> Scenario:
        raw = record.scenario.model_dump()
        for index, name in enumerate(("tokyo", "korea")):
            node = {
                "name": name,
                "role": "home_agent",
                "interfaces": {"eth0": [f"2001:db8:99::{index}/64"]},
                "config": {"home_agent": {}, "home_agent_set": {"member": name}},
            }
            raw["node"].append(node)
        raw["link"].append({"between": ["tokyo.eth0", "korea.eth0"], "delay_ms": 9})
        return Scenario.model_validate(raw)

    return make


def test_only_what_nothing_explains_is_a_false_detection(
    record: RunRecord, set_scenario: Callable[[], Scenario]
) -> None:
    told = (
        notice("korea", 2.0, "member_down", member="tokyo"),
        notice("korea", 5.2, "member_down", member="tokyo"),
        notice("tokyo", 5.2, "member_down", member="korea"),
    )
    changed = replace(record, scenario=set_scenario(), notices=told, failures=(failure("site", 5.0),))
    assert measured(analyse(changed), Metric.FALSE_DETECTIONS) == 1


def test_synchronization_is_measured_beyond_the_wires(record: RunRecord, set_scenario: Callable[[], Scenario]) -> None:
    told = (
        notice("tokyo", 2.0, "binding_created"),
        notice("korea", 2.021, "global_binding_stored"),
        notice("korea", 2.5, "global_binding_stored"),
    )
    changed = replace(record, scenario=set_scenario(), notices=told)
    assert measured(analyse(changed), Metric.SYNCHRONIZATION_DELAY_EXCESS_MEDIAN_MS) == pytest.approx(12, abs=0.01)
