"""The forwarding benchmark runs and says what its readers expect; its figures are for `make bench`."""

import pytest

from unwired.bench import forwarding

pytestmark = [pytest.mark.root, pytest.mark.speed]


def test_result() -> None:
    result = forwarding.run(repeats=1, seconds=0.5)
    names = {"tcp_to_mobile_node", "tcp_from_mobile_node", "udp_to_mobile_node", "udp_from_mobile_node"}
    assert result["schema"] == forwarding.SCHEMA
    for key in ("medians", "baselines", "ratios", "units", "goals"):
        values = result[key]
        assert isinstance(values, dict)
        assert set(values) == names
    assert isinstance(result["ratios"], dict)
    assert all(0.1 < ratio < 10 for ratio in result["ratios"].values())
