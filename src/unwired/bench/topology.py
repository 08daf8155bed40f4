"""What the data plane's benchmark and tests run on: correspondent node - home agent - access router - mobile nodes, in
namespaces joined by veth, with forwarding rows that never change."""

import os
import time
from collections.abc import Sequence

from unwired.bench.namespaces import Namespace, link
from unwired.core.forwarding import Accept, Direction, Encapsulation, Forward, Listen, SetTunnel, Tunnel
from unwired.dataplane import devices, object_path
from unwired.dataplane.bpf_table import BpfTable
from unwired.wire.address import Address, parse_address

CORRESPONDENT, CORRESPONDENT_IPV4 = "2001:db8:c::2", "192.0.2.2"
HOME_AGENT, HOME_AGENT_IPV4 = "2001:db8:100::1", "198.51.100.1"
PORT = 4191
TUNNEL_MTU = 1460


def home_address(number: int) -> str:
    return f"2001:db8:100::100{number}"


def home_address_ipv4(number: int) -> str:
    return f"203.0.113.{10 + number}"


def care_of_address(number: int) -> str:
    return f"2001:db8:20{number}::2"


def care_of_address_ipv4(number: int) -> str:
    return f"10.20.{number}.2"


class Topology:
    """Everything in both families. ``tunnelled`` False is the same network without mobility: nodes are reached at their
    care-of addresses. ``encapsulations``: the way into each mobile node's tunnel."""

    def __init__(
        self,
        tunnelled: bool,
        mobile_nodes: int = 1,
        encapsulations: Sequence[Encapsulation] = (),
        tunnel_mtu: int = TUNNEL_MTU,
    ) -> None:
        self._name = f"bench-{os.getpid()}-{id(self):x}"
        self._tunnel_mtu = tunnel_mtu
        self.encapsulations = encapsulations or [Encapsulation.IPV6] * mobile_nodes
        self.correspondent, self.home_agent, self.router = Namespace(), Namespace(), Namespace()
        self.mobile_nodes = [Namespace() for _ in self.encapsulations]
        self.tables: list[BpfTable] = []
        self._join()
        numbers = range(len(self.mobile_nodes))
        if tunnelled:
            self.home_agent_table = self._tunnel_home_agent()
            self.mobile_node_tables = [self._tunnel_mobile_node(number) for number in numbers]
        self.destinations = [(home_address if tunnelled else care_of_address)(number) for number in numbers]
        self.destinations_ipv4 = [
            (home_address_ipv4 if tunnelled else care_of_address_ipv4)(number) for number in numbers
        ]

    def settle(self, deadline_s: float = 10.0) -> None:
        """Wait until every mobile node answers the correspondent node. Raises RuntimeError after the deadline."""
        end = time.monotonic() + deadline_s
        for destination in (*self.destinations, *self.destinations_ipv4):
            while "bytes from" not in self.correspondent.run(f"ping -c 1 -W 1 {destination}", check=False):
                if time.monotonic() > end:
                    raise RuntimeError(f"{destination} does not answer")

    def close(self) -> None:
        for table in self.tables:
            table.remove()
        for namespace in (self.correspondent, self.home_agent, self.router, *self.mobile_nodes):
            namespace.close()

    def table(self, namespace: Namespace, role: str, uplinks: tuple[str, ...]) -> BpfTable:
        """Devices, programs and an empty (or the adopted) table in a namespace."""
        with namespace:
            table = BpfTable(f"{self._name}-{role}", object_path())
            table.attach_tunnel_device(devices.create_tunnel_device("mip0", self._tunnel_mtu))
            table.set_punt_device(devices.create_punt_device("punt0"))
            for uplink in uplinks:
                table.attach_uplink(namespace.ifindex(uplink))
        return table

    def _join(self) -> None:
        link(self.correspondent, "up0", self.home_agent, "cn")
        link(self.home_agent, "up0", self.router, "ha")
        for number, node in enumerate(self.mobile_nodes):
            link(node, "up0", self.router, f"mn{number}")
        numbers = range(len(self.mobile_nodes))
        for forwarder in (self.home_agent, self.router):
            forwarder.sysctl(all__forwarding=1)
            forwarder.sysctl_ipv4(all__forwarding=1)
        self.correspondent.ip(f"addr add {CORRESPONDENT}/64 dev up0 nodad", "route add default via 2001:db8:c::1")
        self.correspondent.ipv4(f"addr add {CORRESPONDENT_IPV4}/24 dev up0", "route add default via 192.0.2.1")
        self.home_agent.ip(
            "addr add 2001:db8:c::1/64 dev cn nodad",
            "addr add 2001:db8:a::1/64 dev up0 nodad",
            f"addr add {HOME_AGENT}/128 dev lo",
            "route add default via 2001:db8:a::2",
        )
        self.home_agent.ipv4(
            "addr add 192.0.2.1/24 dev cn",
            "addr add 10.10.0.1/24 dev up0",
            f"addr add {HOME_AGENT_IPV4}/32 dev lo",
            "route add default via 10.10.0.2",
        )
        self.router.ip(
            "addr add 2001:db8:a::2/64 dev ha nodad",
            "route add default via 2001:db8:a::1",
            *(f"addr add 2001:db8:20{number}::1/64 dev mn{number} nodad" for number in numbers),
        )
        self.router.ipv4(
            "addr add 10.10.0.2/24 dev ha",
            "route add default via 10.10.0.1",
            *(f"addr add 10.20.{number}.1/24 dev mn{number}" for number in numbers),
        )
        for number, node in enumerate(self.mobile_nodes):
            node.ip(
                f"addr add {care_of_address(number)}/64 dev up0 nodad",
                f"route add default via 2001:db8:20{number}::1",
            )
            node.ipv4(f"addr add {care_of_address_ipv4(number)}/24 dev up0", f"route add default via 10.20.{number}.1")

    def tunnel(self, number: int, at_home_agent: bool) -> Tunnel:
        """The tunnel between the home agent and a mobile node, as either end has it."""
        encapsulation = self.encapsulations[number]
        in_ipv6 = encapsulation == Encapsulation.IPV6
        ends = [
            parse_address(HOME_AGENT if in_ipv6 else HOME_AGENT_IPV4),
            parse_address((care_of_address if in_ipv6 else care_of_address_ipv4)(number)),
        ]
        local, peer = ends if at_home_agent else reversed(ends)
        port = PORT if encapsulation == Encapsulation.UDP else 0
        return Tunnel(number + 1 if at_home_agent else 1, local, peer, encapsulation, local_port=port, peer_port=port)

    def _tunnel_home_agent(self) -> BpfTable:
        table = self.table(self.home_agent, "ha", ("cn", "up0"))
        self.tables.append(table)
        self.home_agent.ip("route add 2001:db8:100::/64 dev mip0")
        self.home_agent.ipv4("route add 203.0.113.0/24 dev mip0")
        for address in (HOME_AGENT, HOME_AGENT_IPV4):
            table.apply(Listen(0, parse_address(address)))
        for number in range(len(self.mobile_nodes)):
            tunnel = self.tunnel(number, True)
            table.apply(SetTunnel(tunnel))
            for home in _home_addresses(number):
                table.apply(Forward(0, Direction.TO_HOME_ADDRESS, home, tunnel.number))
                table.apply(Accept(0, Direction.FROM_HOME_ADDRESS, home, tunnel.peer, tunnel.number, tunnel.peer_port))
        return table

    def _tunnel_mobile_node(self, number: int) -> BpfTable:
        node = self.mobile_nodes[number]
        table = self.table(node, f"mn{number}", ("up0",))
        self.tables.append(table)
        node.ip(f"addr add {home_address(number)}/128 dev mip0 nodad")
        node.ipv4(f"addr add {home_address_ipv4(number)}/32 dev mip0")
        node.ip(f"rule add from {home_address(number)} lookup 77", "route add default dev mip0 table 77")
        node.ipv4(f"rule add from {home_address_ipv4(number)} lookup 77", "route add default dev mip0 table 77")
        tunnel = self.tunnel(number, False)
        table.apply(Listen(0, tunnel.local))
        table.apply(SetTunnel(tunnel))
        for home in _home_addresses(number):
            table.apply(Forward(0, Direction.FROM_HOME_ADDRESS, home, tunnel.number))
            table.apply(Accept(0, Direction.TO_HOME_ADDRESS, home, tunnel.peer, tunnel.number, tunnel.peer_port))
        return table


def _home_addresses(number: int) -> tuple[Address, Address]:
    return parse_address(home_address(number)), parse_address(home_address_ipv4(number))
