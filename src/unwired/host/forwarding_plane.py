"""The data plane as the daemon uses it: the table, the devices and the programs on uplinks."""

import os
import socket
from collections.abc import Callable, Collection
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from typing import Protocol, TypeVar

from unwired.dataplane import object_path
from unwired.dataplane.bpf_table import BpfTable
from unwired.dataplane.devices import (
    create_punt_device,
    create_tunnel_device,
    is_up,
    open_punt_device,
    reads,
    remove_device,
)
from unwired.dataplane.table import DataplaneError, ForwardingTable
from unwired.host.config import DaemonConfig

Result = TypeVar("Result")


class ForwardingPlane(Protocol):
    """``tunnel`` and ``punt`` are the two devices' interface numbers; each read of the descriptor ``punted`` gives one
    packet, and each write is a packet that comes in as by an uplink.
    ``adopted``: an earlier daemon has left its rows in the table, by which packets are forwarded."""

    table: ForwardingTable
    adopted: bool
    tunnel: int
    punt: int
    punted: int

    def attach(self, interface: int) -> None:
        """Watch an interface's ingress. Raises DataplaneError."""

    def detach(self, interface: int) -> None: ...

    def uplinks(self) -> set[int]:
        """The interfaces that are watched, by an earlier daemon's wish too."""

    def problems(self, uplinks: Collection[int]) -> list[str]:
        """What is not in place for packets to be forwarded and control packets to reach us, a sentence each;
        ``uplinks`` are those that should be watched."""

    def set_tunnel_mtu(self, mtu: int) -> None: ...

    def set_shortcut(self, wanted: bool) -> None:
        """Whether packets are forwarded past the kernel's forwarding and its netfilter hooks."""

    def set_clamp_mss(self, wanted: bool) -> None:
        """Whether TCP connections that start through a tunnel are told what it carries."""

    def close(self) -> None:
        """Let go: packets go on being forwarded."""

    def remove(self) -> None:
        """Take away everything that was made for it."""


class BpfPlane:
    """eBPF programs and maps, pinned under the daemon's name; ``capacity`` rows of each kind. Raises DataplaneError."""

    def __init__(self, daemon: DaemonConfig, capacity: int) -> None:
        # The data plane uses pyroute2's sockets, which don't work in a thread whose event loop is running.
        self._thread = ThreadPoolExecutor(1, "data-plane")
        self._daemon = daemon
        program = object_path()
        there = {name for _, name in socket.if_nameindex()}
        try:
            self._open(program, capacity)
        except DataplaneError:
            for name in {daemon.tunnel_device, daemon.punt_device} - there:
                self._call(partial(remove_device, name))
            raise

    def _open(self, program: Path, capacity: int) -> None:
        daemon = self._daemon
        # The punt device has one reader: when that is another daemon, nothing of its is touched.
        self.punt = self._call(lambda: create_punt_device(daemon.punt_device))
        self.punted = open_punt_device(daemon.punt_device)
        self.tunnel = self._call(lambda: create_tunnel_device(daemon.tunnel_device, daemon.tunnel_mtu))
        self._table = self._call(
            lambda: BpfTable(
                daemon.name, program, capacity=capacity, shortcut=daemon.shortcut, clamp_mss=daemon.clamp_mss
            )
        )
        self.table: ForwardingTable = self._table
        self.adopted = self._table.adopted
        self._call(lambda: self._table.set_punt_device(self.punt))
        self._call(lambda: self._table.attach_tunnel_device(self.tunnel))
        self.attach(self.punt)

    def attach(self, interface: int) -> None:
        self._call(lambda: self._table.attach_uplink(interface))

    def detach(self, interface: int) -> None:
        self._call(lambda: self._table.detach_uplink(interface))

    def uplinks(self) -> set[int]:
        return set(self._table.uplinks()) - {self.punt}

    def problems(self, uplinks: Collection[int]) -> list[str]:
        tunnel, punt = self._daemon.tunnel_device, self._daemon.punt_device
        found = []
        if not is_up(tunnel, self.tunnel):
            found.append(f"the tunnel device {tunnel} is down, or is not the one that we made")
        if not reads(self.punted, punt):
            found.append(f"the punt device {punt} is gone: no control packet reaches us")
        elif not is_up(punt, self.punt):
            found.append(f"the punt device {punt} is down: no control packet reaches us")
        return found + self._call(lambda: self._table.problems({*uplinks, self.punt}))

    def set_tunnel_mtu(self, mtu: int) -> None:
        self._call(lambda: create_tunnel_device(self._daemon.tunnel_device, mtu))
        self._call(lambda: self._table.attach_tunnel_device(self.tunnel))  # it reads the new MTU

    def set_shortcut(self, wanted: bool) -> None:
        self._table.set_shortcut(wanted)

    def set_clamp_mss(self, wanted: bool) -> None:
        self._table.set_clamp_mss(wanted)

    def close(self) -> None:
        os.close(self.punted)
        self._table.close()
        self._thread.shutdown()

    def remove(self) -> None:
        os.close(self.punted)
        self._call(self._table.remove)
        self._call(lambda: remove_device(self._daemon.tunnel_device))
        self._call(lambda: remove_device(self._daemon.punt_device))
        self._thread.shutdown()

    def _call(self, work: Callable[[], Result]) -> Result:
        return self._thread.submit(work).result()


PlaneFactory = Callable[[DaemonConfig, int], ForwardingPlane]
