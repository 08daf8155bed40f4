"""What forged packets to UDP port 4191 cost those who use the home agent, and what they leave behind.

A TCP stream runs through a tunnel in UDP while a million packets, each from another forged source, come in by the same
link: data from nobody and from a home address that has a binding, binding updates, NAT probes and garbage. Runs without
them are interleaved. Who sends the flood has the same processors, so a part of the cost is the sender's: a third kind
of run has the same frames to a station that is not there, which the home agent drops before it looks into them.
"""

import os
import select
import statistics
import struct
import subprocess
import sys
import threading
from itertools import cycle, islice
from operator import truediv

from unwired.bench.datagrams import send_frames
from unwired.bench.forwarding import tcp_gigabits
from unwired.bench.topology import CORRESPONDENT, HOME_AGENT, HOME_AGENT_IPV4, PORT, Topology, home_address
from unwired.core.forwarding import Encapsulation
from unwired.dataplane.devices import open_punt_device
from unwired.dataplane.punted import decode_punted
from unwired.wire.address import parse_address
from unwired.wire.errors import DecodeError

SCHEMA = "unwired.bench.flood/1"
GOAL = 0.9
SOURCES = 1_000_000
PER_SECOND = 100_000
_FRAME_BYTES = 14 + 20 + 8 + 40 + 64
_STRANGER = "2001:db8:bad::1"
_KINDS = ("alone", "forged", "elsewhere")


def run(repeats: int = 3, sources: int = SOURCES) -> dict[str, object]:
    """Medians of ``repeats`` runs, each as long as ``sources`` packets take at 100,000 a second. Rows created are all
    that there are in the data plane's maps afterwards and were not before."""
    seconds = sources / PER_SECOND
    samples: dict[str, list[float]] = {kind: [] for kind in _KINDS}
    topology = Topology(tunnelled=True, encapsulations=[Encapsulation.UDP])
    try:
        topology.settle()
        table = topology.home_agent_table
        rows, before = table.rows(), table.counters()
        floods = {
            "forged": forged_frames(sources, _station(topology)),
            "elsewhere": forged_frames(sources, bytes.fromhex("020000000001")),
        }
        with subprocess.Popen([*topology.home_agent.command(sys.executable), "-m", __name__]) as daemon:
            for _ in range(repeats):
                for kind in _KINDS:
                    samples[kind].append(_tcp_beside(topology, floods.get(kind), seconds))
            daemon.terminate()
        after, rows_after = table.counters(), table.rows()
    finally:
        topology.close()
    created = sum(len(set(getattr(rows_after, name)) - set(getattr(rows, name))) for name in rows.__dataclass_fields__)
    ratio = statistics.median(map(truediv, samples["forged"], samples["alone"]))
    beside = statistics.median(map(truediv, samples["forged"], samples["elsewhere"]))
    return {
        "schema": SCHEMA,
        "repeats": repeats,
        "forged_packets": repeats * sources,
        "forged_packets_per_second": PER_SECOND,
        "units": {"tcp_under_flood": "Gbit/s", "rows_created": ""},
        "medians": {
            "tcp_under_flood": round(statistics.median(samples["forged"]), 3),
            "rows_created": created,
        },
        "baselines": {
            "tcp_alone": round(statistics.median(samples["alone"]), 3),
            "tcp_beside_frames_for_another_station": round(statistics.median(samples["elsewhere"]), 3),
        },
        "ratios": {"tcp_under_flood": round(ratio, 3), "tcp_under_flood_without_the_sender": round(beside, 3)},
        "goals": {"tcp_under_flood": GOAL, "rows_created": 0},
        "became": {name: after[name] - before[name] for name in _OUTCOMES},
    }


_OUTCOMES = ("reverse_check", "nat_unknown", "punted", "punt_limited", "malformed", "fragment")


def forged_frames(count: int, station: bytes) -> bytearray:
    """Frames of equal size to a station (six bytes), one after the other: each from another address and port, all that
    may come to port 4191 in turn."""
    frames = bytearray()
    home = home_address(0)
    contents = (
        _ipv6(_STRANGER, CORRESPONDENT, 17),
        _ipv6(home, CORRESPONDENT, 17),
        _ipv6(home, HOME_AGENT, 135),
        struct.pack("!BBHI", 14, 0, 5, 7),
        b"garbage",
    )
    templates = [
        station + bytes(6) + b"\x08\x00" + _ipv4(content.ljust(_FRAME_BYTES - 42, b"\0")) for content in contents
    ]
    for number, template in enumerate(islice(cycle(templates), count)):
        # Distinct, spread, and never of a group or a loopback: 16.0.0.0 to 99.255.255.255.
        source = 0x10000000 + number * 0x9E3B % 0x54000000
        port = 1024 + number % 60000
        checksum = _HEADER_SUM + (source >> 16) + (source & 0xFFFF)
        checksum = (checksum & 0xFFFF) + (checksum >> 16)
        checksum = 0xFFFF - ((checksum & 0xFFFF) + (checksum >> 16))
        frames += b"".join(
            (
                template[:24],
                checksum.to_bytes(2),
                source.to_bytes(4),
                template[30:34],
                port.to_bytes(2),
                template[36:],
            )
        )
    return frames


def _ipv6(source: str, destination: str, next_header: int) -> bytes:
    payload = bytes((59, 1, 5, 0, 0, 0)).ljust(64, b"\0")
    addresses = parse_address(source) + parse_address(destination)
    return struct.pack("!IHBB", 6 << 28, len(payload), next_header, 64) + addresses + payload


_IPV4_FIELDS = 0x45, 0, _FRAME_BYTES - 14, 0, 0x4000, 64, 17, 0, 0
_IPV4 = struct.pack("!BBHHHBBHI", *_IPV4_FIELDS) + parse_address(HOME_AGENT_IPV4)[12:]
_HEADER_SUM = sum(struct.unpack("!10H", _IPV4))


def _ipv4(content: bytes) -> bytes:
    return _IPV4 + struct.pack("!HHHH", 0, PORT, 8 + len(content), 0) + content


def _station(topology: Topology) -> bytes:
    shown = topology.home_agent.run("ip -o link show dev up0")
    return bytes.fromhex(shown.split("link/ether ")[1].split()[0].replace(":", ""))


def _tcp_beside(topology: Topology, flood: bytearray | None, seconds: float) -> float:
    sender = None
    if flood is not None:
        sender = threading.Thread(target=send_frames, args=(topology.router, "ha", flood, _FRAME_BYTES, PER_SECOND))
        sender.start()
    try:
        node, home = topology.mobile_nodes[0], topology.destinations[0]
        return tcp_gigabits(topology.correspondent, CORRESPONDENT, node, home, seconds)
    finally:
        if sender is not None:
            sender.join()


def read_punted() -> None:
    """What the daemon does at least with each packet that it is given: read and decode it."""
    descriptor = open_punt_device("punt0")
    while True:
        select.select([descriptor], [], [])
        try:
            decode_punted(os.read(descriptor, 65536))
        except (BlockingIOError, DecodeError):
            continue


if __name__ == "__main__":
    read_punted()
