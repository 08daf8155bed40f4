"""A place to try things out without touching the host: namespaces that end with the thread that made them."""

import ctypes
import os
import select
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

from unwired.dataplane.bpf_table import BPFFS

Value = TypeVar("Value")
_WAIT_S, _AGAIN_S = 0.5, 0.05
_CLONE_NEWNS, _CLONE_NEWNET = 0x00020000, 0x40000000
_MS_REC, _MS_PRIVATE = 0x4000, 1 << 18


def in_scratch(work: Callable[[], Value]) -> Value:
    """What ``work`` returns or raises, done in a thread with a network namespace of its own and a BPF file system that
    nobody else sees. Needs root; raises OSError where the kernel refuses."""
    with ThreadPoolExecutor(1, "scratch") as thread:
        return thread.submit(_enter_and, work).result()


def _enter_and(work: Callable[[], Value]) -> Value:
    libc = ctypes.CDLL(None, use_errno=True)

    def check(result: int, what: str) -> None:
        if result:
            number = ctypes.get_errno()
            raise OSError(number, f"{what}: {os.strerror(number)}")

    check(libc.unshare(_CLONE_NEWNS | _CLONE_NEWNET), "namespaces to try things out in can't be made")
    # What is mounted from here on is seen by this thread alone. A /proc of our own, because containers often have one
    # whose settings can't be changed, which is found out by another check.
    check(libc.mount(b"none", b"/", None, _MS_REC | _MS_PRIVATE, None), "mounts can't be made private")
    check(libc.mount(b"proc", b"/proc", b"proc", 0, None), "no /proc can be mounted")
    check(libc.mount(b"bpf", os.fsencode(BPFFS), b"bpf", 0, None), f"no BPF file system can be mounted at {BPFFS}")
    for which in ("all", "default"):  # a new namespace takes these settings over from the first one
        Path(f"/proc/sys/net/ipv4/conf/{which}/rp_filter").write_text("0")
    return work()


@dataclass(frozen=True, slots=True)
class Trial:
    """``send`` sends a packet; if it passes, it can be read from ``end``, where ``is_it`` knows it among others."""

    send: Callable[[], object]
    end: int
    is_it: Callable[[bytes], bool]

    def passes(self) -> bool:
        """Sent more than once: an address or a route that is new is not used at once."""
        deadline = time.monotonic() + _WAIT_S
        while time.monotonic() < deadline:
            self.send()
            if self._arrives():
                return True
        return False

    def _arrives(self) -> bool:
        deadline = time.monotonic() + _AGAIN_S
        while (left := deadline - time.monotonic()) > 0 and select.select([self.end], [], [], left)[0]:
            if self.is_it(os.read(self.end, 65_536)):
                return True
        return False
