"""What makes the forwarding table true: eBPF maps and programs, or memory."""

from pathlib import Path

from unwired.dataplane.table import DataplaneError, ForwardingTable, MemoryTable, Rows

__all__ = ["DataplaneError", "ForwardingTable", "MemoryTable", "Rows", "object_path"]

_OBJECT = "unwired.bpf.o"


def object_path() -> Path:
    """The compiled BPF object: beside this package in an installed wheel, in ``build/`` of a checkout.

    Raises DataplaneError when it has not been built.
    """
    package = Path(__file__).parent
    candidates = (package / _OBJECT, package.parents[2] / "build" / _OBJECT)
    for path in candidates:
        if path.is_file():
            return path
    raise DataplaneError(
        f"{_OBJECT} has not been built: run `make setup` (looked in {', '.join(map(str, candidates))})"
    )
