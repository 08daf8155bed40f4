"""Where an announced home prefix is routed: into the tunnel device, and no route for exactly it but the marked one."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from host_network import run

from unwired.bench.namespaces import Namespace
from unwired.core.settings import HomeAgentSettings, HomePrefix
from unwired.dataplane.devices import create_tunnel_device
from unwired.dataplane.path_mtu import PathMtu
from unwired.host.config import HomeAgentConfig
from unwired.host.home_agent_host import HomeAgentHost
from unwired.host.kernel_objects import MAIN_TABLE, HostRoute
from unwired.host.kernel_state import KernelState
from unwired.host.ledger import Ledger
from unwired.host.links import Links
from unwired.host.netlink import Netlink
from unwired.plane.bgp import BgpConfig
from unwired.plane.marked_route import ANNOUNCE_METRIC, MarkedRoutes
from unwired.wire.address import parse_address

pytestmark = pytest.mark.root

PREFIX = parse_address("2001:db8:100::")
AGENT = parse_address("2001:db8:100::1")
HALVES = ("2001:db8:100::", "2001:db8:180::")


class Host:
    def __init__(self, directory: Path, bgp: BgpConfig | None, length: int = 40) -> None:
        self.kernel = Netlink()
        self.tunnel = create_tunnel_device("mip0", 1460)
        self.state = KernelState(self.kernel, Ledger(directory / "ledger"))
        role = HomeAgentConfig(HomeAgentSettings(AGENT, (HomePrefix(PREFIX, length),)), None, (), bgp=bgp)
        self.host = HomeAgentHost(role, self.state, None, self.tunnel)  # type: ignore[arg-type]
        self.links = Links(self.kernel, frozenset({"mip0"}), lambda interface: None)
        self.links.read_all()

    def prepare(self) -> None:
        self.host.prepare(self.links)


def way(address: str) -> str:
    return run("ip", "-6", "route", "get", address)


@pytest.fixture
def namespace() -> Iterator[Namespace]:
    made = Namespace()
    with made:
        run("ip", "link", "add", "eth0", "type", "veth", "peer", "name", "eth1")
        for name in ("eth0", "eth1"):
            run("ip", "link", "set", name, "up")
        run("ip", "-6", "address", "add", "2001:db8:1::2/64", "dev", "eth0", "nodad")
        run("ip", "-6", "route", "add", "default", "via", "2001:db8:1::1")
        yield made
    made.close()


def test_halves_beside_the_marked_route(namespace: Namespace, tmp_path: Path) -> None:
    before = run("ip", "-6", "route", "show", "table", "all")
    host = Host(tmp_path, BgpConfig())
    host.prepare()
    routes = MarkedRoutes()
    for announced in (True, False):
        routes.set((PREFIX, 40), ANNOUNCE_METRIC if announced else None)
        assert run("ip", "-6", "route", "show", "2001:db8:100::/40").count("2001:db8:100::/40") == announced
        for address in ("2001:db8:100::1000", "2001:db8:17f::1", "2001:db8:180::1", "2001:db8:1ff:ffff::1"):
            assert "dev mip0" in way(address)
        assert way("2001:db8:100::1").startswith("local ")
        assert "via 2001:db8:1::1" in way("2001:db8:200::1")
    narrow = PathMtu()
    home_address = parse_address("2001:db8:100::1000")
    narrow.set_route(home_address, host.tunnel, 1300)
    assert "mtu lock 1300" in way("2001:db8:100::1000")
    narrow.clear_route(home_address, host.tunnel)
    assert "1300" not in way("2001:db8:100::1000")
    host.state.give_back()
    run("ip", "link", "del", "mip0")
    assert run("ip", "-6", "route", "show", "table", "all") == before


def test_in_the_main_table_as_ever_when_nobody_announces(namespace: Namespace, tmp_path: Path) -> None:
    host = Host(tmp_path, None)
    host.prepare()
    assert "2001:db8:100::/40 dev mip0" in run("ip", "-6", "route", "show", "table", "main")


def test_an_interface_without_ipv6_is_no_obstacle(namespace: Namespace, tmp_path: Path) -> None:
    """One that is too narrow for it, or the kernel's own for IPv4 tunnels, has none of IPv6's settings."""
    run("ip", "link", "set", "eth1", "mtu", "1000")
    host = Host(tmp_path, None)
    host.prepare()
    assert "dev mip0" in way("2001:db8:100::1000")
    assert run("sysctl", "-n", "net.ipv6.conf.eth0.accept_ra") == "2\n"


def test_swept_when_it_is_announced_no_more(namespace: Namespace, tmp_path: Path) -> None:
    Host(tmp_path, BgpConfig()).prepare()
    successor = Host(tmp_path, None)  # after a kill
    successor.prepare()
    halves = {HostRoute(MAIN_TABLE, parse_address(half), 41, successor.tunnel) for half in HALVES}
    assert halves <= set(successor.state.sweep())
    assert "/41" not in run("ip", "-6", "route") and "dev mip0" in way("2001:db8:180::1")


def test_the_smallest_prefix(namespace: Namespace, tmp_path: Path) -> None:
    Host(tmp_path, BgpConfig(), 127).prepare()
    assert way("2001:db8:100::1").startswith("local ") and "dev mip0" in way("2001:db8:100::")
