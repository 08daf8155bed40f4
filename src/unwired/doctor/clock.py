"""Clocks: a home agent refuses binding updates whose timestamp is not its own time (RFC 4285 section 6.1)."""

import ctypes
import struct
from collections.abc import Iterator

from unwired.doctor.finding import Result, ok, unknown, warn
from unwired.doctor.host import Host

WINDOW_S = 7.0
"""RFC 4285 section 7: how far a timestamp may be off."""
_TIMEX = struct.Struct("=I4x4q i")
"""The beginning of struct timex: modes, offset, frequency, maximum and estimated error in microseconds, status."""
_TIMEX_SIZE = 512
_UNSYNCHRONIZED = 0x40
_SYNCHRONIZE = "timedatectl set-ntp true"


def synchronized(host: Host) -> Iterator[Result]:
    timex = ctypes.create_string_buffer(_TIMEX_SIZE)  # modes 0: nothing is changed
    if ctypes.CDLL(None).adjtimex(timex) < 0:
        yield unknown("the kernel does not say", f"{_SYNCHRONIZE}, and look: timedatectl")
        return
    *_, error_us, _, status = _TIMEX.unpack_from(timex)
    if status & _UNSYNCHRONIZED:
        yield warn("nothing has synchronized the clock", _SYNCHRONIZE)
    elif error_us > WINDOW_S * 1e6:
        yield warn(f"synchronized, but possibly {error_us / 1e6:.0f} s off", _SYNCHRONIZE)
    else:
        yield ok("synchronized")


def home_agent(host: Host) -> Iterator[Result]:
    """What a running mobile node has learnt from a home agent that told it the time (status 144)."""
    if host.status is None:
        yield unknown("its daemon does not run, or may not be asked by us", "unwired status")
        return
    offset_s = (host.status["engine"] or {}).get("clock_offset_s", 0.0)
    if offset_s:
        yield warn(
            f"the home agent refused our clock, and says that its own is {offset_s:+.0f} s from it",
            f"{_SYNCHRONIZE}, here and at the home agent",
        )
    else:
        yield ok("the home agent has not refused our clock")
