"""The benches that break a home agent: what they count, and that they run."""

import pytest

from unwired.bench import failure, restart
from unwired.bench.failure import Acknowledged
from unwired.wire.address import format_address, parse_address

HOME, OTHER = parse_address("2001:db8:100::1000"), parse_address("2001:db8:100::1001")
CARE_OF = parse_address("2001:db8:2::1")


def binding(sequence: int, care_of_address: bytes = CARE_OF) -> dict[str, object]:
    return {"sequence": sequence, "care_of_address": format_address(care_of_address)}


@pytest.mark.parametrize(
    ("there", "lost"),
    [
        (binding(7), 0),
        (binding(8, OTHER), 0),  # a later one, whose acknowledgement was under way
        (binding(6), 1),
        (binding(7, OTHER), 1),
        (None, 1),
    ],
)
def test_an_acknowledged_binding_is_lost_unless_a_survivor_has_it_or_a_later_one(
    there: dict[str, object] | None, lost: int
) -> None:
    held = {HOME: Acknowledged(CARE_OF, 7)}
    members = [{}, {} if there is None else {format_address(HOME): there}]
    assert failure.missing(held, members)[0] == lost


def test_silence_counts_up_to_both_ends() -> None:
    assert failure.silence_ms([0.5, 1.01, 1.02, 1.3, 9.0], 1.0, 1.31, 0.01) == 270.0
    assert failure.silence_ms([0.5], 1.0, 2.0, 0.01) == 990.0


@pytest.mark.root
def test_no_acknowledged_binding_is_lost_with_a_site() -> None:
    result = failure.run(bindings=50, kills=1)
    medians = result["medians"]
    assert isinstance(medians, dict)
    assert set(medians) == {"outage_ms", "registration_outage_ms", "acknowledged_bindings_lost"}
    assert medians["acknowledged_bindings_lost"] == 0


@pytest.mark.root
def test_no_packet_is_lost_with_a_daemon() -> None:
    result = restart.run(bindings=50, kills=1)
    medians = result["medians"]
    assert isinstance(medians, dict)
    assert {"status_s", "acknowledgement_s", "packets_lost", "journal_read", "rows_adopted"} <= set(medians)
    assert medians["packets_lost"] == 0
