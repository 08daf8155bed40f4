"""Whether the host can serve: everything that can be taken from under a running daemon is noticed."""

import contextlib
import os
import socket
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from host_network import run

from unwired.bench.namespaces import Namespace
from unwired.dataplane import object_path
from unwired.dataplane.bpf_table import BPFFS, BpfTable
from unwired.dataplane.devices import create_tunnel_device
from unwired.host import health
from unwired.host.config import DaemonConfig
from unwired.host.forwarding_plane import BpfPlane
from unwired.host.links import Links
from unwired.host.netlink import Netlink

pytestmark = pytest.mark.root

NAME = f"health{os.getpid()}"


class Host:
    def __init__(self) -> None:
        daemon = DaemonConfig(
            NAME, Path("/nowhere"), Path("/nowhere"), None, "mip0", "mip0-ctl", 1460, True, True, 7700, 5200, "info"
        )
        self.plane = BpfPlane(daemon, 64)
        self.links = Links(Netlink(), frozenset({"mip0", "mip0-ctl"}), lambda interface: None)
        self.links.read_all()
        self.uplink = next(number for number, each in self.links.interfaces.items() if each.name == "eth0")
        self.plane.attach(self.uplink)

    def check(self) -> tuple[bool, str]:
        self.links.read_all()
        return health.check(self.plane, self.links, {self.uplink})


@pytest.fixture
def host() -> Iterator[Host]:
    with Namespace():
        run("ip", "link", "add", "eth0", "type", "veth", "peer", "name", "eth1")
        run("ip", "link", "set", "eth0", "up")
        run("ip", "link", "set", "eth1", "up")
        made = Host()
        try:
            yield made
        finally:
            with contextlib.suppress(OSError):
                made.plane.remove()


def test_all_is_there(host: Host) -> None:
    assert host.check() == (True, "")


@pytest.mark.parametrize(
    ("harm", "word"),
    [
        (lambda host: run("ip", "link", "set", "mip0", "down"), "tunnel device mip0 is down"),
        (lambda host: run("ip", "link", "del", "mip0"), "tunnel device mip0 is down, or is not the one"),
        (lambda host: run("ip", "link", "set", "mip0-ctl", "down"), "punt device mip0-ctl is down"),
        (lambda host: run("ip", "link", "del", "mip0-ctl"), "punt device mip0-ctl is gone"),
        (lambda host: run("ip", "link", "set", "eth0", "down"), "no uplink is up"),
        (lambda host: host.plane.detach(host.uplink), "the program at the ingress of interface number"),
        (lambda host: (BPFFS / "unwired" / NAME / "tunnels").unlink(), "has lost tunnels"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_what_is_gone_is_noticed(host: Host, harm: Callable[[Host], object], word: str) -> None:
    assert host.check()[0]
    harm(host)
    able, reason = host.check()
    assert not able and word in reason


def test_an_uplink_that_went_is_no_harm_to_the_others(host: Host) -> None:
    run("ip", "link", "add", "eth2", "type", "veth", "peer", "name", "eth3")
    for name in ("eth2", "eth3"):
        run("ip", "link", "set", name, "up")
    host.links.read_all()
    other = next(number for number, each in host.links.interfaces.items() if each.name == "eth2")
    host.plane.attach(other)
    uplinks = {host.uplink, other}
    assert health.check(host.plane, host.links, uplinks) == (True, "")
    run("ip", "link", "del", "eth2")
    assert health.check(host.plane, host.links, uplinks) == (True, "")


def test_filters_of_older_kernels() -> None:
    """Without tcx a program is a filter, which anybody can remove."""
    with Namespace():
        run("ip", "link", "add", "eth0", "type", "veth", "peer", "name", "eth1")
        tunnel = create_tunnel_device("mip0", 1460)
        table = BpfTable(NAME, object_path(), capacity=16, allow_tcx=False)
        try:
            uplink = socket.if_nametoindex("eth0")
            table.attach_tunnel_device(tunnel)
            table.attach_uplink(uplink)
            assert table.problems([uplink]) == []
            run("tc", "filter", "del", "dev", "eth0", "ingress")
            assert len(table.problems([uplink])) == 1
            run("tc", "qdisc", "del", "dev", "mip0", "clsact")
            assert len(table.problems([uplink])) == 2
        finally:
            table.remove()
