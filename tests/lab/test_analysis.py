"""The analysis finds in a made-up run what was put into it."""

import json
from dataclasses import replace
from pathlib import Path

import pytest
from synthetic_run import MOVES, STARTED_AT, make_run

from unwired.lab import analysis_failure
from unwired.lab.analysis import analyse
from unwired.lab.record import ConfigurationRecord, FailureRecord, MoveRecord, NoticeRecord, RunRecord
from unwired.lab.result import FIRST_REGISTRATION, HANDOVER, LINK_GAINED, LINK_LEFT, LINK_LOST, RETURN_HOME, Result


@pytest.fixture
def record(tmp_path: Path) -> RunRecord:
    return make_run(tmp_path)


def measured(result: Result, name: str) -> float | None:
    return next(value for metric, value, _ in result.metrics if metric == name)


def test_moves_are_measured_from_the_usable_link(record: RunRecord) -> None:
    result = analyse(record)
    assert [handover.kind for handover in result.handovers] == [FIRST_REGISTRATION, HANDOVER, HANDOVER, RETURN_HOME]
    second = result.handovers[1]
    assert second.at_s == pytest.approx(8.5)
    assert second.usable_at_s == pytest.approx(8.6)
    by_source = {direction.source: direction for direction in second.directions}
    inward, outward = by_source["correspondent"], by_source["mobile-node"]
    assert inward.interruption_ms == pytest.approx(47 + 10 + 11, abs=12)
    assert outward.interruption_ms == pytest.approx(3 + 31, abs=12)
    assert second.interruption_ms == max(inward.interruption_ms or 0, outward.interruption_ms or 0)
    assert inward.packets_lost == pytest.approx(15, abs=1)
    assert outward.packets_lost == pytest.approx(10, abs=1)
    assert second.packets_lost == inward.packets_lost + outward.packets_lost
    assert inward.silence_ms == pytest.approx(147 + 10, abs=15)
    assert second.signalling_ms == pytest.approx(47 - 4 - 2.1, abs=0.1)
    assert second.registered_ms == pytest.approx(43, abs=0.1)


def test_leaving_home_is_reported_apart(record: RunRecord) -> None:
    result = analyse(record)
    assert (measured(result, "leaving_home_interruption_max_ms") or 0) > 1000
    assert (measured(result, "interruption_max_ms") or 1000) < 100
    assert measured(result, "moves_done") == 4


def test_expectations_decide(record: RunRecord) -> None:
    result = analyse(record)
    assert result.passed
    assert all(expectation.passed for expectation in result.expectations)
    shorter = record.scenario.expect[0].model_copy(update={"at_most": 30.0})
    strict = replace(record, scenario=record.scenario.model_copy(update={"expect": [shorter]}))
    assert not analyse(strict).passed
    assert not analyse(replace(record, problems=("The daemon of home-agent died.",))).passed


def test_streams_are_whole_and_their_stall_is_found(record: RunRecord) -> None:
    result = analyse(record)
    assert len(result.streams) == 2
    for stream in result.streams:
        assert stream.bytes == 2500 * 2199
        assert (stream.bytes_lost, stream.bytes_duplicated, stream.bytes_corrupted, stream.resets) == (0, 0, 0, 0)
        assert 1200 < stream.longest_stall_ms < 1500


def test_resets_and_undelivered_bytes_fail_the_run(tmp_path: Path) -> None:
    record = make_run(tmp_path, resets=1)
    sink = record.flows[2].sink_log
    kept = [line for line in sink.read_text().splitlines() if "finished" not in line]
    sink.write_text("\n".join(kept[:-3]) + "\n")
    result = analyse(record)
    assert measured(result, "tcp_resets") == 2
    assert measured(result, "tcp_bytes_lost") == 2500
    assert not result.passed


def test_no_packet_through_the_new_link_is_no_zero(tmp_path: Path) -> None:
    record = make_run(tmp_path, moves=(replace(MOVES[1], source="home", destination="net2", in_s=30.0, out_s=30.0),))
    handover = analyse(record).handovers[0]
    assert handover.interruption_ms is None
    assert handover.packets_lost > 1000
    assert measured(analyse(record), "moves_done") == 0


def test_missing_log_is_a_problem_not_a_crash(record: RunRecord) -> None:
    record.flows[0].sink_log.unlink()
    result = analyse(record)
    assert not result.passed
    assert "correspondent" in result.problems[0]


def test_two_links(tmp_path: Path) -> None:
    record = make_run(tmp_path, moves=())

    def move(at_s: float, interface: str, source: str | None, destination: str | None, **others: str) -> MoveRecord:
        at = STARTED_AT + at_s
        return MoveRecord(
            "mobile-node", interface, source, destination, at if source else None, at if destination else None, others
        )

    moves = (
        move(4, "wlan0", None, "net1", wwan0="net2"),
        move(6, "wwan0", "net2", None, wlan0="net1"),
        move(8, "wwan0", None, "net2", wlan0="net1"),
        move(10, "wlan0", "net1", None, wwan0="net2"),
        move(12, "wwan0", "net2", None),
    )
    updates = [
        NoticeRecord("mobile-node", STARTED_AT + at_s, "binding_update_sent", "info", {}) for at_s in (4.1, 10.1)
    ]
    result = analyse(replace(record, moves=moves, notices=tuple(updates)))
    kinds = [handover.kind for handover in result.handovers]
    assert kinds == [HANDOVER, LINK_LEFT, LINK_GAINED, HANDOVER, LINK_LOST]
    assert [handover.make_before_break for handover in result.handovers] == [True, True, True, False, False]
    ends = [(handover.source, handover.destination) for handover in result.handovers[:2]]
    assert ends == [("net2", "net1"), ("net2", "net1")]
    assert result.handovers[2].interruption_ms is None
    assert (result.handovers[0].interruption_ms or 0) < 5
    assert measured(result, "make_before_break_packets_lost") == 0
    assert measured(result, "moves_done") == 2


def test_configuration_is_told_apart(record: RunRecord) -> None:
    usable = STARTED_AT + 8.6
    notices = tuple(
        replace(notice, fields={**notice.fields, "care_of_address": "10.1.0.113"})
        if notice.name == "registered" and notice.at > usable
        else notice
        for notice in record.notices
    )
    configurations = (
        ConfigurationRecord("somebody", usable + 0.001, "wlan0", "dhcp", "10.1.0.113"),
        ConfigurationRecord("mobile-node", usable + 0.002, "wlan0", "dhcp", "10.9.0.1"),
        ConfigurationRecord("mobile-node", usable + 0.005, "wlan0", "dhcp", "10.1.0.113"),
    )
    plain = analyse(record)
    result = analyse(replace(record, notices=notices, configurations=configurations))
    assert [handover.configuration_ms is None for handover in result.handovers] == [True, False, True, True]
    assert result.handovers[1].configuration_ms == pytest.approx(5, abs=0.1)
    assert measured(result, "configuration_median_ms") == pytest.approx(5, abs=0.1)
    assert measured(plain, "configuration_median_ms") is None
    for name in ("interruption_median_ms", "interruption_max_ms"):
        assert measured(result, name) == measured(plain, name)
    assert (measured(result, "configured_interruption_median_ms") or 0) <= (
        measured(plain, "interruption_median_ms") or 0
    )


def test_a_nat_that_forgot_is_no_lasting_failure(record: RunRecord) -> None:
    failure = FailureRecord("nat", "access2", STARTED_AT + 10, {"home-agent": 1}, {"home-agent": 1})
    result = analyse(replace(record, failures=(failure,)))
    assert measured(result, "nat_rebinding_outage_max_ms") == result.failures[0].outage_ms
    assert measured(result, "site_outage_max_ms") is None
    assert not analysis_failure.is_broken_at(replace(record, failures=(failure,)), STARTED_AT + 11)


def test_json_has_what_is_promised(record: RunRecord) -> None:
    answer = json.loads(json.dumps(analyse(record).to_json()))
    assert answer["schema"] == "unwired.lab.result/1"
    assert {"scenario", "passed", "expectations", "handovers", "streams"} <= answer.keys()
    assert {"name", "passed", "measured", "unit", "limit"} <= answer["expectations"][0].keys()
    promised = {"at_s", "node", "from", "to", "interruption_ms", "packets_lost", "signalling_ms"}
    assert promised <= answer["handovers"][0].keys()
    promised = {"from", "to", "bytes", "bytes_lost", "bytes_duplicated", "resets", "longest_stall_ms"}
    assert promised <= answer["streams"][0].keys()
