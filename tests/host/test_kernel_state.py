"""What the daemon makes in the kernel: made, found again by the next daemon, put back, and given back exactly."""

import asyncio
import ctypes
import os
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from host_network import eventually, run

from unwired.bench.namespaces import Namespace
from unwired.host.kernel_objects import (
    MAIN_TABLE,
    PROTOCOL,
    AddressLabel,
    HostAddress,
    HostRoute,
    HostRule,
    KernelObject,
    ProxyNeighbour,
    Sysctl,
)
from unwired.host.kernel_state import KernelState
from unwired.host.ledger import Ledger
from unwired.host.netlink import Netlink, NetlinkChanges
from unwired.host.optimistic import NewLink
from unwired.host.reverse_path import ReversePath
from unwired.wire.address import UNSPECIFIED, UNSPECIFIED_IPV4, parse_address

pytestmark = pytest.mark.root

HOME = parse_address("2001:db8:100::1000")
HOME_IPV4 = parse_address("203.0.113.7")
ALL_IPV4 = (UNSPECIFIED_IPV4, 96)
ROUTER = parse_address("fe80::1")
_CLONE_NEWNET = 0x40000000


@pytest.fixture
def device() -> Iterator[int]:
    """A veth end that is up, in a network namespace of this thread alone; its interface number."""
    libc = ctypes.CDLL(None, use_errno=True)
    before = os.open("/proc/thread-self/ns/net", os.O_RDONLY)
    assert libc.unshare(_CLONE_NEWNET) == 0
    try:
        run("ip", "link", "add", "left", "type", "veth", "peer", "name", "right")
        for name in ("lo", "left", "right"):
            run("ip", "link", "set", name, "up")
        yield _index("left")
    finally:
        assert libc.setns(before, _CLONE_NEWNET) == 0
        os.close(before)


def _index(name: str) -> int:
    return int(run("ip", "-o", "link", "show", name).split(":")[0])


@pytest.fixture
def state(device: int, tmp_path: Path) -> Iterator[KernelState]:
    state = KernelState(Netlink(), Ledger(tmp_path / "ledger"))
    yield state
    state.give_back()
    state.close()


def everything(device: int) -> list[KernelObject]:
    return [
        Sysctl("net/ipv6/conf/left/proxy_ndp", "1"),
        HostAddress(device, HOME, 128),
        HostRoute(7700, UNSPECIFIED, 0, device),
        HostRoute(7701, UNSPECIFIED, 0, device, source=HOME),
        HostRoute(7701, parse_address("2001:db8:5::"), 48, 0),
        HostRoute(7710, UNSPECIFIED, 0, device, gateway=ROUTER),
        HostRoute(MAIN_TABLE, parse_address("2001:db8:100::2000"), 128, device),
        HostRule(5200, 7700, HOME, 128),
        HostRule(5220, MAIN_TABLE, suppress_length=0),
        HostRule(5230, 7701, own_only=True),
        ProxyNeighbour(device, parse_address("2001:db8:100::2000")),
        AddressLabel(HOME, 128, 1),
        HostAddress(device, HOME_IPV4, 128),
        HostRoute(7700, UNSPECIFIED_IPV4, 96, device),
        HostRoute(7701, UNSPECIFIED_IPV4, 96, device, source=HOME_IPV4),
        HostRoute(7701, parse_address("192.0.2.0"), 120, 0),
        HostRoute(7710, UNSPECIFIED_IPV4, 96, device, gateway=parse_address("10.0.0.1")),
        HostRoute(MAIN_TABLE, parse_address("203.0.113.8"), 128, device),
        HostRule(5200, 7700, HOME_IPV4, 128),
        HostRule(5200, 7700, parse_address("10.64.1.0"), 120),
        HostRule(5220, MAIN_TABLE, *ALL_IPV4, suppress_length=0),
        HostRule(5230, 7701, *ALL_IPV4),
        ProxyNeighbour(device, parse_address("203.0.113.8")),
    ]


def snapshot() -> str:
    return "\n".join(
        line
        for line in (
            run("ip", "-6", "address", "show", "dev", "left")
            + run("ip", "-6", "route", "show", "table", "all")
            + run("ip", "-6", "rule")
            + run("ip", "-6", "neigh", "show", "proxy")
            + run("ip", "-4", "address", "show", "dev", "left")
            + run("ip", "-4", "route", "show", "table", "all")
            + run("ip", "-4", "rule")
            + run("ip", "-4", "neigh", "show", "proxy")
            + run("ip", "addrlabel")
            + run("sysctl", "net.ipv6.conf.left.proxy_ndp")
        ).splitlines()
        if ("fe80" not in line or " 77" in line) and "valid_lft" not in line and "ff00" not in line
    )


def test_given_back_exactly(device: int, tmp_path: Path) -> None:
    before = snapshot()
    state = KernelState(Netlink(), Ledger(tmp_path / "ledger"))
    for wanted in everything(device):
        state.make(wanted)
        state.make(wanted)  # again is the same
    during = snapshot()
    for words in (
        "2001:db8:100::1000/128", "default dev left table 7700", "src 2001:db8:100::1000", "throw 2001:db8:5::/48",
        "via fe80::1", f"proto {PROTOCOL}", "5200:", "suppress_prefixlength 0", "2001:db8:100::2000 dev left",
        "proxy_ndp = 1", "prefix 2001:db8:100::1000/128 label 1", "203.0.113.7/32", "src 203.0.113.7",
        "throw 192.0.2.0/24", "via 10.0.0.1", "from 203.0.113.7 lookup 7700", "from 10.64.1.0/24 lookup 7700",
        "203.0.113.8 dev left",
    ):  # fmt: skip
        assert words in during, words
    state.give_back()
    state.close()
    assert snapshot() == before
    assert not (tmp_path / "ledger").exists()


def test_killed_and_adopted(device: int, tmp_path: Path) -> None:
    before = snapshot()
    killed = KernelState(Netlink(), Ledger(tmp_path / "ledger"))
    for wanted in everything(device):
        killed.make(wanted)
    with (tmp_path / "ledger").open("a") as file:
        file.write('{"made": {"kind": "rou')  # killed while writing a line
    successor = KernelState(Netlink(), Ledger(tmp_path / "ledger"))
    kept = everything(device)[:5]
    for wanted in kept:
        successor.make(wanted)
    assert set(successor.sweep()) == set(everything(device)[5:])
    assert "5200:" not in snapshot()
    assert "default dev left table 7700" in snapshot()
    successor.give_back()
    assert snapshot() == before


def test_what_the_host_had_before_stays(state: KernelState, device: int) -> None:
    run("ip", "-6", "address", "add", "2001:db8:100::1000/128", "dev", "left", "nodad")
    run("ip", "-6", "rule", "add", "from", "2001:db8:100::1000", "lookup", "7700", "priority", "5200", "protocol", "77")
    before = snapshot()
    state.make(HostAddress(device, HOME, 128))
    state.make(HostRule(5200, 7700, HOME, 128))
    state.give_back()
    assert snapshot() == before


def test_put_back_what_others_removed(state: KernelState, device: int) -> None:
    changes = NetlinkChanges()
    for wanted in everything(device):
        state.make(wanted)
    during = snapshot()
    run("ip", "-6", "rule", "del", "priority", "5200")
    run("ip", "-6", "route", "flush", "table", "7700")
    run("ip", "-6", "address", "del", "2001:db8:100::1000/128", "dev", "left")
    run("ip", "-4", "rule", "del", "priority", "5230")
    run("ip", "-4", "route", "flush", "table", "7710")
    run("ip", "-4", "address", "del", "203.0.113.7/32", "dev", "left")
    for message in changes.read() or []:
        state.observe(message)
    assert {
        HostRule(5200, 7700, HOME, 128),
        HostRoute(7700, UNSPECIFIED, 0, device),
        HostAddress(device, HOME, 128),
        HostRule(5230, 7701, *ALL_IPV4),
        HostRoute(7710, UNSPECIFIED_IPV4, 96, device, gateway=parse_address("10.0.0.1")),
        HostAddress(device, HOME_IPV4, 128),
    } <= (state.lost)
    state.put_back()
    # Routes with the address as source go with it: seen by looking.
    state.suspect_all()
    state.look()
    state.put_back()
    # An address is local again when the kernel has seen the carrier.
    eventually(lambda: sorted(snapshot().splitlines()) == sorted(during.splitlines()))


def test_what_we_removed_and_made_again_is_not_lost(state: KernelState, device: int) -> None:
    changes = NetlinkChanges()
    for wanted in (HostRule(5200, 7700, HOME, 128), HostRoute(7700, UNSPECIFIED, 0, device)):
        state.make(wanted)
        state.unmake(wanted)
        state.make(wanted)
    for message in changes.read() or []:
        state.observe(message)
    assert not state.lost


def test_an_interface_that_was_down_gets_its_routes_again(state: KernelState, device: int) -> None:
    for wanted in everything(device):
        state.make(wanted)
    during = snapshot()
    run("ip", "link", "set", "left", "down")
    run("ip", "link", "set", "left", "up")
    state.suspect_interface(device)
    state.look()
    assert ProxyNeighbour(device, parse_address("2001:db8:100::2000")) in state.lost
    while state.lost:
        state.put_back()
        state.suspect_all()
        state.look()
    # An address is local again when the kernel has seen the carrier.
    eventually(lambda: sorted(snapshot().splitlines()) == sorted(during.splitlines()))


def test_a_setting_that_somebody_changed_meanwhile_stays(state: KernelState, device: int) -> None:
    state.make(Sysctl("net/ipv6/conf/left/accept_ra", "2"))
    run("sysctl", "-qw", "net.ipv6.conf.left.accept_ra=0")
    state.give_back()
    assert run("sysctl", "-n", "net.ipv6.conf.left.accept_ra").strip() == "0"


def test_the_reverse_path_filter_is_off_where_it_must_be_and_nowhere_else(device: int, tmp_path: Path) -> None:
    names = ("all", "left", "right", "lo")

    def filters() -> list[str]:
        return [run("sysctl", "-n", f"net.ipv4.conf.{name}.rp_filter").strip() for name in names]

    run("sysctl", "-qw", "net.ipv4.conf.all.rp_filter=1", "net.ipv4.conf.left.rp_filter=0")
    run("sysctl", "-qw", "net.ipv4.conf.right.rp_filter=2", "net.ipv4.conf.lo.rp_filter=0")
    state = KernelState(Netlink(), Ledger(tmp_path / "ledger"))
    reverse_path = ReversePath(state)
    reverse_path.relax({"left", "gone"})
    assert filters() == ["0", "0", "2", "1"]
    reverse_path.relax({"left", "right"})
    assert filters() == ["0", "0", "0", "1"]
    reverse_path.relax({"right"})
    assert filters() == ["0", "1", "0", "1"]
    # A daemon that was killed is succeeded.
    state = KernelState(Netlink(), Ledger(tmp_path / "ledger"))
    ReversePath(state).relax({"right"})
    state.sweep()
    assert filters() == ["0", "1", "0", "1"]
    state.give_back()
    state.close()
    assert filters() == ["1", "0", "2", "0"]


def test_a_ledger_of_another_boot_is_void(device: int, tmp_path: Path) -> None:
    path = tmp_path / "ledger"
    path.write_text(
        '{"here": "another boot"}\n{"made": {"kind": "sysctl", "name": "kernel/x", "value": "1"}, "before": "0"}\n'
    )
    assert Ledger(path).entries == {}


def test_a_ledger_of_a_namespace_that_is_gone_is_void(tmp_path: Path) -> None:
    """Also when a namespace made later has got its inode number."""
    path = tmp_path / "ledger"
    with Namespace():
        Ledger(path).add(HostRule(5200, 7700, HOME, 128))
        assert len(Ledger(path).entries) == 1
    assert Ledger(path).entries == {}


@pytest.mark.parametrize(
    "line",
    [b"5", b'{"made": {"kind": "new"}, "before": null}', b'{"made": {"kind": "rule"}}', b"\xff", b'{"ma'],
    ids=str,
)
def test_a_line_of_a_ledger_that_nobody_understands(tmp_path: Path, line: bytes) -> None:
    path, rule = tmp_path / "ledger", HostRule(5200, 7700, HOME, 128)
    Ledger(path).add(rule)
    with path.open("ab") as file:
        file.write(line + b"\n")
    assert Ledger(path).entries == {rule: None}
    path.write_bytes(line + b"\n" + path.read_bytes())
    assert Ledger(path).entries == {}


def test_a_ledger_does_not_grow_with_what_is_gone(tmp_path: Path) -> None:
    ledger = Ledger(tmp_path / "ledger")
    stays = HostRule(5200, 7700, HOME, 128)
    ledger.add(stays)
    for number in range(3000):
        ledger.add(HostRule(number, 7701))
        ledger.remove(HostRule(number, 7701))
    assert len((tmp_path / "ledger").read_text().splitlines()) < 1100
    assert Ledger(tmp_path / "ledger").entries == {stays: None}


def test_a_new_link_does_not_wait_for_questions_asked_without_one(device: int) -> None:
    run("ip", "-6", "neigh", "add", "fe80::1", "dev", "left", "nud", "failed")
    run("ip", "-6", "neigh", "add", "fe80::2", "dev", "left", "lladdr", "02:00:00:00:00:02", "nud", "stale")
    run("ip", "-6", "neigh", "add", "fe80::1", "dev", "right", "nud", "failed")
    NewLink(Netlink(), lambda *_: None).came_up(device)
    left = run("ip", "-6", "neigh", "show", "nud", "all", "dev", "left")
    assert "fe80::2 " in left and "fe80::1 " not in left
    assert "fe80::1 " in run("ip", "-6", "neigh", "show", "nud", "all", "dev", "right")


def test_nothing_waits_for_a_router_that_was_left(device: int) -> None:
    """Not even what the data plane sends there by a route that it remembers, just after the router was left."""
    # Permanent: an entry that the kernel never collects by itself.
    router = "fe80::1", "lladdr", "02:00:00:00:00:01", "dev", "left", "nud", "permanent"
    use_router = ("ip", "-6", "neigh", "replace", *router)
    neighbours = ("ip", "-6", "neigh", "show", "nud", "all", "dev", "left")

    async def leave() -> None:
        run(*use_router)
        NewLink(Netlink(), lambda *_: None).left(ROUTER, device)
        assert "fe80::1 " not in run(*neighbours)
        run(*use_router)
        deadline = time.monotonic() + 10
        while "fe80::1 " in run(*neighbours):
            assert time.monotonic() < deadline
            await asyncio.sleep(0.01)

    asyncio.run(leave())
