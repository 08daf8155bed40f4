"""The kernel's own tunnels (ip6tnl, sit, ipip, foo-over-UDP) as the other end of ours, in either role.

    correspondent ---- home agent ---- mobile node

One of the last two has our rows, the other a tunnel device of the kernel. A kernel without such a device, as that of a
container host may be, skips its cases; Debian's has all of them (``make test-kernel``).
"""

import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from traffic import datagrams, ping, transfer, until

from unwired.bench.namespaces import Namespace, link
from unwired.core.forwarding import Accept, Direction, Encapsulation, Forward, Listen, SetTunnel, Tunnel
from unwired.dataplane import devices, object_path
from unwired.dataplane.bpf_table import BpfTable
from unwired.wire.address import parse_address

pytestmark = pytest.mark.root

TUNNEL_MTU = 1400
UDP_PORT = 4191  # of RFC 5555
CORRESPONDENT = {6: "2001:db8:c::2", 4: "192.0.2.2"}
HOME_AGENT = {6: "2001:db8:a::1", 4: "198.51.100.1"}
CARE_OF = {6: "2001:db8:a::2", 4: "198.51.100.2"}
HOME = {6: "2001:db8:100::1000", 4: "203.0.113.10"}


@dataclass(frozen=True)
class KernelTunnel:
    """A tunnel device: the arguments of ``ip link add``, what is outside and what may be inside (IP versions)."""

    device: str
    encapsulation: Encapsulation
    inside: tuple[int, ...]
    udp_carries: int = 0
    """The protocol of everything that comes to the UDP port: the kernel does not look at the packet's version."""

    @property
    def outside(self) -> int:
        return 6 if self.encapsulation is Encapsulation.IPV6 else 4

    @property
    def port(self) -> int:
        return UDP_PORT if self.udp_carries else 0


_IN_UDP = f"encap fou encap-sport {UDP_PORT} encap-dport {UDP_PORT}"
KERNEL_TUNNELS = {
    # Without `encaplimit none` the outer header is followed by destination options (RFC 2473 section 5.1).
    "ip6tnl with tunnel encapsulation limit": KernelTunnel("ip6tnl mode any", Encapsulation.IPV6, (6, 4)),
    "ip6tnl": KernelTunnel("ip6tnl mode any encaplimit none", Encapsulation.IPV6, (6, 4)),
    "sit": KernelTunnel("sit mode any", Encapsulation.IPV4, (6, 4)),
    "ipip": KernelTunnel("ipip mode ipip", Encapsulation.IPV4, (4,)),
    "IPv6 in UDP": KernelTunnel(f"sit mode ip6ip {_IN_UDP}", Encapsulation.UDP, (6,), udp_carries=41),
    "IPv4 in UDP": KernelTunnel(f"ipip mode ipip {_IN_UDP}", Encapsulation.UDP, (4,), udp_carries=4),
}


class Network:
    """``ours`` and ``theirs`` of home agent and mobile node are joined by a tunnel; the correspondent node knows
    nothing of it."""

    def __init__(self, kernel: KernelTunnel, kernel_is_mobile_node: bool) -> None:
        self.kernel = kernel
        self.correspondent, self.home_agent, self.mobile_node = Namespace(), Namespace(), Namespace()
        self.table: BpfTable | None = None
        self._join()
        if kernel_is_mobile_node:
            ours, theirs = self.home_agent, self.mobile_node
            self._local, self._peer = HOME_AGENT[kernel.outside], CARE_OF[kernel.outside]
        else:
            ours, theirs = self.mobile_node, self.home_agent
            self._local, self._peer = CARE_OF[kernel.outside], HOME_AGENT[kernel.outside]
        try:
            self._make_theirs(theirs)
            self.table = self._make_ours(ours, Direction(not kernel_is_mobile_node))
        except BaseException:
            self.close()
            raise
        self._route_into("kernel0" if kernel_is_mobile_node else "mip0", "mip0" if kernel_is_mobile_node else "kernel0")

    def settle(self) -> None:
        """Wait until the mobile node answers."""
        for version in self.kernel.inside:
            ping_once = f"ping -c 1 -W 1 {HOME[version]}"
            until(lambda command=ping_once: "bytes from" in self.correspondent.run(command, check=False))

    def close(self) -> None:
        if self.table:
            self.table.remove()
        for namespace in (self.correspondent, self.home_agent, self.mobile_node):
            namespace.close()

    def _join(self) -> None:
        link(self.correspondent, "up0", self.home_agent, "cn")
        link(self.home_agent, "up0", self.mobile_node, "up0")
        self.home_agent.sysctl(all__forwarding=1)
        with self.home_agent:
            Path("/proc/sys/net/ipv4/ip_forward").write_text("1")
        gateway = {6: "2001:db8:c::1", 4: "192.0.2.1"}
        for version, length in ((6, 64), (4, 24)):
            nodad = "nodad" if version == 6 else ""
            for namespace, address, device in (
                (self.correspondent, CORRESPONDENT[version], "up0"),
                (self.home_agent, gateway[version], "cn"),
                (self.home_agent, HOME_AGENT[version], "up0"),
                (self.mobile_node, CARE_OF[version], "up0"),
            ):
                namespace.run(f"ip addr add {address}/{length} dev {device} {nodad}")
            self.correspondent.run(f"ip -{version} route add default via {gateway[version]}")
            self.mobile_node.run(f"ip -{version} route add default via {HOME_AGENT[version]}")

    def _make_theirs(self, namespace: Namespace) -> None:
        if self.kernel.udp_carries:
            _or_skip(namespace, f"ip fou add port {UDP_PORT} ipproto {self.kernel.udp_carries}")
        kind, _, options = self.kernel.device.partition(" ")
        _or_skip(namespace, f"ip link add kernel0 type {kind} {options} local {self._peer} remote {self._local}")
        namespace.run(f"ip link set kernel0 up mtu {TUNNEL_MTU}")

    def _make_ours(self, namespace: Namespace, direction: Direction) -> BpfTable:
        with namespace:
            table = BpfTable(f"test-{os.getpid()}-{id(self):x}", object_path(), capacity=1024)
            table.attach_tunnel_device(devices.create_tunnel_device("mip0", TUNNEL_MTU))
            table.attach_uplink(namespace.ifindex("up0"))
            if direction is Direction.TO_HOME_ADDRESS:
                table.attach_uplink(namespace.ifindex("cn"))
        local, peer, port = parse_address(self._local), parse_address(self._peer), self.kernel.port
        back = Direction.FROM_HOME_ADDRESS if direction is Direction.TO_HOME_ADDRESS else Direction.TO_HOME_ADDRESS
        table.apply(Listen(0, local))
        table.apply(SetTunnel(Tunnel(1, local, peer, self.kernel.encapsulation, local_port=port, peer_port=port)))
        for version in self.kernel.inside:
            home = parse_address(HOME[version])
            table.apply(Forward(0, direction, home, 1))
            table.apply(Accept(0, back, home, peer, 1, port))
        return table

    def _route_into(self, of_mobile_node: str, of_home_agent: str) -> None:
        for version in self.kernel.inside:
            home, length = HOME[version], 128 if version == 6 else 32
            nodad = "nodad" if version == 6 else ""
            self.home_agent.run(f"ip -{version} route add {home}/{length} dev {of_home_agent}")
            self.mobile_node.run(f"ip addr add {home}/{length} dev {of_mobile_node} {nodad}")
            self.mobile_node.run(f"ip -{version} rule add from {home} lookup 77")
            self.mobile_node.run(f"ip -{version} route add default dev {of_mobile_node} table 77")


def _or_skip(namespace: Namespace, command: str) -> None:
    try:
        namespace.run(command)
    except RuntimeError as error:
        pytest.skip(f"this kernel has no such tunnel: {error}")


@pytest.fixture(scope="module")
def network(request: pytest.FixtureRequest) -> Iterator[Network]:
    made = Network(*request.param)
    try:
        made.settle()
        yield made
    finally:
        made.close()


@pytest.mark.parametrize(
    ("network", "inside"),
    [
        pytest.param((kernel, is_mobile_node), inside, id=f"{name} as {role}, IPv{inside} inside")
        for name, kernel in KERNEL_TUNNELS.items()
        for role, is_mobile_node in (("mobile node", True), ("home agent", False))
        for inside in kernel.inside
    ],
    indirect=["network"],
    scope="module",
)
def test_traffic_in_both_directions(network: Network, inside: int) -> None:
    """Pings, UDP and TCP with segmentation offload, from either end; nothing dropped, and no other way than ours."""
    assert network.table is not None
    before = network.table.counters()
    outside, mobile_node = (network.correspondent, CORRESPONDENT[inside]), (network.mobile_node, HOME[inside])
    for (sender, source), (receiver, destination) in ((outside, mobile_node), (mobile_node, outside)):
        ping(sender, destination, f"-I {source}")
        datagrams(sender, source, receiver, destination)
        transfer(sender, source, receiver, destination)
    after = network.table.counters()
    counted = {name for name in after if after[name] > before[name]}
    # What the kernel's device says to neighbours that it takes to be there is nobody's home address's.
    assert counted - {"reverse_check"} == {"encapsulated", "decapsulated"}
