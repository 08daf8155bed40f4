"""What the data plane's benchmark and tests run on: correspondent node - home agent - access router - mobile nodes, in
namespaces joined by veth, with forwarding rows that never change."""

import os
import time

from unwired.bench.namespaces import Namespace, link
from unwired.core.forwarding import Accept, Direction, Forward, Listen, SetTunnel, Tunnel
from unwired.dataplane import devices, object_path
from unwired.dataplane.bpf_table import BpfTable
from unwired.wire.address import Address, parse_address

CORRESPONDENT = "2001:db8:c::2"
HOME_AGENT = "2001:db8:100::1"
TUNNEL_MTU = 1460


def home_address(number: int) -> str:
    return f"2001:db8:100::100{number}"


def care_of_address(number: int) -> str:
    return f"2001:db8:20{number}::2"


class Topology:
    """``tunnelled`` False is the same network without mobility: nodes are reached at their care-of addresses."""

    def __init__(self, tunnelled: bool, mobile_nodes: int = 1) -> None:
        self._name = f"bench-{os.getpid()}-{id(self):x}"
        self.correspondent, self.home_agent, self.router = Namespace(), Namespace(), Namespace()
        self.mobile_nodes = [Namespace() for _ in range(mobile_nodes)]
        self.tables: list[BpfTable] = []
        self._join()
        if tunnelled:
            self.home_agent_table = self._tunnel_home_agent()
            self.mobile_node_tables = [self._tunnel_mobile_node(number) for number in range(mobile_nodes)]
        self.destinations = [(home_address if tunnelled else care_of_address)(number) for number in range(mobile_nodes)]

    def settle(self, deadline_s: float = 10.0) -> None:
        """Wait until every mobile node answers the correspondent node. Raises RuntimeError after the deadline."""
        end = time.monotonic() + deadline_s
        for destination in self.destinations:
            while "bytes from" not in self.correspondent.run(f"ping -6 -c 1 -W 1 {destination}", check=False):
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
            table.attach_tunnel_device(devices.create_tunnel_device("mip0", TUNNEL_MTU))
            table.set_punt_device(devices.create_punt_device("punt0"))
            for uplink in uplinks:
                table.attach_uplink(namespace.ifindex(uplink))
        return table

    def _join(self) -> None:
        link(self.correspondent, "up0", self.home_agent, "cn")
        link(self.home_agent, "up0", self.router, "ha")
        for number, node in enumerate(self.mobile_nodes):
            link(node, "up0", self.router, f"mn{number}")
        for forwarder in (self.home_agent, self.router):
            forwarder.sysctl(all__forwarding=1)
        self.correspondent.ip(
            f"addr add {CORRESPONDENT}/64 dev up0 nodad",
            "route add default via 2001:db8:c::1",
        )
        self.home_agent.ip(
            "addr add 2001:db8:c::1/64 dev cn nodad",
            "addr add 2001:db8:a::1/64 dev up0 nodad",
            f"addr add {HOME_AGENT}/128 dev lo",
            "route add default via 2001:db8:a::2",
        )
        self.router.ip(
            "addr add 2001:db8:a::2/64 dev ha nodad",
            "route add default via 2001:db8:a::1",
            *(f"addr add 2001:db8:20{number}::1/64 dev mn{number} nodad" for number in range(len(self.mobile_nodes))),
        )
        for number, node in enumerate(self.mobile_nodes):
            node.ip(
                f"addr add {care_of_address(number)}/64 dev up0 nodad",
                f"route add default via 2001:db8:20{number}::1",
            )

    def _tunnel_home_agent(self) -> BpfTable:
        table = self.table(self.home_agent, "ha", ("cn", "up0"))
        self.tables.append(table)
        self.home_agent.ip("route add 2001:db8:100::/64 dev mip0")
        table.apply(Listen(0, parse_address(HOME_AGENT)))
        for number in range(len(self.mobile_nodes)):
            home, care_of = _addresses(number)
            table.apply(SetTunnel(Tunnel(number + 1, parse_address(HOME_AGENT), care_of)))
            table.apply(Forward(0, Direction.TO_HOME_ADDRESS, home, number + 1))
            table.apply(Accept(0, Direction.FROM_HOME_ADDRESS, home, care_of, number + 1))
        return table

    def _tunnel_mobile_node(self, number: int) -> BpfTable:
        node = self.mobile_nodes[number]
        table = self.table(node, f"mn{number}", ("up0",))
        self.tables.append(table)
        home, care_of = _addresses(number)
        node.ip(
            f"addr add {home_address(number)}/128 dev mip0 nodad",
            f"rule add from {home_address(number)} lookup 77",
            "route add default dev mip0 table 77",
        )
        table.apply(Listen(0, care_of))
        table.apply(SetTunnel(Tunnel(1, care_of, parse_address(HOME_AGENT))))
        table.apply(Forward(0, Direction.FROM_HOME_ADDRESS, home, 1))
        table.apply(Accept(0, Direction.TO_HOME_ADDRESS, home, parse_address(HOME_AGENT), 1))
        return table


def _addresses(number: int) -> tuple[Address, Address]:
    return parse_address(home_address(number)), parse_address(care_of_address(number))
