"""A mobile node's host gives up what waits for routers of links that it left, of either family: TCP sends nothing again
of which a copy waits in the host."""

from types import SimpleNamespace
from typing import Any

from unwired.core.door import LinkDown, LinkUp, UseCareOfAddress
from unwired.host.kernel_objects import KernelObject
from unwired.host.mobile_node_host import MobileNodeHost
from unwired.wire.address import parse_address

IPV6_ROUTER = parse_address("fe80::1")
IPV4_ROUTER = parse_address("192.168.1.1")
OTHER_IPV4_ROUTER = parse_address("192.168.2.1")
WLAN, WWAN = 2, 3


class Kernel:
    """What is asked of the host's state, which is nothing to this test."""

    def make(self, wanted: KernelObject) -> None: ...

    def unmake(self, wanted: KernelObject) -> None: ...

    def wanted(self) -> list[KernelObject]:
        return []


class Link:
    def __init__(self) -> None:
        self.given_up: list[tuple[bytes, int]] = []
        self.heard = None

    def came_up(self, interface: int) -> None: ...

    def left(self, router: bytes, interface: int) -> None:
        self.given_up.append((router, interface))


def host() -> tuple[MobileNodeHost, list[tuple[bytes, int]]]:
    link = Link()
    daemon: Any = SimpleNamespace(routing_table=7700, rule_priority=7700)
    role: Any = SimpleNamespace(settings=SimpleNamespace(home_address=parse_address("2001:db8:100::1000")))
    anything: Any = None
    state: Any = Kernel()
    new_link: Any = link
    return MobileNodeHost(daemon, role, state, anything, new_link, anything, 9), link.given_up


def use(one: MobileNodeHost, care_of_address: str, router: bytes, interface: int = WLAN) -> None:
    one.carry_out(UseCareOfAddress(parse_address(care_of_address), interface, router))


def again(one: MobileNodeHost, interface: int = WLAN) -> None:
    """The interface goes from one link to another."""
    one.observe(LinkDown(interface))
    one.observe(LinkUp(interface, "wlan0", bytes(6)))


def test_another_router_of_the_same_family() -> None:
    one, given_up = host()
    use(one, "192.168.1.7", IPV4_ROUTER)
    use(one, "192.168.2.7", OTHER_IPV4_ROUTER)
    assert given_up == [(IPV4_ROUTER, WLAN)]


def test_router_of_the_other_family_on_the_link_before() -> None:
    one, given_up = host()
    use(one, "192.168.1.7", IPV4_ROUTER)
    again(one)
    use(one, "2001:db8:1::7", IPV6_ROUTER)
    assert given_up == [(IPV4_ROUTER, WLAN)]
    again(one)
    use(one, "192.168.2.7", OTHER_IPV4_ROUTER)
    assert given_up == [(IPV4_ROUTER, WLAN), (IPV6_ROUTER, WLAN)]


def test_routers_of_both_families_on_one_link() -> None:
    one, given_up = host()
    use(one, "192.168.1.7", IPV4_ROUTER)
    use(one, "2001:db8:1::7", IPV6_ROUTER)
    use(one, "192.168.1.7", IPV4_ROUTER)
    assert given_up == []


def test_router_of_another_interface_that_went_down() -> None:
    one, given_up = host()
    use(one, "192.168.1.7", IPV4_ROUTER)
    one.observe(LinkDown(WLAN))
    use(one, "2001:db8:1::7", IPV6_ROUTER, WWAN)
    assert given_up == [(IPV4_ROUTER, WLAN)]
