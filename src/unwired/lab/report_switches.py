"""Home Agent Switches (RFC 5142): which mobile node was moved from which home agent to which, and what it cost."""

import ipaddress
from collections.abc import Sequence
from dataclasses import dataclass
from html import escape

import numpy

from unwired.lab import report_ladder, report_tables
from unwired.lab.analysis import REGISTERED, UPDATE_SENT
from unwired.lab.analysis_probe import BEFORE_S, ProbeSeries, Window
from unwired.lab.analysis_set import SWITCHED
from unwired.lab.record import NoticeRecord, RunRecord
from unwired.lab.report_svg import milliseconds, number
from unwired.lab.report_view import View
from unwired.lab.result import Handover
from unwired.lab.scenario import Role, Scenario

KIND = "home agent switch"
_WINDOW_S = 1.0
_OPEN = 6
"""Ladders beyond these are folded away."""


@dataclass(frozen=True, slots=True)
class Switch:
    """``source`` and ``destination`` are home agents. ``at_s``: when the binding update to the new one was sent, at
    once on the switch's arrival; ``signalling_ms``: from then to the acknowledgement. None: not seen."""

    at_s: float
    node: str
    source: str | None
    destination: str | None
    signalling_ms: float | None
    packets_lost: int


def find(record: RunRecord, probes: Sequence[ProbeSeries]) -> list[Switch]:
    """In the order of time, from what the mobile nodes' daemons told."""
    mobile = {node.name for node in record.scenario.node if node.role is Role.MOBILE_NODE}
    names = agent_names(record.scenario)
    told = [notice for notice in record.notices if notice.name == SWITCHED and notice.node in mobile]
    return [_switch(record, notice, names, probes) for notice in sorted(told, key=lambda notice: notice.at)]


def agent_names(scenario: Scenario) -> dict[str, str]:
    """The home agents' nodes by their addresses."""
    names = {}
    for node in scenario.node:
        section = scenario.daemon_configuration(node).get("home_agent")
        if isinstance(section, dict) and "address" in section:
            names[_address(section["address"])] = node.name
    return names


def _address(text: object) -> str:
    try:
        return str(ipaddress.ip_address(str(text)))
    except ValueError:
        return str(text)


def _switch(record: RunRecord, notice: NoticeRecord, names: dict[str, str], probes: Sequence[ProbeSeries]) -> Switch:
    def agent(field: str) -> str | None:
        address = notice.fields.get(field)
        return None if address is None else names.get(_address(address), str(address))

    own = [other for other in record.notices if other.node == notice.node and other.at <= notice.at]
    registered = sorted(other.at for other in own if other.name in REGISTERED)
    since = registered[-2] if len(registered) > 1 else record.started_at
    began = next((other.at for other in own if other.name == UPDATE_SENT and other.at > since), None)
    at = notice.at if began is None else began
    moves = [move.began_at for move in record.moves if move.node == notice.node and move.began_at > notice.at]
    until = min([*moves, record.ended_at, notice.at + _WINDOW_S])
    return Switch(
        at_s=at - record.started_at,
        node=notice.node,
        source=agent("from"),
        destination=agent("to"),
        signalling_ms=None if began is None else (notice.at - began) * 1e3,
        packets_lost=sum(_lost(series, notice.node, at, until - BEFORE_S) for series in probes),
    )


def _lost(series: ProbeSeries, node: str, since: float, until: float) -> int:
    """Of what was sent in that time to or from the node."""
    if node not in (series.source, series.destination):
        return 0
    inside = (series.sent_at >= since) & (series.sent_at < until)
    return int(numpy.count_nonzero(series.lost & inside))


def section(view: View, switches: Sequence[Switch], probes: Sequence[ProbeSeries]) -> str:
    """Empty when there were none."""
    if not switches:
        return ""
    rows = [
        [
            str(index),
            escape(switch.node),
            escape(f"{switch.source or '–'} → {switch.destination or '–'}"),
            f"{switch.at_s:.2f} s",
            milliseconds(switch.signalling_ms),
            number(switch.packets_lost),
        ]
        for index, switch in enumerate(switches, start=1)
    ]
    heads = ["", "Mobile node", "Home agents", "At", "Update to acknowledgement", "Packets lost"]
    return report_tables.table(heads, rows, 3) + "".join(_ladders(view, switches, probes))


def _ladders(view: View, switches: Sequence[Switch], probes: Sequence[ProbeSeries]) -> list[str]:
    cards = []
    for index, switch in enumerate(switches):
        own = [series for series in probes if switch.node in (series.source, series.destination)]
        at = view.record.started_at + switch.at_s
        window = Window(began_at=at, usable_at=at, ends_at=at + _WINDOW_S, breaks=False)
        drawing = report_ladder.draw(view, _as_handover(switch), window, own, "told to switch")
        if drawing is None:
            continue
        title = escape(f"{index + 1} · {switch.source or 'a home agent'} → {switch.destination or 'another'}")
        figures = f"{milliseconds(switch.signalling_ms)} to the registration, {switch.packets_lost} packets lost"
        head = f'<div class="card-head"><h3>{title}</h3><span class="kind">{figures}</span></div>'
        card = f'<div class="card">{head}<div class="figure">{drawing}</div></div>'
        cards.append(f"<details><summary>{title}</summary>{card}</details>" if index >= _OPEN else card)
    return cards


def _as_handover(switch: Switch) -> Handover:
    """A move on the spot: the link stays, the home agent changes."""
    return Handover(
        at_s=switch.at_s,
        usable_at_s=switch.at_s,
        node=switch.node,
        source=switch.source,
        destination=switch.destination,
        kind=KIND,
        make_before_break=True,
        interruption_ms=None,
        packets_lost=switch.packets_lost,
        packets_late=0,
        signalling_ms=switch.signalling_ms,
        registered_ms=switch.signalling_ms,
    )
