"""The bench of the codec measures what it says, beside scapy."""

from unwired.bench import codec


def test_our_times_stand_beside_scapys() -> None:
    result = codec.run(repeats=1)
    medians, baselines = result["medians"], result["baselines"]
    assert isinstance(medians, dict)
    assert isinstance(baselines, dict)
    assert set(medians) == {"decode", "encode"} and set(baselines) == {"scapy_decode", "scapy_encode"}
    assert all(value > 0 for value in (*medians.values(), *baselines.values()))
    assert set(result["units"]) == {*medians, *baselines}  # type: ignore[call-overload]
