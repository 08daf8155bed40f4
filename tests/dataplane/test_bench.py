"""The forwarding benchmark runs and says what its readers expect; its figures are for `make bench`."""

from itertools import product

import pytest

from unwired.bench import forwarding

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
