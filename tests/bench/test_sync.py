"""The bench of state synchronization measures what it says, at a size for tests."""

from unwired.bench import sync


def test_bindings_are_taken_over_and_updates_counted() -> None:
    result = sync.run(bindings=300, seconds=0.5)
    medians, baselines = result["medians"], result["baselines"]
    assert isinstance(medians, dict)
    assert isinstance(baselines, dict)
    assert all(value > 0 for value in (*medians.values(), *baselines.values()))
    assert medians["bytes_per_update"] > 70
    assert set(result["units"]) == {*medians, *baselines}  # type: ignore[call-overload]
