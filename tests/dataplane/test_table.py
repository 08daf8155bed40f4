"""The table in memory and the table in the kernel behave alike; the kernel's survives its process."""

import ctypes
import socket
import subprocess
import time
from collections.abc import Iterator
from dataclasses import replace
from errno import EINVAL
from pathlib import Path

import pytest

from unwired.bench.namespaces import Namespace
from unwired.core.forwarding import (
    Accept,
    Direction,
    Encapsulation,
    Forward,
    ForwardingAction,
    Listen,
    ListenToMembers,
    RemoveMember,
    RemoveMobilePrefix,
    RemoveTunnel,
    SetMember,
    SetMobilePrefix,
    SetTunnel,
    Tunnel,
    Unaccept,
    Unforward,
    Unlisten,
    UnlistenToMembers,
)
from unwired.dataplane import DataplaneError, MemoryTable, Rows, devices, object_path
from unwired.dataplane.bpf_table import BpfTable
from unwired.dataplane.table import ForwardingTable, TunnelCounters
from unwired.wire.address import IPV4_BITS, format_address, parse_address

HOME, CARE_OF, AGENT = (parse_address(f"2001:db8::{n}") for n in (1, 2, 3))
TUNNEL = Tunnel(7, AGENT, CARE_OF, interface=3, mtu=1400)
FORWARD = Forward(0, Direction.TO_HOME_ADDRESS, HOME, 7)
ACCEPT = Accept(0, Direction.FROM_HOME_ADDRESS, HOME, CARE_OF, 7)
LISTEN = Listen(0, AGENT)
ALL = Rows((TUNNEL,), (FORWARD,), (ACCEPT,), (LISTEN,))

LOCATOR, OTHER_AGENT, OTHER_LOCATOR, OTHER_HOME = (parse_address(f"2001:db8::{n}") for n in (4, 5, 6, 7))
TO_MEMBER = Tunnel(0x8000_0002, LOCATOR, OTHER_LOCATOR, flow_label=0xFFFFF)
MEMBER = SetMember(0, 2, OTHER_AGENT, OTHER_LOCATOR, TO_MEMBER.number, True)
OTHER_FORWARD = Forward(0, Direction.TO_HOME_ADDRESS, OTHER_HOME, 7, 2)


@pytest.fixture(params=["memory", pytest.param("bpf", marks=pytest.mark.root)])
def any_table(request: pytest.FixtureRequest) -> Iterator[ForwardingTable]:
    yield MemoryTable() if request.param == "memory" else request.getfixturevalue("table")


def _fill(table: ForwardingTable) -> None:
    for action in (SetTunnel(TUNNEL), FORWARD, ACCEPT, LISTEN):
        table.apply(action)


def test_rows_are_what_was_applied(any_table: ForwardingTable) -> None:
    assert any_table.rows() == Rows()
    _fill(any_table)
    assert any_table.rows() == ALL
    _fill(any_table)
    assert any_table.rows() == ALL


def test_the_same_key_replaces(any_table: ForwardingTable) -> None:
    _fill(any_table)
    moved = Tunnel(7, AGENT, HOME)
    any_table.apply(SetTunnel(moved))
    any_table.apply(Forward(0, Direction.TO_HOME_ADDRESS, HOME, 8))
    assert any_table.rows().tunnels == (moved,)
    assert any_table.rows().forwards == (Forward(0, Direction.TO_HOME_ADDRESS, HOME, 8),)


def test_directions_and_planes_are_apart(any_table: ForwardingTable) -> None:
    forwards = {
        FORWARD,
        Forward(0, Direction.FROM_HOME_ADDRESS, HOME, 1),
        Forward(1, Direction.TO_HOME_ADDRESS, HOME, 2),
    }
    for forward in forwards:
        any_table.apply(forward)
    assert set(any_table.rows().forwards) == forwards


def test_removal(any_table: ForwardingTable) -> None:
    removals: list[ForwardingAction] = [
        Unforward(0, Direction.TO_HOME_ADDRESS, HOME),
        Unaccept(0, Direction.FROM_HOME_ADDRESS, HOME, CARE_OF),
        Unlisten(0, AGENT),
        RemoveTunnel(7),
    ]
    for removal in removals:
        any_table.apply(removal)  # what is not there
    _fill(any_table)
    for removal in removals:
        any_table.apply(removal)
    assert any_table.rows() == Rows()


def test_sweep_removes_what_is_not_asked_for_again(any_table: ForwardingTable) -> None:
    _fill(any_table)
    stale = Accept(0, Direction.FROM_HOME_ADDRESS, HOME, AGENT, 7)
    any_table.apply(stale)
    any_table.apply(SetTunnel(Tunnel(8, AGENT, HOME)))
    any_table.begin_adoption()
    _fill(any_table)
    assert any_table.sweep() == 2
    assert any_table.rows() == ALL
    assert any_table.sweep() == 0
    any_table.begin_adoption()
    assert any_table.sweep() == 4
    assert any_table.rows() == Rows()


AGENT_IPV4, CARE_OF_IPV4, PREFIX_IPV4 = (parse_address(text) for text in ("198.51.100.1", "192.0.2.7", "10.64.1.0"))
IN_UDP = Tunnel(9, AGENT_IPV4, CARE_OF_IPV4, Encapsulation.UDP, local_port=4191, peer_port=50_001)
BY_PORT = Accept(0, Direction.FROM_HOME_ADDRESS, HOME, CARE_OF_IPV4, 9, 50_001)
PREFIXES = {
    SetMobilePrefix(0, PREFIX_IPV4, IPV4_BITS + 24, HOME),
    SetMobilePrefix(0, PREFIX_IPV4, IPV4_BITS + 25, CARE_OF),
    SetMobilePrefix(1, PREFIX_IPV4, IPV4_BITS + 24, CARE_OF),
    SetMobilePrefix(0, parse_address("2001:db8:aa00::"), 40, HOME),
}


def test_ports(any_table: ForwardingTable) -> None:
    """The same source may be accepted from with several ports, and without UDP."""
    accepts = {BY_PORT, replace(BY_PORT, outer_port=0), replace(BY_PORT, outer_port=50_002, tunnel=8)}
    for action in (SetTunnel(IN_UDP), *accepts):
        any_table.apply(action)
    assert any_table.rows() == Rows((IN_UDP,), accepts=any_table.rows().accepts)
    assert set(any_table.rows().accepts) == accepts
    any_table.apply(Unaccept(0, Direction.FROM_HOME_ADDRESS, HOME, CARE_OF_IPV4, 50_001))
    assert set(any_table.rows().accepts) == accepts - {BY_PORT}


def test_mobile_prefixes(any_table: ForwardingTable) -> None:
    removal = RemoveMobilePrefix(0, PREFIX_IPV4, IPV4_BITS + 25)
    any_table.apply(removal)  # what is not there
    for prefix in PREFIXES:
        any_table.apply(prefix)
    assert set(any_table.rows().mobile_prefixes) == PREFIXES
    moved = SetMobilePrefix(1, PREFIX_IPV4, IPV4_BITS + 24, OTHER_HOME)
    any_table.apply(moved)
    any_table.apply(removal)
    assert {row.home_address for row in any_table.rows().mobile_prefixes} == {HOME, OTHER_HOME}
    any_table.begin_adoption()
    any_table.apply(moved)
    assert any_table.sweep() == 2
    assert any_table.rows() == Rows(mobile_prefixes=(moved,))


def test_rows_of_members(any_table: ForwardingTable) -> None:
    _fill_members(any_table)
    rows = any_table.rows()
    assert rows.members == (MEMBER,)
    assert set(rows.listens) == {LISTEN, ListenToMembers(0, LOCATOR)}
    assert set(rows.forwards) == {FORWARD, OTHER_FORWARD}
    assert set(rows.tunnels) == {TUNNEL, TO_MEMBER}
    moved = replace(MEMBER, address=HOME, locator=CARE_OF, up=False)
    any_table.apply(moved)
    assert any_table.rows().members == (moved,)
    for removal in (RemoveMember(0, 2), UnlistenToMembers(0, LOCATOR)):
        any_table.apply(removal)
        any_table.apply(removal)
    assert (any_table.rows().members, any_table.rows().listens) == ((), (LISTEN,))


def test_members_are_swept_and_adopted(any_table: ForwardingTable) -> None:
    _fill_members(any_table)
    other = SetMember(0, 3, HOME, CARE_OF, 7, False)
    any_table.apply(other)
    any_table.begin_adoption()
    _fill_members(any_table)
    assert any_table.sweep() == 1
    assert any_table.rows().members == (MEMBER,)
    any_table.apply(replace(MEMBER, up=False))
    assert any_table.rows().members == (replace(MEMBER, up=False),)


def test_adoption_keeps_what_changes_and_what_comes_back(any_table: ForwardingTable) -> None:
    _fill(any_table)
    any_table.begin_adoption()
    moved = Tunnel(7, AGENT, HOME)
    for action in (
        SetTunnel(moved),
        SetTunnel(TUNNEL),
        FORWARD,
        Unforward(0, Direction.TO_HOME_ADDRESS, HOME),
        FORWARD,
    ):
        any_table.apply(action)
    any_table.apply(Unlisten(0, AGENT))
    assert any_table.sweep() == 1
    assert any_table.rows() == Rows((TUNNEL,), (FORWARD,))


def test_counters_start_at_zero(any_table: ForwardingTable) -> None:
    assert not any(any_table.counters().values())
    assert any_table.tunnel_counters(7) == TunnelCounters()


def _fill_members(table: ForwardingTable) -> None:
    _fill(table)
    for action in (SetTunnel(TO_MEMBER), MEMBER, ListenToMembers(0, LOCATOR), OTHER_FORWARD):
        table.apply(action)


def test_memory_table_forwards_to_members_as_the_programs_do() -> None:
    table = MemoryTable()
    _fill_members(table)
    assert table.forward_for(0, CARE_OF, OTHER_HOME) == TO_MEMBER
    assert table.forward_for(0, CARE_OF, OTHER_HOME, from_member=True) == TUNNEL
    assert table.forward_for(0, CARE_OF, HOME, from_member=True) == TUNNEL
    assert table.forward_for(0, CARE_OF, OTHER_AGENT) == TO_MEMBER
    assert table.forward_for(0, CARE_OF, OTHER_AGENT, from_member=True) is None
    assert table.counters() == {"encapsulated": 4, "member_no_forward": 1}
    assert table.accepts_from_member(0, OTHER_LOCATOR)
    assert not table.accepts_from_member(0, OTHER_AGENT)
    assert (table.listens_to_members(0, LOCATOR), table.listens_to_members(0, AGENT)) == (True, False)
    assert (table.live_member(0, OTHER_AGENT), table.listens(0, OTHER_AGENT)) == (MEMBER, False)
    table.apply(replace(MEMBER, up=False))
    assert table.forward_for(0, CARE_OF, OTHER_HOME) == TUNNEL
    assert (table.live_member(0, OTHER_AGENT), table.listens(0, OTHER_AGENT)) == (None, True)
    assert table.accepts_from_member(0, OTHER_LOCATOR)


def test_memory_table_decides_as_the_programs_do() -> None:
    table = MemoryTable()
    _fill(table)
    assert table.forward_for(0, AGENT, HOME, 100) == TUNNEL
    assert table.forward_for(0, HOME, AGENT) is None
    assert table.accepts(0, HOME, AGENT, CARE_OF)
    assert not table.accepts(0, HOME, AGENT, AGENT)
    assert table.listens(0, AGENT) and not table.listens(0, HOME)
    assert table.tunnel_counters(7) == TunnelCounters(1, 100, 1)
    assert table.counters() == {"encapsulated": 1, "no_forward": 1, "decapsulated": 1, "reverse_check": 1}


@pytest.mark.root
def test_a_new_process_adopts(table: BpfTable, table_name: str, namespace: Namespace) -> None:
    namespace.ip("link add wire type veth peer name other", "link set wire up")
    ifindex = namespace.ifindex("wire")
    _fill(table)
    with namespace:
        table.attach_uplink(ifindex)
    assert not table.adopted
    table.close()
    with namespace:
        heir = BpfTable(table_name, object_path(), capacity=9999)
        assert heir.adopted
        assert heir.rows() == ALL
        assert heir.uplinks() == (ifindex,)
        heir.attach_uplink(ifindex)
        assert _attached(heir, ifindex) == 1
        heir.detach_uplink(ifindex)
        assert _attached(heir, ifindex) == 0
        heir.attach_uplink(ifindex)
        heir.remove()
        assert _attached(heir, ifindex) == 0
    assert not heir.directory.exists()


@pytest.mark.root
def test_a_link_whose_interface_has_gone_is_made_anew(table: BpfTable, namespace: Namespace) -> None:
    namespace.ip("link add wire index 77 type veth peer name other")
    with namespace:
        table.attach_uplink(77)
        namespace.ip("link del wire", "link add wire index 77 type veth peer name other")
        assert _attached(table, 77) == 0
        table.attach_uplink(77)
        assert _attached(table, 77) == 1
        namespace.ip("link del wire")
        table.detach_uplink(77)
    assert table.uplinks() == ()


@pytest.mark.root
def test_without_tcx(namespace: Namespace, table_name: str) -> None:
    namespace.ip("link add wire type veth peer name other", "link set wire up")
    ifindex = namespace.ifindex("wire")
    with namespace:
        old = BpfTable(table_name, object_path(), capacity=16, allow_tcx=False)
        old.attach_uplink(ifindex)
        old.close()
        new = BpfTable(table_name, object_path(), allow_tcx=False)
        assert new.uplinks() == (ifindex,)
        new.attach_uplink(ifindex)
        assert namespace.run("tc filter show dev wire ingress").count("handle") == 1
        new.remove()
        assert "handle" not in namespace.run("tc filter show dev wire ingress")


@pytest.mark.root
def test_a_table_of_another_version_is_refused_or_replaced(
    table: BpfTable, table_name: str, namespace: Namespace
) -> None:
    _fill(table)
    table._settings["layout"] = 99
    table._write_settings()
    with pytest.raises(DataplaneError, match="rows of layout 99"):
        BpfTable(table_name, object_path())
    replaced = BpfTable(table_name, object_path(), replace=True)
    assert not replaced.adopted
    assert replaced.rows() == Rows()
    replaced.remove()


@pytest.mark.root
def test_a_pinned_map_of_another_shape_is_refused(table: BpfTable, table_name: str) -> None:
    (table.directory / "listens").unlink()
    table._library.pin(table._descriptors["accepts"], table.directory / "listens")
    with pytest.raises(DataplaneError, match="listens: key and row of 48 and 8 bytes, here 24 and 4"):
        BpfTable(table_name, object_path())


@pytest.mark.root
def test_a_full_table_says_so(namespace: Namespace, table_name: str) -> None:
    small = BpfTable(table_name, object_path(), capacity=2)
    try:
        for number in range(2):
            small.apply(Listen(0, bytes(15) + bytes([number])))
        with pytest.raises(DataplaneError, match="listens: it is full"):
            small.apply(LISTEN)
    finally:
        small.remove()


@pytest.mark.root
@pytest.mark.parametrize("name", ["", "a.b", "a/b"])
def test_names_that_cannot_be_pinned(name: str) -> None:
    with pytest.raises(DataplaneError, match="cannot name a table"):
        BpfTable(name, object_path())


@pytest.mark.root
def test_an_object_that_is_none(tmp_path: Path, table_name: str) -> None:
    path = tmp_path / "no.o"
    path.write_bytes(b"no")
    with pytest.raises(DataplaneError, match=r"no\.o is not a BPF object"):
        BpfTable(table_name, path)


@pytest.mark.root
@pytest.mark.speed
def test_rows_are_written_fast(table: BpfTable) -> None:
    """A loose floor: 300,000 a second alone on a processor."""
    actions = [Forward(0, Direction.TO_HOME_ADDRESS, n.to_bytes(16), 1) for n in range(1000)]
    start = time.thread_time()
    for _ in range(20):
        for action in actions:
            table.apply(action)
    assert 20_000 / (time.thread_time() - start) > 60_000


@pytest.mark.root
def test_narrow_tunnels_are_adopted_with_their_routes(table: BpfTable, table_name: str, namespace: Namespace) -> None:
    """The next process knows which routes its predecessor has set, and clears them with the rows."""
    with namespace:
        device = devices.create_tunnel_device("mip0", 1460)
        table.attach_tunnel_device(device)
    _fill(table)
    assert "mtu lock 1400" in namespace.run("ip -6 route show 2001:db8::1")
    table.close()
    with namespace:
        heir = BpfTable(table_name, object_path())
        heir.attach_tunnel_device(device)
    heir.begin_adoption()
    heir.sweep()
    assert namespace.run("ip -6 route show 2001:db8::1") == ""
    heir.remove()


def _attached(table: BpfTable, ifindex: int) -> int:
    """The programs at an interface's ingress in the calling thread's namespace, as the kernel counts them."""
    count = ctypes.c_uint32(0)
    result = table._library.c.bpf_prog_query(ifindex, 46, 0, None, None, ctypes.byref(count))
    if result == -EINVAL:  # no tcx: before kernel 6.6
        show = ["tc", "filter", "show", "dev", socket.if_indextoname(ifindex), "ingress"]
        return subprocess.run(show, capture_output=True, text=True).stdout.count("handle")
    table._library.check(result, "query")
    return count.value


def test_a_narrow_tunnel_among_many(table: BpfTable, namespace: Namespace, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its forwards, several and moved ones too, are found without reading everybody's."""
    with namespace:
        device = devices.create_tunnel_device("mip0", 1460)
        table.attach_tunnel_device(device)
    monkeypatch.setattr(table, "_read_forwards", lambda: pytest.fail("all forwards were read"))
    local = parse_address("2001:db8::1")
    homes = [parse_address(f"2001:db8:100::{number}") for number in range(1, 5)]
    for number in (1, 2):
        table.apply(SetTunnel(Tunnel(number, local, parse_address(f"2001:db8:200::{number}"))))
    for home, number in zip(homes, (1, 1, 1, 2), strict=True):
        table.apply(Forward(0, Direction.TO_HOME_ADDRESS, home, number))
    table.apply(Forward(0, Direction.TO_HOME_ADDRESS, homes[2], 2))
    table.apply(SetTunnel(Tunnel(1, local, parse_address("2001:db8:200::1"), mtu=1300)))
    there = namespace.run("ip -6 route show proto 78")
    assert [f"{format_address(home)} " in there for home in homes] == [True, True, False, False]
    found = table.tunnel_of(0, Direction.TO_HOME_ADDRESS, homes[0])
    assert found is not None and (found.number, found.mtu) == (1, 1300)
    assert table.tunnel_of(0, Direction.FROM_HOME_ADDRESS, homes[0]) is None
    table.apply(SetTunnel(replace(TO_MEMBER, mtu=1400)))  # no home address is behind that
    table.apply(RemoveTunnel(1))
    assert namespace.run("ip -6 route show proto 78") == ""
