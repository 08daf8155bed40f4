"""The benchmarks of the data plane run and say what their readers expect; their figures are for `make bench`."""

from itertools import product

import pytest
from packets import checksum

from unwired.bench import flood, forwarding

pytestmark = [pytest.mark.root, pytest.mark.speed]


def test_result() -> None:
    result = forwarding.run(repeats=1, seconds=0.2)
    kinds = ("6in6", "6in4", "6inudp", "4in6", "4in4", "4inudp")
    directions = ("to_mobile_node", "from_mobile_node")
    names = {"_".join(parts) for parts in product(("tcp", "udp"), kinds, directions)}
    assert result["schema"] == forwarding.SCHEMA
    for key in ("medians", "baselines", "ratios", "units", "goals"):
        values = result[key]
        assert isinstance(values, dict)
        assert set(values) == names
    assert isinstance(result["ratios"], dict)
    assert all(0.1 < ratio < 10 for ratio in result["ratios"].values())


def test_a_flood_leaves_nothing_behind() -> None:
    result = flood.run(repeats=1, sources=100_000)
    assert result["schema"] == flood.SCHEMA
    medians, became, ratios = result["medians"], result["became"], result["ratios"]
    assert isinstance(medians, dict) and isinstance(became, dict) and isinstance(ratios, dict)
    assert medians["rows_created"] == 0
    assert medians["tcp_under_flood"] > 0
    assert all(became[name] for name in ("reverse_check", "nat_unknown", "punted", "punt_limited", "malformed"))
    # The first of the forged home address's packets are given to the daemon, the others refused.
    assert 95_000 < sum(became.values()) <= 100_000


def test_forged_frames_are_distinct_and_right() -> None:
    """Each source once, each IP header with its checksum."""
    frames = flood.forged_frames(10_000, bytes(6))
    size = len(frames) // 10_000
    rows = [frames[at : at + size] for at in range(0, len(frames), size)]
    assert len({bytes(row[26:30]) for row in rows}) == 10_000
    assert {checksum(bytes(row[14:34])) for row in rows} == {0}
