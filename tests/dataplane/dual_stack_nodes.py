"""A home agent's mobile nodes in tunnels of all kinds, what goes to and from them, and a run of the program."""

from collections.abc import Iterator
from dataclasses import dataclass

import pytest
from packets import ETHERNET, ETHERNET_IPV4, IPV4, IPV6, UDP, checksum, ipv4, ipv6, mobility, udp

from unwired.bench.namespaces import Namespace
from unwired.core.forwarding import Accept, Direction, Encapsulation, Forward, Listen, SetTunnel, Tunnel
from unwired.dataplane.bpf_table import BpfTable
from unwired.wire.address import parse_address

NEXT, PASS, DROP, REDIRECT = 0xFFFFFFFF, 0, 2, 7

HOME_AGENT, HOME_AGENT_IPV4 = "2001:db8:100::1", "198.51.100.1"
CORRESPONDENT, CORRESPONDENT_IPV4 = "2001:db8:c::2", "192.0.2.9"
STRANGER, STRANGER_IPV4 = "2001:db8:bad::1", "100.64.66.6"
MY_HOME, MY_HOME_IPV4, MY_CARE_OF, MY_CARE_OF_IPV4 = (
    "2001:db8:300::1000",
    "203.0.113.200",
    "2001:db8:400::2",
    "10.40.0.2",
)
MY_HOME_AGENT, MY_HOME_AGENT_IPV4 = "2001:db8:300::1", "198.51.100.99"
"""The mobile node's side of the same host."""
PORT, NAT_PORT = 4191, 50_001
FLOW_LABEL = 0x5A5A5
MESSAGE = mobility()
ECHO_REPLY = b"\x81\0\0\0\x10\x5f\0\7"
"""With identifier 4191."""


@dataclass(frozen=True)
class Node:
    """A mobile node of the home agent: by which kind of tunnel it is reached."""

    number: int
    kind: Encapsulation
    care_of: str
    port: int = 0

    @property
    def home(self) -> str:
        return f"2001:db8:100::100{self.number}"

    @property
    def home_ipv4(self) -> str:
        return f"203.0.113.{self.number}"

    def tunnel(self) -> Tunnel:
        local = HOME_AGENT if self.kind == Encapsulation.IPV6 else HOME_AGENT_IPV4
        port = PORT if self.kind == Encapsulation.UDP else 0
        addresses = parse_address(local), parse_address(self.care_of)
        return Tunnel(self.number, *addresses, self.kind, flow_label=FLOW_LABEL, local_port=port, peer_port=self.port)

    def outwards(self, inner: bytes, traffic_class: int = 0) -> bytes:
        """What the home agent makes of it."""
        return self._outer(inner, traffic_class, True)

    def inwards(self, inner: bytes, traffic_class: int = 0) -> bytes:
        """What the mobile node makes of it."""
        return self._outer(inner, traffic_class, False)

    def _outer(self, inner: bytes, traffic_class: int, outwards: bool) -> bytes:
        agent = HOME_AGENT if self.kind == Encapsulation.IPV6 else HOME_AGENT_IPV4
        ends = (agent, self.care_of) if outwards else (self.care_of, agent)
        protocol = IPV4 if inner[:1] < b"\x60" else IPV6
        if self.kind == Encapsulation.IPV6:
            return ipv6(*ends, protocol, inner, traffic_class=traffic_class, flow_label=FLOW_LABEL)
        if self.kind == Encapsulation.UDP:
            ports = (PORT, self.port) if outwards else (self.port, PORT)
            return ipv4(*ends, UDP, udp(inner, *ports), type_of_service=traffic_class)
        return ipv4(*ends, protocol, inner, type_of_service=traffic_class)


NODES = (
    Node(1, Encapsulation.IPV6, "2001:db8:200::2"),
    Node(2, Encapsulation.IPV4, "10.20.0.2"),
    Node(3, Encapsulation.UDP, "100.64.0.3", NAT_PORT),
)
IN_IPV6, IN_IPV4, IN_UDP = NODES
EACH_NODE = pytest.mark.parametrize("node", NODES, ids=lambda node: node.kind.name)
EACH_INNER = pytest.mark.parametrize("inner", [6, 4])


@pytest.fixture
def filled(table: BpfTable, namespace: Namespace) -> Iterator[BpfTable]:
    namespace.ip(
        "link add wire type veth peer name other",
        "link set wire up",
        "link set other up",
        "addr add 2001:db8:1::1/64 dev wire nodad",
        "route add default via 2001:db8:1::2",
        f"addr add {HOME_AGENT}/128 dev lo",
    )
    namespace.ipv4("addr add 10.1.0.1/24 dev wire", "route add default via 10.1.0.2")
    namespace.sysctl(all__forwarding=1)
    namespace.sysctl_ipv4(all__forwarding=1)
    address = parse_address
    for node in NODES:
        table.apply(SetTunnel(node.tunnel()))
        for home in (node.home, node.home_ipv4):
            table.apply(Forward(0, Direction.TO_HOME_ADDRESS, address(home), node.number))
            care_of = address(node.care_of)
            table.apply(Accept(0, Direction.FROM_HOME_ADDRESS, address(home), care_of, node.number, node.port))
    for home_agent, port in ((MY_HOME_AGENT, 0), (MY_HOME_AGENT_IPV4, 0), (MY_HOME_AGENT_IPV4, PORT)):
        for home in (MY_HOME, MY_HOME_IPV4):
            table.apply(Accept(0, Direction.TO_HOME_ADDRESS, address(home), address(home_agent), 9, port))
    for ours in (HOME_AGENT, HOME_AGENT_IPV4, MY_CARE_OF, MY_CARE_OF_IPV4, MY_HOME):
        table.apply(Listen(0, address(ours)))
    table.set_punt_device(namespace.ifindex("other"))
    table._settings |= {"tunnel_mtu": 1460, "tunnel_interface": namespace.ifindex("lo")}
    table._write_settings()
    yield table


def data(source: str, destination: str, **fields: int) -> bytes:
    return packet_of(source, destination, UDP, udp(), **fields)


def packet_of(source: str, destination: str, protocol: int, payload: bytes, hop: int = 64, service: int = 0) -> bytes:
    if ":" in source:
        return ipv6(source, destination, protocol, payload, hop_limit=hop, traffic_class=service)
    return ipv4(source, destination, protocol, payload, time_to_live=hop, type_of_service=service)


def to_node(node: Node, inner: int, **fields: int) -> bytes:
    ends = (CORRESPONDENT, node.home) if inner == 6 else (CORRESPONDENT_IPV4, node.home_ipv4)
    return data(*ends, **fields)


def from_node(node: Node, inner: int, **fields: int) -> bytes:
    ends = (node.home, CORRESPONDENT) if inner == 6 else (node.home_ipv4, CORRESPONDENT_IPV4)
    return data(*ends, **fields)


def run(table: BpfTable, namespace: Namespace, packet: bytes, repeat: int = 1) -> tuple[int, bytes]:
    """Verdict of the uplink's program and the packet afterwards, without Ethernet headers; what is IPv4 then has the
    checksum that it must have."""
    link = ETHERNET_IPV4 if packet[:1] < b"\x60" or packet[:1] > b"\x6f" else ETHERNET
    with namespace:
        verdict, out, _, _ = table._library.test_run(
            table.program("uplink_ethernet"), link + packet, bytes(192), repeat
        )
    out = out[len(ETHERNET) :]
    if verdict == REDIRECT and out[0] >> 4 == 4 and out != packet:
        assert checksum(out[: (out[0] & 15) * 4]) == 0
    return verdict, out
