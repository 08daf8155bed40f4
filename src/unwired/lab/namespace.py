"""Network namespaces, entered with setns alone.

A namespace is a file to which its nsfs inode is bound, under the run's own directory. ``ip netns exec`` would also make
a new mount namespace and remount /sys, which hides the BPF file system; here only the network namespace changes, and
only for the calling thread.
"""

import ctypes
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from pyroute2 import IPRoute

_CLONE_NEWNET = 0x40000000
_MS_BIND = 0x1000
_MNT_DETACH = 2
_OWN = "/proc/thread-self/ns/net"
_libc = ctypes.CDLL(None, use_errno=True)


def _check(result: int, what: str) -> None:
    if result != 0:
        number = ctypes.get_errno()
        raise OSError(number, f"{what}: {os.strerror(number)}")


class Namespace:
    """One network namespace. ``netlink`` is a handle to it that works from outside."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
        self._netlink: IPRoute | None = None

    @classmethod
    def create(cls, path: Path) -> "Namespace":
        """Make a namespace and bind it to ``path`` (which must not exist)."""
        path.touch(exist_ok=False)
        home = os.open(_OWN, os.O_RDONLY | os.O_CLOEXEC)
        try:
            _check(_libc.unshare(_CLONE_NEWNET), "cannot make a network namespace")
            try:
                bound = _libc.mount(_OWN.encode(), str(path).encode(), b"none", _MS_BIND, None)
                _check(bound, f"cannot bind a network namespace to {path}")
            finally:
                _check(_libc.setns(home, _CLONE_NEWNET), "cannot return to the network namespace")
        finally:
            os.close(home)
        return cls(path)

    @property
    def descriptor(self) -> int:
        return self._descriptor

    @property
    def netlink(self) -> IPRoute:
        if self._netlink is None:
            with self.inside():
                self._netlink = IPRoute()
        return self._netlink

    @contextmanager
    def inside(self) -> Iterator[None]:
        """The calling thread, and the processes that it starts, are in the namespace."""
        home = os.open(_OWN, os.O_RDONLY | os.O_CLOEXEC)
        try:
            _check(_libc.setns(self._descriptor, _CLONE_NEWNET), f"cannot enter {self.path}")
            try:
                yield
            finally:
                _check(_libc.setns(home, _CLONE_NEWNET), "cannot return to the network namespace")
        finally:
            os.close(home)

    def set_sysctl(self, name: str, value: int | str) -> None:
        """``name`` with slashes, below /proc/sys. What this kernel does not have is left alone."""
        path = Path("/proc/sys") / name
        with self.inside():
            if path.exists():
                path.write_text(f"{value}\n")

    def close(self) -> None:
        """Let go of it; it stays until ``remove``."""
        if self._netlink is not None:
            self._netlink.close()
            self._netlink = None
        if self._descriptor >= 0:
            os.close(self._descriptor)
            self._descriptor = -1


def remove(path: Path) -> None:
    """Unbind a namespace from ``path``; it ends with the last process in it. Nothing there is no error."""
    _libc.umount2(str(path).encode(), _MNT_DETACH)
    path.unlink(missing_ok=True)


def enter(path: Path) -> None:
    """Move the calling process into the namespace at ``path``, for good."""
    descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        _check(_libc.setns(descriptor, _CLONE_NEWNET), f"cannot enter {path}")
    finally:
        os.close(descriptor)
