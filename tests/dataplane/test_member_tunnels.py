"""Packets through two home agents of a set in namespaces.

    correspondent - A ----- core ----- B
                             |
                        mobile node

From the core the home prefix leads to A, the nearest; B is the primary of the mobile node's binding.
"""

import json
import os
import socket
from collections.abc import Iterator
from dataclasses import dataclass

import pytest
from packets import DESTINATION, MOBILITY, UDP, home_address_option, ipv6, mobility, udp
from traffic import ping, read, transfer, until

from unwired.bench.namespaces import Namespace, link
from unwired.core.forwarding import (
    Accept,
    Direction,
    Forward,
    Listen,
    ListenToMembers,
    SetMember,
    SetTunnel,
    Tunnel,
    Unaccept,
)
from unwired.dataplane import devices, object_path
from unwired.dataplane.bpf_table import BpfTable
from unwired.wire.address import parse_address

pytestmark = pytest.mark.root

A, B = 1, 2
AGENTS = {A: "2001:db8:100::1", B: "2001:db8:100::2"}
LOCATORS = {A: "2001:db8:a::1", B: "2001:db8:b::1"}
HOME, CARE_OF, CORRESPONDENT = "2001:db8:100::1000", "2001:db8:200::2", "2001:db8:c::2"
HOME_ROW = (0, Direction.TO_HOME_ADDRESS, parse_address(HOME))
ACCEPT = Accept(0, Direction.FROM_HOME_ADDRESS, parse_address(HOME), parse_address(CARE_OF), 1)
UNKNOWN = Unaccept(ACCEPT.plane, ACCEPT.direction, ACCEPT.address, ACCEPT.outer_source)


def to(member: int) -> int:
    return 0x8000_0000 | member


class HomeAgentSet:
    def __init__(self, name: str) -> None:
        self.core, self.correspondent, self.node = Namespace(), Namespace(), Namespace()
        self.agents = {A: Namespace(), B: Namespace()}
        self._name = name
        self._join()
        self.tables = {number: self._agent_table(number) for number in AGENTS}
        self.node_table = self._node_table()

    def close(self) -> None:
        for table in (*self.tables.values(), self.node_table):
            table.remove()
        for namespace in (self.core, self.correspondent, self.node, *self.agents.values()):
            namespace.close()

    def set_rows(self, number: int, primary: int = B, up: bool = True) -> None:
        """All rows of an agent, as its engine would ask for them."""
        table, other = self.tables[number], B if number == A else A
        addresses = {key: parse_address(value) for key, value in AGENTS.items()}
        locators = {key: parse_address(value) for key, value in LOCATORS.items()}
        for action in (
            Listen(0, addresses[number]),
            ListenToMembers(0, locators[number]),
            SetTunnel(Tunnel(to(other), locators[number], locators[other])),
            SetMember(0, other, addresses[other], locators[other], to(other), up),
            SetTunnel(Tunnel(1, addresses[primary], parse_address(CARE_OF))),
            Forward(*HOME_ROW, 1, 0 if primary == number else primary),
            ACCEPT,
        ):
            table.apply(action)

    def use(self, agent: int, mtu: int = 0) -> None:
        """The mobile node's tunnel leads to this agent's address."""
        address = parse_address(AGENTS[agent])
        self.node_table.apply(SetTunnel(Tunnel(1, parse_address(CARE_OF), address, mtu=mtu)))
        self.node_table.apply(Accept(0, Direction.TO_HOME_ADDRESS, parse_address(HOME), address, 1))

    def punted(self, agent: int | None) -> int:
        with self.node if agent is None else self.agents[agent]:
            return devices.open_punt_device("punt0")

    def _join(self) -> None:
        agent = self.agents
        link(self.correspondent, "up0", agent[A], "cn")
        link(agent[A], "up0", self.core, "ha1")
        link(agent[B], "up0", self.core, "ha2")
        link(self.node, "up0", self.core, "mn0")
        for forwarder in (self.core, *agent.values()):
            forwarder.sysctl(all__forwarding=1)
        self.correspondent.ip(f"addr add {CORRESPONDENT}/64 dev up0 nodad", "route add default via 2001:db8:c::1")
        agent[A].ip("addr add 2001:db8:c::1/64 dev cn nodad")
        for number, name in ((A, "a"), (B, "b")):
            agent[number].ip(
                f"addr add {LOCATORS[number]}/64 dev up0 nodad",
                f"addr add {AGENTS[number]}/128 dev lo",
                f"route add default via 2001:db8:{name}::2",
            )
            self.core.ip(f"addr add 2001:db8:{name}::2/64 dev ha{number} nodad")
        self.core.ip(
            "addr add 2001:db8:200::1/64 dev mn0 nodad",
            f"route add 2001:db8:c::/64 via {LOCATORS[A]}",
            f"route add 2001:db8:100::/64 via {LOCATORS[A]}",
        )
        self.node.ip(f"addr add {CARE_OF}/64 dev up0 nodad", "route add default via 2001:db8:200::1")

    def _table(self, namespace: Namespace, role: str, uplinks: tuple[str, ...]) -> BpfTable:
        with namespace:
            table = BpfTable(f"{self._name}-{role}", object_path(), capacity=64)
            table.attach_tunnel_device(devices.create_tunnel_device("mip0", 1460))
            table.set_punt_device(devices.create_punt_device("punt0"))
            for uplink in uplinks:
                table.attach_uplink(namespace.ifindex(uplink))
        return table

    def _agent_table(self, number: int) -> BpfTable:
        table = self._table(self.agents[number], str(number), ("cn", "up0") if number == A else ("up0",))
        self.agents[number].ip("route add 2001:db8:100::/64 dev mip0")
        return table

    def _node_table(self) -> BpfTable:
        table = self._table(self.node, "node", ("up0",))
        self.node.ip(
            f"addr add {HOME}/128 dev mip0 nodad",
            f"rule add from {HOME} lookup 77",
            "route add default dev mip0 table 77",
        )
        table.apply(Listen(0, parse_address(CARE_OF)))
        table.apply(Forward(0, Direction.FROM_HOME_ADDRESS, parse_address(HOME), 1))
        return table


@pytest.fixture(scope="module")
def built() -> Iterator[HomeAgentSet]:
    made = HomeAgentSet(f"test-set-{os.getpid()}")
    try:
        for number in AGENTS:
            made.set_rows(number)
        made.use(B)
        until(lambda: "1 received" in made.correspondent.run(f"ping -6 -c 1 -W 1 {HOME}", check=False))
        yield made
    finally:
        made.close()


@pytest.fixture(params=["shortcut", "kernel's forwarding"])
def home_agents(built: HomeAgentSet, request: pytest.FixtureRequest) -> HomeAgentSet:
    """B is primary and both agents are up; both ways through the agents."""
    for number, table in built.tables.items():
        table.set_shortcut(request.param == "shortcut")
        built.set_rows(number)
    built.use(B)
    return built


@dataclass(frozen=True)
class Carried:
    """What A and B have done meanwhile."""

    to_member: dict[int, int]
    from_member: dict[int, int]
    counters: dict[int, dict[str, int]]

    @classmethod
    def now(cls, home_agents: HomeAgentSet) -> "Carried":
        rows = {number: table.tunnel_counters(to(3 - number)) for number, table in home_agents.tables.items()}
        return cls(
            {number: row.packets_sent for number, row in rows.items()},
            {number: row.packets_received for number, row in rows.items()},
            {number: table.counters() for number, table in home_agents.tables.items()},
        )


def test_in_at_the_nearest_and_out_at_the_primary(home_agents: HomeAgentSet) -> None:
    before = Carried.now(home_agents)
    ping(home_agents.correspondent, HOME)
    after = Carried.now(home_agents)
    assert after.to_member[A] - before.to_member[A] == after.from_member[B] - before.from_member[B] == 3
    # What the mobile node sends to B is opened by A, whom anycast gives it to.
    assert after.to_member[B] == before.to_member[B]
    assert home_agents.tables[A].tunnel_counters(1).packets_received >= 3


@pytest.mark.parametrize("upwards", [True, False], ids=["from the mobile node", "to the mobile node"])
def test_tcp_with_segmentation_offload(home_agents: HomeAgentSet, upwards: bool) -> None:
    """To the mobile node: into the member's tunnel at A, out of it and into the mobile node's at B."""
    before = Carried.now(home_agents)
    if upwards:
        transfer(home_agents.node, HOME, home_agents.correspondent, CORRESPONDENT)
    else:
        transfer(home_agents.correspondent, CORRESPONDENT, home_agents.node, HOME)
    after = Carried.now(home_agents)
    for number in AGENTS:
        for name in ("too_big", "encapsulate_failed", "decapsulate_failed", "member_no_forward", "reverse_check"):
            assert after.counters[number][name] == before.counters[number][name], name
    if not upwards:
        programs = after.counters[B]["encapsulated"] - before.counters[B]["encapsulated"]
        assert after.from_member[B] - before.from_member[B] > 3 * programs, "segments were sent one by one"


def test_the_primary_dies(home_agents: HomeAgentSet) -> None:
    """One row at A, and the mobile node notices nothing: its tunnel still leads to B's address."""
    home_agents.core.ip("link set ha2 down")
    try:
        home_agents.set_rows(A, up=False)
        before = Carried.now(home_agents)
        ping(home_agents.correspondent, HOME)
        ping(home_agents.node, CORRESPONDENT, f"-I {HOME}")
        transfer(home_agents.correspondent, CORRESPONDENT, home_agents.node, HOME)
        assert Carried.now(home_agents).to_member == before.to_member
    finally:
        home_agents.core.ip("link set ha2 up", "addr replace 2001:db8:b::2/64 dev ha2 nodad")
    home_agents.set_rows(A)
    until(lambda: " 0% packet loss" in home_agents.core.run(f"ping -6 -c 1 -W 1 {LOCATORS[B]}", check=False))
    ping(home_agents.correspondent, HOME)


def test_each_thinks_the_other_the_primary(home_agents: HomeAgentSet) -> None:
    """The packet goes over once and is delivered."""
    home_agents.set_rows(B, primary=A)
    before = Carried.now(home_agents)
    home_agents.use(A)  # B delivers from A's address now
    ping(home_agents.correspondent, HOME)
    after = Carried.now(home_agents)
    assert after.to_member[A] - before.to_member[A] == 3
    assert after.to_member[B] == before.to_member[B]


def test_a_stranger_in_the_tunnel_between_members(home_agents: HomeAgentSet) -> None:
    before = Carried.now(home_agents)
    with home_agents.node, socket.socket(socket.AF_INET6, socket.SOCK_RAW, 41) as stranger:
        stranger.sendto(ipv6(CARE_OF, HOME, UDP, udp()), (LOCATORS[B], 0))
    until(lambda: Carried.now(home_agents).counters[B]["not_a_member"] == before.counters[B]["not_a_member"] + 1)
    assert Carried.now(home_agents).counters[B]["encapsulated"] == before.counters[B]["encapsulated"]


def test_a_mobile_nodes_tunnel_that_the_nearest_agent_does_not_know(home_agents: HomeAgentSet) -> None:
    """It is passed on whole: one tunnel in another, with segmentation offload, opened twice at B."""
    home_agents.tables[A].apply(UNKNOWN)
    home_agents.use(B, mtu=1420)
    before = Carried.now(home_agents)
    ping(home_agents.node, CORRESPONDENT, f"-I {HOME}")
    transfer(home_agents.node, HOME, home_agents.correspondent, CORRESPONDENT)
    after = Carried.now(home_agents)
    opened = after.counters[B]["decapsulated"] - before.counters[B]["decapsulated"]
    assert after.to_member[A] > before.to_member[A]
    assert after.from_member[B] - before.from_member[B] > opened, "segments were sent one by one"


@pytest.mark.parametrize("nested", [False, True], ids=["one tunnel after another", "one tunnel in another"])
def test_segments_are_cut_behind_an_agent(home_agents: HomeAgentSet, nested: bool) -> None:
    """By the kernel, for a device that can neither cut nor checksum."""
    agent = A if nested else B
    namespace = home_agents.agents[agent]
    namespace.run("ethtool -K up0 tx off tso off gso off")
    before = _sent(namespace)
    try:
        if nested:
            home_agents.tables[A].apply(UNKNOWN)
            home_agents.use(B, mtu=1420)
            transfer(home_agents.node, HOME, home_agents.correspondent, CORRESPONDENT)
        else:
            transfer(home_agents.correspondent, CORRESPONDENT, home_agents.node, HOME)
        after = _sent(namespace)
        assert after["bytes"] - before["bytes"] < 1514 * (after["packets"] - before["packets"])
    finally:
        namespace.run("ethtool -K up0 tx on gso on tso on")


def test_too_big_for_a_tunnel_in_a_tunnel_is_told(home_agents: HomeAgentSet) -> None:
    """The mobile node's daemon gets the nearest agent's Packet Too Big about its tunnel packet."""
    home_agents.tables[A].apply(UNKNOWN)
    descriptor = home_agents.punted(None)
    try:
        ping_large = f"ping -6 -c 1 -W 1 -M do -s 1400 -I {HOME} {CORRESPONDENT}"
        told = read(descriptor, lambda: home_agents.node.run(ping_large, check=False))
        assert told[6] == 58 and told[40] == 2
        assert int.from_bytes(told[44:48]) == 1460
        assert told[48 + 8 : 48 + 40] == parse_address(CARE_OF) + parse_address(AGENTS[B])
    finally:
        os.close(descriptor)


def test_control_for_the_primary_comes_with_the_way_it_came(home_agents: HomeAgentSet) -> None:
    descriptor = home_agents.punted(B)
    packet = ipv6(CARE_OF, AGENTS[B], DESTINATION, home_address_option(MOBILITY, HOME) + mobility())
    try:
        with home_agents.node, socket.socket(socket.AF_INET6, socket.SOCK_RAW, socket.IPPROTO_RAW) as sender:
            came = read(descriptor, lambda: sender.sendto(packet, (AGENTS[B], 0)))
        assert came[6] == 41 and came[7]
        assert came[8:40] == parse_address(LOCATORS[A]) + parse_address(LOCATORS[B])
        inner = came[40:]
        assert inner[:7] + inner[8:] == packet[:7] + packet[8:]
        assert inner[7] == packet[7] - 2  # the core and A
    finally:
        os.close(descriptor)


def _sent(namespace: Namespace) -> dict[str, int]:
    """What a namespace has sent by its uplink: ``bytes`` and ``packets``."""
    (link_state,) = json.loads(namespace.run("ip -j -s link show dev up0"))
    found: dict[str, int] = link_state["stats64"]["tx"]
    return found
