"""How long it takes to decode a typical binding update and to encode its acknowledgement, beside scapy's on the same
bytes: one core, whole packets from the IPv6 header on, checksums verified and filled in."""

import time
from collections.abc import Callable
from statistics import median

from unwired.wire.address import parse_address
from unwired.wire.ipv6 import Packet, decode_packet, encode_packet
from unwired.wire.rfc4283 import MobileNodeIdentifier
from unwired.wire.rfc4285 import MobilityMessageAuthentication
from unwired.wire.rfc6275 import AlternateCareOfAddress, BindingAcknowledgement, BindingUpdate

SCHEMA = "unwired.bench.codec/1"
GOAL_US = 6.0
_HOME_AGENT = parse_address("2001:db8:100::1")
_HOME = parse_address("2001:db8:100::1000")
_CARE_OF = parse_address("2001:db8:a::9")
_NODE = MobileNodeIdentifier(b"mobile@example.org")
_AUTHENTICATION = MobilityMessageAuthentication(256, bytes(range(12)))
UPDATE = Packet(
    _CARE_OF,
    _HOME_AGENT,
    BindingUpdate(
        9221,
        105,
        acknowledge=True,
        home_registration=True,
        options=(AlternateCareOfAddress(_CARE_OF), _NODE, _AUTHENTICATION),
    ),
    home_address=_HOME,
)
ACKNOWLEDGEMENT = Packet(
    _HOME_AGENT,
    _CARE_OF,
    BindingAcknowledgement(0, 9221, 105, options=(_NODE, _AUTHENTICATION)),
    routing_home_address=_HOME,
)
_SAMPLE_S = 0.1


def run(repeats: int = 15) -> dict[str, object]:
    """Microseconds, medians of interleaved repeats. Raises RuntimeError without scapy, or when it and we differ."""
    try:
        from scapy.layers.inet6 import MIP6MH_BA, IPv6
    except ImportError:
        raise RuntimeError("scapy is missing, the baseline: pip install scapy") from None
    update, acknowledgement = encode_packet(UPDATE), encode_packet(ACKNOWLEDGEMENT)
    if bytes(IPv6(update)) != update or decode_packet(acknowledgement).payload != ACKNOWLEDGEMENT.payload:
        raise RuntimeError("what is decoded is not what was encoded")
    built = IPv6(acknowledgement)
    # What was dissected is kept as raw bytes and with its checksum: without both, scapy makes them anew.
    built[MIP6MH_BA].cksum = None
    built.clear_cache()
    if bytes(built) != acknowledgement:
        raise RuntimeError("scapy encodes the acknowledgement to other bytes")
    times: dict[str, list[float]] = {name: [] for name in ("decode", "encode", "scapy_decode", "scapy_encode")}

    def encode_with_scapy() -> None:
        built.clear_cache()
        bytes(built)

    work: dict[str, Callable[[], object]] = {
        "decode": lambda: decode_packet(update),
        "encode": lambda: encode_packet(ACKNOWLEDGEMENT),
        "scapy_decode": lambda: IPv6(update),
        "scapy_encode": encode_with_scapy,
    }
    for _ in range(repeats):
        for name, once in work.items():
            times[name].append(_microseconds(once))
    medians = {name: round(median(times[name]), 2) for name in ("decode", "encode")}
    baselines = {name: round(median(times[name]), 2) for name in ("scapy_decode", "scapy_encode")}
    return {
        "schema": SCHEMA,
        "goal_us": GOAL_US,
        "medians": medians,
        "baselines": baselines,
        "ratios": {name: round(medians[name] / baselines[f"scapy_{name}"], 4) for name in medians},
        "units": dict.fromkeys((*medians, *baselines), "us"),
    }


def _microseconds(once: Callable[[], object]) -> float:
    """Of one call, measured for a tenth of a second."""
    count, start = 0, time.perf_counter()
    while True:
        for _ in range(50):
            once()
        count += 50
        elapsed = time.perf_counter() - start
        if elapsed >= _SAMPLE_S:
            return elapsed / count * 1e6
