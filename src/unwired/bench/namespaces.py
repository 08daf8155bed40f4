"""Network namespaces without names: each lives as long as the object, so nothing is left behind however a run ends.

Entering is setns alone: unlike ``ip netns exec`` it leaves ``/sys`` and the pinned BPF objects in sight.
"""

import ctypes
import os
import subprocess
from pathlib import Path
from types import TracebackType

_CLONE_NEWNET = 0x40000000
_NETNS = "/proc/thread-self/ns/net"


class Namespace:
    """A network namespace; ``with`` moves the calling thread into it and back."""

    def __init__(self) -> None:
        self._libc = ctypes.CDLL(None, use_errno=True)
        self._outside: list[int] = []
        here = os.open(_NETNS, os.O_RDONLY | os.O_CLOEXEC)
        try:
            self._check(self._libc.unshare(_CLONE_NEWNET))
            self.descriptor = os.open(_NETNS, os.O_RDONLY | os.O_CLOEXEC)
            self._check(self._libc.setns(here, _CLONE_NEWNET))
        finally:
            os.close(here)
        self.ip("link set lo up")

    def __enter__(self) -> "Namespace":
        self._outside.append(os.open(_NETNS, os.O_RDONLY | os.O_CLOEXEC))
        self._check(self._libc.setns(self.descriptor, _CLONE_NEWNET))
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        outside = self._outside.pop()
        self._check(self._libc.setns(outside, _CLONE_NEWNET))
        os.close(outside)

    @property
    def path(self) -> str:
        """What ``nsenter --net=`` takes while this process lives."""
        return f"/proc/{os.getpid()}/fd/{self.descriptor}"

    def command(self, command: str) -> list[str]:
        return ["nsenter", f"--net={self.path}", *command.split()]

    def run(self, command: str, check: bool = True) -> str:
        """What a command prints. Raises RuntimeError with its complaint when it fails and ``check``."""
        done = subprocess.run(self.command(command), capture_output=True, text=True, check=False)
        if check and done.returncode:
            raise RuntimeError(f"{command}: {done.stderr.strip() or done.stdout.strip()}")
        return done.stdout

    def start(self, command: str) -> "subprocess.Popen[str]":
        return subprocess.Popen(self.command(command), stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)

    def ip(self, *commands: str) -> None:
        """Each argument is one ``ip -6`` command."""
        for command in commands:
            self.run(f"ip -6 {command}")

    def ipv4(self, *commands: str) -> None:
        """Each argument is one ``ip -4`` command."""
        for command in commands:
            self.run(f"ip -4 {command}")

    def sysctl(self, **values: int) -> None:
        """``net.ipv6.conf`` settings: ``all__forwarding=1``."""
        self._sysctl("ipv6", values)

    def sysctl_ipv4(self, **values: int) -> None:
        """``net.ipv4.conf`` settings."""
        self._sysctl("ipv4", values)

    def _sysctl(self, family: str, values: dict[str, int]) -> None:
        with self:
            for name, value in values.items():
                device, _, key = name.partition("__")
                (Path("/proc/sys/net") / family / "conf" / device / key).write_text(str(value))

    def ifindex(self, device: str) -> int:
        return int(self.run(f"ip -o link show dev {device}").split(":")[0])

    def close(self) -> None:
        os.close(self.descriptor)

    def _check(self, result: int) -> None:
        if result:
            number = ctypes.get_errno()
            raise OSError(number, f"network namespace: {os.strerror(number)}")


def link(left: Namespace, left_device: str, right: Namespace, right_device: str) -> None:
    """A veth pair between two namespaces, up, without duplicate address detection."""
    subprocess.run(
        [
            *left.command(f"ip link add {left_device} type veth peer name {right_device} netns"),
            f"/proc/{os.getpid()}/fd/{right.descriptor}",
        ],
        check=True,
    )
    for namespace, device in ((left, left_device), (right, right_device)):
        namespace.sysctl(**{f"{device}__accept_dad": 0, f"{device}__dad_transmits": 0, f"{device}__accept_ra": 0})
        namespace.ip(f"link set {device} up")
