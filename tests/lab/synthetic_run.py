"""A run as the lab would leave it, made up: what the analysis and the report are tested against.

A mobile node starts at home, visits three access networks and returns; each move's interruption and losses are chosen
here, so that the tests know what must be found.
"""

import random
from dataclasses import dataclass, replace
from pathlib import Path

from unwired.lab.record import FlowRecord, MoveRecord, NoticeRecord, RunRecord
from unwired.lab.scenario import Scenario
from unwired.lab.traffic.log import SCHEMA

STARTED_AT = 5000.0
DURATION_S = 24.0
INTERVAL_S = 0.01
HOME_ADDRESS = "2001:db8:100::1000"
CORRESPONDENT = "2001:db8:300::2"
DELAY_S = {"home": 0.020, "net1": 0.021, "net2": 0.031, "net3": 0.026}


def scenario() -> Scenario:
    def config(address: str) -> dict[str, object]:
        key = {"spi": 256, "secret": "hex:00112233445566778899aabbccddeeff"}
        node = {"identifier": "mn@example.org", "home_address": address, "home_agent": "2001:db8:100::1", "key": key}
        return {"mobile_node": node}

    routers = {
        f"access{index}": {"up": [f"2001:db8:e{index}::2/64"], "wlan": [f"2001:db8:{index}::1/64"]}
        for index in (1, 2, 3)
    }
    return Scenario.model_validate(
        {
            "name": "roaming",
            "title": "A mobile node visits three networks and returns home",
            "description": "20 ms one way between mobile node and home agent.",
            "duration_s": DURATION_S,
            "node": [
                {
                    "name": "home-agent",
                    "role": "home_agent",
                    "interfaces": {"up": ["2001:db8:e0::2/64"], "home": ["2001:db8:100::1/64"]},
                    "config": {
                        "home_agent": {
                            "address": "2001:db8:100::1",
                            "home_prefixes": ["2001:db8:100::/64"],
                            "home_link": "home",
                        }
                    },
                },
                {
                    "name": "correspondent",
                    "role": "correspondent",
                    "interfaces": {"eth0": [f"{CORRESPONDENT}/64"]},
                },
                {
                    "name": "backbone1",
                    "role": "router",
                    "interfaces": {
                        "ha": ["2001:db8:e0::1/64"],
                        "cn": ["2001:db8:300::1/64"],
                        "b2": ["2001:db8:e9::1/64"],
                        "a1": ["2001:db8:e1::1/64"],
                    },
                },
                {
                    "name": "backbone2",
                    "role": "router",
                    "interfaces": {
                        "b1": ["2001:db8:e9::2/64"],
                        "a2": ["2001:db8:e2::1/64"],
                        "a3": ["2001:db8:e3::1/64"],
                    },
                },
                *({"name": name, "role": "router", "interfaces": interfaces} for name, interfaces in routers.items()),
                {
                    "name": "mobile-node",
                    "role": "mobile_node",
                    "interfaces": {"wlan0": []},
                    "attached": {"wlan0": "home"},
                    "config": config(f"{HOME_ADDRESS}/64"),
                },
            ],
            "link": [
                {"between": ["home-agent.up", "backbone1.ha"], "delay_ms": 5},
                {"between": ["correspondent.eth0", "backbone1.cn"], "delay_ms": 5},
                {"between": ["backbone1.b2", "backbone2.b1"], "delay_ms": 10},
                {"between": ["backbone1.a1", "access1.up"], "delay_ms": 13},
                {"between": ["backbone2.a2", "access2.up"], "delay_ms": 3},
                {"between": ["backbone2.a3", "access3.up"], "delay_ms": 3, "rate_mbit": 50},
            ],
            "network": [
                {"name": "home", "members": ["home-agent.home"], "advertise": False, "delay_ms": 1},
                {"name": "net1", "members": ["access1.wlan"], "delay_ms": 2},
                {"name": "net2", "members": ["access2.wlan"], "delay_ms": 2, "loss_percent": 0},
                {"name": "net3", "members": ["access3.wlan"], "delay_ms": 2},
            ],
            "tour": [
                {
                    "interface": "mobile-node.wlan0",
                    "networks": ["net1", "net2", "net3", "home"],
                    "start_s": 4,
                    "every_s": 4.5,
                }
            ],
            "traffic": [
                {"kind": "udp", "between": ["correspondent", "mobile-node"]},
                {"kind": "tcp", "between": ["correspondent", "mobile-node"], "rate_mbit": 2},
            ],
            "expect": [
                {"name": "interruption, median", "metric": "interruption_median_ms", "at_most": 72},
                {"name": "interruption, longest", "metric": "interruption_max_ms", "at_most": 100},
                {"metric": "moves_done", "exactly": 4},
                {"name": "TCP resets", "metric": "tcp_resets", "exactly": 0},
                {"name": "TCP bytes lost", "metric": "tcp_bytes_lost", "exactly": 0},
                {"name": "TCP bytes duplicated", "metric": "tcp_bytes_duplicated", "exactly": 0},
            ],
        }
    )


@dataclass(frozen=True)
class MadeUpMove:
    """``out_s`` and ``in_s``: when the first packet from and to the node passes its new link, after it was usable."""

    at_s: float
    source: str
    destination: str
    gap_s: float
    out_s: float
    in_s: float


MOVES = (
    MadeUpMove(4.0, "home", "net1", 0.1, 0.004, 1.058),
    MadeUpMove(8.5, "net1", "net2", 0.1, 0.003, 0.047),
    MadeUpMove(13.0, "net2", "net3", 0.1, 0.002, 0.045),
    MadeUpMove(17.5, "net3", "home", 0.1, 0.005, 0.009),
)


def make_run(
    directory: Path, moves: tuple[MadeUpMove, ...] = MOVES, resets: int = 0, problems: tuple[str, ...] = ()
) -> RunRecord:
    directory.mkdir(parents=True, exist_ok=True)
    record = RunRecord(
        scenario=scenario(),
        directory=directory,
        started_at=STARTED_AT,
        ended_at=STARTED_AT + DURATION_S,
        wall_minus_monotonic_s=1.79e9,
        moves=tuple(
            MoveRecord(
                node="mobile-node",
                interface="wlan0",
                source=move.source,
                destination=move.destination,
                detached_at=STARTED_AT + move.at_s,
                attached_at=STARTED_AT + move.at_s + move.gap_s,
                leaves_home=move.source == "home",
                returns_home=move.destination == "home",
            )
            for move in moves
        ),
        notices=tuple(notice for move in moves for notice in _notices(move)),
        problems=problems,
    )
    ways = (("correspondent", "mobile-node"), ("mobile-node", "correspondent"))
    flows = [_probe(directory, moves, *way) for way in ways] + [_stream(directory, moves, resets, *way) for way in ways]
    return replace(record, flows=tuple(flows))


def _network(moves: tuple[MadeUpMove, ...], at_s: float, outward: bool) -> tuple[str | None, float]:
    """The network through which packets pass the mobile node's link at this time, and how they are delayed."""
    network: str | None = "home"
    for move in moves:
        usable = move.at_s + move.gap_s + (move.out_s if outward else move.in_s)
        if at_s >= usable:
            network = move.destination
        elif at_s >= move.at_s:
            network = None
    return network, DELAY_S[network] if network else 0.0


def _probe(directory: Path, moves: tuple[MadeUpMove, ...], source: str, destination: str) -> FlowRecord:
    chance = random.Random(source)
    outward = source == "mobile-node"
    sent, received = [], []
    for number in range(round(DURATION_S / INTERVAL_S)):
        sent_s = number * INTERVAL_S + chance.uniform(0, 0.0004)
        sent.append(f"{number},{ns(sent_s)},0")
        network, delay_s = _network(moves, sent_s if outward else sent_s + 0.02, outward)
        if network is None:
            continue
        received_s = sent_s + delay_s + chance.expovariate(2500)
        received.append((received_s, f"{number},{ns(sent_s)},{ns(received_s)}"))
    rows = [row for _, row in sorted(received)]
    return FlowRecord(
        kind="udp",
        source=source,
        destination=destination,
        source_address=HOME_ADDRESS if outward else CORRESPONDENT,
        destination_address=CORRESPONDENT if outward else HOME_ADDRESS,
        source_log=write_log(directory / f"udp-{source}-source.csv", "udp-probe-source", sent),
        sink_log=write_log(directory / f"udp-{source}-sink.csv", "udp-probe-sink", rows),
        interval_ms=INTERVAL_S * 1e3,
    )


def _stream(directory: Path, moves: tuple[MadeUpMove, ...], resets: int, source: str, destination: str) -> FlowRecord:
    outward = source == "mobile-node"
    tick = 2500
    sent = [f"{ns(0.01)},connected,0"]
    received = [f"{ns(0.03)},accepted,0"]
    total = good = 0
    for number in range(1, round((DURATION_S - 2) / INTERVAL_S)):
        at_s = number * INTERVAL_S
        total += tick
        sent.append(f"{ns(at_s)},sent,{total}")
        network, delay_s = _network(moves, at_s, outward)
        if network is not None and not any(0 <= at_s - move.at_s < move.gap_s + move.in_s + 0.2 for move in moves):
            good = total
            received.append(f"{ns(at_s + delay_s)},received,{good}")
    sent += [f"{ns(DURATION_S - 1)},reset,104"] * resets
    sent.append(f"{ns(DURATION_S - 1)},delivered,{total}")
    received += [f"{ns(DURATION_S - 1)},received,{total}", f"{ns(DURATION_S - 1)},finished,{total}"]
    return FlowRecord(
        kind="tcp",
        source=source,
        destination=destination,
        source_address=HOME_ADDRESS if outward else CORRESPONDENT,
        destination_address=CORRESPONDENT if outward else HOME_ADDRESS,
        source_log=write_log(directory / f"tcp-{source}-source.csv", "tcp-source", sent),
        sink_log=write_log(directory / f"tcp-{source}-sink.csv", "tcp-sink", received),
    )


def ns(seconds: float) -> int:
    return round((STARTED_AT + seconds) * 1e9)


def write_log(path: Path, kind: str, rows: list[str], duration_s: float = DURATION_S) -> Path:
    head = f'# {{"schema": "{SCHEMA}", "kind": "{kind}", "ready_at_ns": {ns(-0.5)}, "interval_s": {INTERVAL_S}}}'
    tail = f'# {{"ended_at_ns": {ns(duration_s + 1)}}}'
    path.write_text("\n".join([head, *rows, tail]) + "\n")
    return path


def _notices(move: MadeUpMove) -> list[NoticeRecord]:
    usable = STARTED_AT + move.at_s + move.gap_s
    done = "returned_home" if move.destination == "home" else "registered"
    took_s = move.in_s - 0.004

    def notice(node: str, after_s: float, name: str, **fields: object) -> NoticeRecord:
        return NoticeRecord(node, usable + after_s, name, "info", fields, HOME_ADDRESS)

    return [
        notice("mobile-node", 0.0005, "router_solicited", interface="wlan0"),
        notice("mobile-node", 0.0017, "router_found", interface="wlan0"),
        notice("mobile-node", 0.0021, "binding_update_sent", sequence=1, lifetime_s=420, network=move.destination),
        notice("home-agent", took_s / 2, "binding_registered", sequence=1, lifetime_s=420),
        notice("mobile-node", took_s, done, sequence=1, lifetime_s=420),
    ]
