"""A made-up run of a home agent set around the Pacific: what map, comparison and failures are tested against.

A mobile node goes from Tokyo by Seoul to Los Angeles; in each place it is served from where it was before until a Home
Agent Switch moves it to the nearest home agent; then the site in Los Angeles dies. Delays are computed from the places.
"""

import itertools
import math
import random
from dataclasses import replace
from pathlib import Path

from synthetic_run import HOME_ADDRESS, INTERVAL_S, STARTED_AT, ns, write_log

from unwired.lab.analysis import analyse
from unwired.lab.record import FailureRecord, FlowRecord, MoveRecord, NoticeRecord, RunRecord
from unwired.lab.result import PathMeasured, Result
from unwired.lab.scenario import Scenario

DURATION_S = 44.0
KILLED_AT_S, OUTAGE_S = 34.0, 0.212
GAP_S, INTERRUPTION_S, SWITCH_AFTER_S, SWITCH_S = 0.1, 0.09, 0.4, 0.006
HELD = {"tokyo": 10_000, "tokyo-sfc": 10_000, "korea": 10_000}
STAYS = (("tokyo-access", 0.0), ("seoul-access", 10.0), ("la-access", 22.0))
PLACES = {
    "tokyo": (35.69, 139.77, "Tokyo"),
    "los-angeles": (34.05, -118.25, "Los Angeles"),
    "tokyo-sfc": (35.39, 139.43, "Fujisawa"),
    "korea": (37.57, 126.98, "Seoul"),
    "tokyo-server": (35.60, 139.90, "Tokyo"),
    "fujisawa-server": (35.30, 139.30, "Fujisawa"),
    "seoul-server": (37.40, 127.20, "Seoul"),
    "la-server": (33.90, -118.00, "Los Angeles"),
    "new-york-server": (40.71, -74.01, "New York"),
    "amsterdam-server": (52.37, 4.90, "Amsterdam"),
    "iij-tokyo": (35.69, 139.70, "Tokyo"),
    "kt-seoul": (37.50, 127.05, "Seoul"),
    "los-nettos": (33.98, -118.44, "Los Angeles"),
}
AGENTS = ("tokyo", "los-angeles", "tokyo-sfc", "korea")
CORRESPONDENTS = tuple(name for name in PLACES if name.endswith("-server"))
ROUTERS = {"iij-tokyo": "tokyo-access", "kt-seoul": "seoul-access", "los-nettos": "la-access"}
NEAREST = {"tokyo-access": "tokyo", "seoul-access": "korea", "la-access": "los-angeles"}


def scenario(name: str = "global-2007", agents: tuple[str, ...] = AGENTS) -> Scenario:
    nodes: list[dict[str, object]] = []
    for number, (node, (latitude, longitude, place)) in enumerate(PLACES.items(), 1):
        is_agent = node in AGENTS
        if is_agent and node not in agents:
            continue
        role = "home_agent" if is_agent else "router" if node in ROUTERS else "correspondent"
        interfaces = {"lan0" if node in ROUTERS else "eth0": [f"2001:db8:{number}::1/64"]}
        config = {"home_agent": {"address": f"2001:db8:a000::{number}"}} if is_agent else {}
        where = {"latitude": latitude, "longitude": longitude, "name": place}
        nodes.append({"name": node, "role": role, "place": where, "interfaces": interfaces, "config": config})
    nodes.append(
        {
            "name": "mobile",
            "role": "mobile_node",
            "interfaces": {"wlan0": []},
            "attached": {"wlan0": "tokyo-access"},
            "config": {"mobile_node": {"home_address": f"{HOME_ADDRESS}/64"}},
        }
    )
    return Scenario.model_validate(
        {
            "name": name,
            "title": "Four home agents around the Pacific, one home prefix",
            "description": "A mobile node travels from Tokyo by Seoul to Los Angeles; then the site there dies.",
            "duration_s": DURATION_S,
            "node": nodes,
            "network": [{"name": network, "members": [f"{router}.lan0"]} for router, network in ROUTERS.items()],
            "move": [
                {"at_s": at_s, "interface": "mobile.wlan0", "to": network, "gap_s": GAP_S}
                for network, at_s in STAYS[1:]
            ],
            "expect": [{"metric": "moves_done", "exactly": 2}],
        }
    )


def one_way_ms(first: str, second: str) -> float:
    """Light in fibre along the great circle, and half a millisecond for the routers; Europe lies behind New York."""
    if first == "amsterdam-server":
        return 37 + one_way_ms("new-york-server", second)
    if second == "amsterdam-server":
        return one_way_ms(second, first)
    (lat1, lon1, _), (lat2, lon2, _) = PLACES[first], PLACES[second]
    a, b, c = math.radians(lat1), math.radians(lat2), math.radians(lon2 - lon1)
    angle = math.acos(min(1.0, math.sin(a) * math.sin(b) + math.cos(a) * math.cos(b) * math.cos(c)))
    return angle * 6371 / 200 * 1.15 + 0.5


def _path(at_s: float, network: str, correspondent: str, primary: str, agents: tuple[str, ...]) -> PathMeasured:
    entry = min(agents, key=lambda agent: one_way_ms(correspondent, agent))
    router = next(router for router, name in ROUTERS.items() if name == network)
    there = one_way_ms(correspondent, entry) + one_way_ms(primary, router) + 2
    there += one_way_ms(entry, primary) if entry != primary else 0.0
    back = 2 + one_way_ms(router, primary) + one_way_ms(primary, correspondent)
    direct = 2 * (2 + one_way_ms(router, correspondent))
    hops_to = tuple(dict.fromkeys((correspondent, entry, primary, router, "mobile")))
    hops_from = ("mobile", router, primary, correspondent)
    return PathMeasured(
        at_s=at_s,
        node="mobile",
        network=network,
        correspondent=correspondent,
        rtt_ms=there + back,
        direct_rtt_ms=direct,
        stretch=(there + back) / direct,
        entry_agent=entry,
        primary_agent=primary,
        hops_to_node=hops_to,
        hops_from_node=hops_from,
        direct_hops=("mobile", router, correspondent),
    )


def paths(agents: tuple[str, ...] = AGENTS) -> tuple[PathMeasured, ...]:
    """Each pair right after the arrival, after the Home Agent Switch if there is one, and after the failure."""
    found: list[PathMeasured] = []
    previous = agents[0]
    for network, at_s in STAYS:
        nearest = NEAREST[network] if NEAREST[network] in agents else agents[0]
        if nearest != previous:
            found += [_path(at_s + 0.3, network, name, previous, agents) for name in CORRESPONDENTS]
        found += [_path(at_s + 4, network, name, nearest, agents) for name in CORRESPONDENTS]
        previous = nearest
    if len(agents) > 1:
        alive = tuple(agent for agent in agents if agent != "los-angeles")
        found += [_path(KILLED_AT_S + 4, "la-access", name, "tokyo", alive) for name in CORRESPONDENTS]
    return tuple(found)


def make_run(directory: Path) -> tuple[RunRecord, Result]:
    directory.mkdir(parents=True, exist_ok=True)
    moves = tuple(
        MoveRecord(
            node="mobile",
            interface="wlan0",
            source=source,
            destination=network,
            detached_at=STARTED_AT + at_s,
            attached_at=STARTED_AT + at_s + GAP_S,
        )
        for (source, _), (network, at_s) in itertools.pairwise(STAYS)
    )
    flows = tuple(_probe(directory, *way) for way in (("tokyo-server", "mobile"), ("mobile", "tokyo-server")))
    record = RunRecord(
        scenario=scenario(),
        directory=directory,
        started_at=STARTED_AT,
        ended_at=STARTED_AT + DURATION_S,
        wall_minus_monotonic_s=1.79e9,
        moves=moves,
        flows=flows,
        notices=tuple(_notices()),
        paths=paths(),
        failures=(FailureRecord("site", "los-angeles", STARTED_AT + KILLED_AT_S, HELD, HELD),),
    )
    return record, analyse(record)


def baseline(record: RunRecord) -> Result:
    """The same journey with the home agent in Tokyo alone."""
    alone = ("tokyo",)
    return analyse(replace(record, scenario=scenario("single-ha", alone), paths=paths(alone), failures=()))


def _probe(directory: Path, source: str, destination: str) -> FlowRecord:
    chance = random.Random(source)
    outward = source == "mobile"
    sent, received = [], []
    for number in range(round(DURATION_S / INTERVAL_S)):
        sent_s = number * INTERVAL_S
        sent.append(f"{number},{ns(sent_s)},0")
        network = [network for network, since_s in STAYS if since_s <= sent_s][-1]
        delay_s = _path(0, network, "tokyo-server", NEAREST[network], AGENTS).rtt_ms / 2e3
        at_node_s = sent_s if outward else sent_s + delay_s
        broken = any(0 <= at_node_s - since_s < GAP_S + INTERRUPTION_S for _, since_s in STAYS[1:])
        if not broken and not 0 <= sent_s + delay_s / 2 - KILLED_AT_S < OUTAGE_S:
            received_s = sent_s + delay_s + chance.expovariate(2500)
            received.append((received_s, f"{number},{ns(sent_s)},{ns(received_s)}"))
    return FlowRecord(
        kind="udp",
        source=source,
        destination=destination,
        source_address=HOME_ADDRESS if outward else "2001:db8:5::1",
        destination_address="2001:db8:5::1" if outward else HOME_ADDRESS,
        source_log=write_log(directory / f"{source}-source.csv", "udp-probe-source", sent, DURATION_S),
        sink_log=write_log(
            directory / f"{source}-sink.csv", "udp-probe-sink", [r for _, r in sorted(received)], DURATION_S
        ),
        interval_ms=INTERVAL_S * 1e3,
    )


def _notices() -> list[NoticeRecord]:
    told = []

    def tell(node: str, at_s: float, name: str, **fields: object) -> None:
        told.append(NoticeRecord(node, STARTED_AT + at_s, name, "info", fields, HOME_ADDRESS))

    previous = "tokyo"
    for network, since_s in STAYS[1:]:
        usable_s = since_s + GAP_S
        tell("mobile", usable_s + 0.01, "binding_update_sent", sequence=1, interface="wlan0")
        tell("mobile", usable_s + INTERRUPTION_S, "registered", sequence=1, interface="wlan0")
        agent = NEAREST[network]
        switched_s = usable_s + SWITCH_AFTER_S
        addresses = {name: f"2001:db8:a000::{number}" for number, name in enumerate(AGENTS, 1)}
        tell("mobile", switched_s, "binding_update_sent", sequence=2, interface="wlan0")
        tell("mobile", switched_s + SWITCH_S, "registered", sequence=2, interface="wlan0")
        ends = {"from": addresses[previous], "to": addresses[agent]}
        tell("mobile", switched_s + SWITCH_S, "home_agent_switched", **ends)
        previous = agent
    return told
