"""What an engine is told of IPv4: addresses and default routes, as DHCP clients and people configure them."""

import ctypes
import os
from collections.abc import Iterator

import pytest
from host_network import run

from unwired.core.door import AddressAdded, AddressRemoved, Event, LinkDown, LinkUp, RouterAdded, RouterRemoved
from unwired.host.links import Links
from unwired.host.netlink import Netlink, NetlinkChanges
from unwired.wire.address import UNSPECIFIED_IPV4, is_ipv4, parse_address

pytestmark = pytest.mark.root

HERE = parse_address("192.0.2.7")
ROUTER, OTHER = parse_address("192.0.2.1"), parse_address("192.0.2.2")
_CLONE_NEWNET = 0x40000000


class Host:
    """Two interfaces of a namespace, of which `left` has an address."""

    def __init__(self) -> None:
        run("ip", "link", "add", "left", "type", "veth", "peer", "name", "right")
        for name in ("lo", "left", "right"):
            run("ip", "link", "set", name, "up")
        run("ip", "address", "add", "192.0.2.7/24", "dev", "left")
        run("ip", "address", "add", "198.51.100.7/24", "dev", "right")
        self.changes = NetlinkChanges()
        self.links = Links(Netlink(), frozenset(), lambda interface: None, with_routers=True)
        self.links.read_all()
        self.left, self.right = (int(run("ip", "-o", "link", "show", name).split(":")[0]) for name in ("left", "right"))

    def told(self) -> list[Event]:
        """What has happened since the last call, of IPv4 and links."""
        events = [event for message in self.changes.read() or [] for event in self.links.events(message)]
        wanted = AddressAdded | AddressRemoved
        return [event for event in events if not isinstance(event, wanted) or is_ipv4(event.address)]

    def route(self, *words: str) -> list[Event]:
        run("ip", "route", *words)
        return self.told()


@pytest.fixture
def host() -> Iterator[Host]:
    libc = ctypes.CDLL(None, use_errno=True)
    before = os.open("/proc/thread-self/ns/net", os.O_RDONLY)
    assert libc.unshare(_CLONE_NEWNET) == 0
    try:
        yield Host()
    finally:
        assert libc.setns(before, _CLONE_NEWNET) == 0
        os.close(before)


def test_an_engine_that_knows_nothing(host: Host) -> None:
    host.route("add", "default", "via", "192.0.2.1")
    everything = host.links.everything()
    at = [everything.index(event) for event in (AddressAdded(host.left, HERE, 120), RouterAdded(host.left, ROUTER))]
    (up,) = (event for event in everything if isinstance(event, LinkUp) and event.interface == host.left)
    assert up.mtu == 1500
    assert [everything.index(up), *at] == sorted([everything.index(up), *at])
    again = {AddressAdded(host.left, HERE, 120), AddressAdded(host.right, parse_address("198.51.100.7"), 120)}
    assert set(host.links.read_all()) == again


def test_addresses(host: Host) -> None:
    run("ip", "address", "add", "10.1.2.3/16", "dev", "left")
    added = AddressAdded(host.left, parse_address("10.1.2.3"), 112)
    assert host.told() == [added]
    run("ip", "address", "change", "10.1.2.3/16", "dev", "left", "valid_lft", "100", "preferred_lft", "100")
    assert host.told() == [added], "a lease was confirmed"
    run("ip", "address", "del", "10.1.2.3/16", "dev", "left")
    assert host.told() == [AddressRemoved(host.left, parse_address("10.1.2.3"))]


def test_the_best_default_route_of_an_interface_counts(host: Host) -> None:
    left, right = host.left, host.right
    assert host.route("add", "default", "via", "192.0.2.1", "metric", "200") == [RouterAdded(left, ROUTER)]
    assert host.route("add", "default", "via", "192.0.2.2", "metric", "300") == [RouterAdded(left, ROUTER)]
    assert host.route("add", "default", "via", "192.0.2.2", "metric", "100") == [RouterAdded(left, OTHER)]
    elsewhere = RouterAdded(right, parse_address("198.51.100.1"))
    assert host.route("add", "default", "via", "198.51.100.1", "metric", "50") == [elsewhere]
    assert host.route("del", "default", "via", "192.0.2.2", "metric", "100") == [RouterAdded(left, ROUTER)]
    assert host.route("del", "default", "via", "192.0.2.1", "metric", "200") == [RouterAdded(left, OTHER)]
    assert host.route("del", "default", "via", "192.0.2.2", "metric", "300") == [RouterRemoved(left, OTHER)]


def test_a_route_that_takes_the_place_of_another(host: Host) -> None:
    host.route("add", "default", "via", "192.0.2.1")
    moved = host.route("replace", "default", "via", "198.51.100.1")
    assert set(moved) == {RouterRemoved(host.left, ROUTER), RouterAdded(host.right, parse_address("198.51.100.1"))}


def test_other_kinds_of_default_routes(host: Host) -> None:
    assert host.route("add", "default", "dev", "left", "metric", "9") == [RouterAdded(host.left, UNSPECIFIED_IPV4)]
    assert host.route("del", "default", "metric", "9") == [RouterRemoved(host.left, UNSPECIFIED_IPV4)]
    ways = ("nexthop", "via", "192.0.2.1", "nexthop", "via", "198.51.100.1")
    added = host.route("add", "default", *ways)
    assert set(added) == {RouterAdded(host.left, ROUTER), RouterAdded(host.right, parse_address("198.51.100.1"))}
    host.route("del", "default")
    onlink = host.route("add", "default", "via", "203.0.113.1", "dev", "left", "onlink")
    assert onlink == [RouterAdded(host.left, parse_address("203.0.113.1"))]


def test_routes_that_are_none_of_the_hosts_own(host: Host) -> None:
    assert host.route("add", "default", "via", "192.0.2.1", "table", "7710") == []
    assert host.route("add", "default", "via", "192.0.2.1", "protocol", "77") == []
    assert host.route("add", "unreachable", "default", "metric", "7") == []
    assert host.route("add", "10.0.0.0/8", "via", "192.0.2.1") == []


def test_routes_that_go_without_a_word(host: Host) -> None:
    host.route("add", "default", "via", "192.0.2.1")
    run("ip", "link", "set", "left", "down")
    assert LinkDown(host.left) in (told := host.told()) and RouterRemoved(host.left, ROUTER) in told
    run("ip", "link", "set", "left", "up")
    host.route("add", "default", "via", "192.0.2.1")
    run("ip", "address", "flush", "dev", "left")
    assert {AddressRemoved(host.left, HERE), RouterRemoved(host.left, ROUTER)} == set(host.told())


def test_an_interface_that_is_removed(host: Host) -> None:
    host.route("add", "default", "via", "192.0.2.1")
    run("ip", "link", "del", "left")
    told = host.told()
    assert {AddressRemoved(host.left, HERE), RouterRemoved(host.left, ROUTER)} <= set(told)


def test_a_link_that_loses_its_carrier_and_gets_it_again(host: Host) -> None:
    """What it had is told again when somebody confirms it: it may be another network."""
    host.route("add", "default", "via", "192.0.2.1")
    run("ip", "link", "set", "right", "down")
    assert LinkDown(host.left) in host.told()
    run("ip", "link", "set", "right", "up")
    told = host.told()
    assert [type(event) for event in told if getattr(event, "interface", 0) == host.left] == [LinkUp]
