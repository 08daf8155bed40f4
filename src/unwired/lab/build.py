"""Builds a scenario: its namespaces, wires, addresses, routes and routers.

Every node is a namespace. One more, the wire namespace, holds what lies between them: the bridges that are the
networks, the ports by which movable interfaces join them, and the relay's ports. Moving an interface is plugging its
port into another bridge; the interface itself sees its carrier go and come, as with a real cable or radio.
"""

import ipaddress
import itertools
import json
import os
import shutil
from pathlib import Path

from pyroute2 import IPRoute
from pyroute2.netlink.exceptions import NetlinkError

from unwired.lab import advertise, bird, clat, cut, plug, relay
from unwired.lab.access import Access
from unwired.lab.ledger import Ledger
from unwired.lab.namespace import Namespace
from unwired.lab.netem import add_netem, has_netem
from unwired.lab.offload import segment_in_software
from unwired.lab.plug import WIRES
from unwired.lab.processes import LabError, Process, Processes, module, wait_until
from unwired.lab.routes import default_prefix, edge_routes, static_routes, wanted_routes
from unwired.lab.scenario import Link, Network, Node, Routing, Scenario, Shape

_IFA_F_NODAD = 2
_FIRST_INDEX = 1000
ROUTER_NICENESS = -10
"""Routers and home agents come before the traffic's processes: every node stands for a machine of its own, and BFD
takes a silence of 150 ms for a failure."""
_ROUTING_TIMEOUT_S = 40.0
_SYSTEM_PATH = ":/usr/local/sbin:/usr/sbin:/sbin"
"""Where daemons are, and a user's PATH does not always lead."""


class Lab:
    """A scenario being built, then built. ``directory`` is the run's own."""

    def __init__(self, scenario: Scenario, ledger: Ledger) -> None:
        self.scenario = scenario
        self.directory = ledger.directory
        self.ledger = ledger
        self.processes = Processes(ledger, self.directory / "log")
        self.namespaces: dict[str, Namespace] = {}
        self.ports: dict[str, int] = {}
        """Movable interfaces to the index of their port in the wire namespace."""
        self.attached: dict[str, str] = {}
        """Movable interfaces to the network that they are in."""
        self.relay: Process | None = None
        self.access = Access(scenario, self.namespaces, self.processes, self.directory)
        self._bridges: dict[str, int] = {}
        self._relayed: list[dict[str, str | float | list[str] | None]] = []
        # An interface whose index differs from its peer's has its carrier changes announced at once; the kernel may
        # hold others back for a second (net/core/link_watch.c). Peers get small numbers, so these never collide.
        self._indexes = itertools.count(_FIRST_INDEX)
        self._hardware_numbers = itertools.count(1)
        self._wire_numbers = itertools.count(1)
        self._netem = False
        self._bird: str | None = None
        self._birds: list[Process] = []

    def build(self) -> None:
        """Everything up to time zero but daemons and traffic. Raises LabError."""
        self._bird = shutil.which("bird", path=os.environ.get("PATH", "") + _SYSTEM_PATH)
        if self._bird is None and any(bird.needs_bird(self.scenario, node) for node in self.scenario.node):
            raise LabError(
                "BIRD is not installed, and this scenario's routers need it: install it (on Debian: apt install bird2)"
            )
        try:
            self._build_namespaces()
            self._netem = has_netem(self._wires)
            self._build_networks()
            self._build_links()
            self._build_movable()
            plug.write_down(self.directory, self.ports, self._bridges)
            self._start_relay()
            self._add_routes()
            self._add_neighbours()
            self._start_routers()
            self._start_advertiser()
            self.access.start(list(self.ports))
        except NetlinkError as error:
            raise LabError(f"the kernel refused a part of the scenario: {error}") from error

    def close(self) -> None:
        """Let go of the namespaces; the ledger's clean-up removes them."""
        for namespace in self.namespaces.values():
            namespace.close()

    # --- moving ---

    def attach(self, end: str, network: str) -> None:
        """Plug a movable interface into a network: it has carrier when this returns."""
        plug.plug(self._wires.netlink, self.ports[end], self._bridges[network])
        self.attached[end] = network

    def detach(self, end: str) -> None:
        plug.unplug(self._wires.netlink, self.ports[end])
        self.attached.pop(end, None)

    # --- namespaces ---

    @property
    def _wires(self) -> Namespace:
        return self.namespaces[WIRES]

    def _build_namespaces(self) -> None:
        directory = self.directory / "netns"
        directory.mkdir()
        for name in (WIRES, *(node.name for node in self.scenario.node)):
            path = directory / name
            self.ledger.add("namespace", path=str(path))
            self.namespaces[name] = Namespace.create(path)
            _set(self.namespaces[name].netlink, 1)  # loopback
        for what in ("all", "default"):
            self._wires.set_sysctl(f"net/ipv6/conf/{what}/disable_ipv6", 1)
        for node in self.scenario.node:
            _set_sysctls(self.namespaces[node.name], node)

    # --- wiring ---

    def _build_networks(self) -> None:
        for number, network in enumerate(self.scenario.network):
            # Without snooping, neighbour discovery reaches everybody from the first packet on.
            bridge = {"br_stp_state": 0, "br_forward_delay": 0, "br_mcast_snooping": 0}
            self._wires.netlink.link("add", ifname=f"br{number}", kind="bridge", **bridge)
            self._bridges[network.name] = self._wires.netlink.link_lookup(ifname=f"br{number}")[0]
            _set(self._wires.netlink, self._bridges[network.name])
            for end in network.members:
                self._join(end, network)

    def _join(self, end: str, network: Network) -> None:
        """Put a fixed member into its network, behind the network's shape."""
        port, port_index = self._cable_to_wires(end)
        node, _, interface = end.partition(".")
        if network.is_shaped:
            segment_in_software(self.namespaces[node], interface)
        if not network.is_shaped or self._netem:
            _set(self._wires.netlink, port_index, master=self._bridges[network.name])
            if network.is_shaped:
                segment_in_software(self._wires, port)
                add_netem(self.namespaces[node], interface, network)
                add_netem(self._wires, port, network)
            return
        inner, outer = self._new_port_name(), self._new_port_name()
        self._wires.netlink.link("add", ifname=inner, kind="veth", peer={"ifname": outer})
        for name, master in ((inner, 0), (outer, self._bridges[network.name])):
            _set(self._wires.netlink, self._wires.netlink.link_lookup(ifname=name)[0], master=master)
        segment_in_software(self._wires, outer)
        self._relay(port, inner, network, [end])

    def _build_links(self) -> None:
        cuttable = {link.between for link in self.scenario.links_that_fail()}
        for link in self.scenario.link:
            first, second = link.between
            if link.between in cuttable or (link.is_shaped and not self._netem):
                first_port, _ = self._cable_to_wires(first, mtu=link.mtu)
                second_port, _ = self._cable_to_wires(second, mtu=link.mtu)
                self._segment_ends(link)
                self._relay(first_port, second_port, link, list(link.between))
                continue
            node, _, interface = second.partition(".")
            place: dict[str, str | int] = {"ifname": interface, "net_ns_fd": self.namespaces[node].descriptor}
            index = self._cable(first, {**place, "address": self._new_hardware_address()})
            peer = self.namespaces[node].netlink.link_lookup(ifname=interface)[0]
            self._configure(second, peer, link.mtu)
            self._configure(first, index, link.mtu)
            if link.is_shaped:
                self._segment_ends(link)
                for end in link.between:
                    add_netem(self.namespaces[end.partition(".")[0]], end.partition(".")[2], link)

    def _segment_ends(self, link: Link) -> None:
        for end in link.between:
            node, _, interface = end.partition(".")
            segment_in_software(self.namespaces[node], interface)

    def _build_movable(self) -> None:
        """Interfaces that are in no link and no network's members: unplugged, then where they start."""
        fixed = {end for link in self.scenario.link for end in link.between}
        fixed |= {end for network in self.scenario.network for end in network.members}
        for node in self.scenario.node:
            for interface in node.interfaces:
                end = f"{node.name}.{interface}"
                if end not in fixed:
                    _, self.ports[end] = self._cable_to_wires(end, plugged=False)
                    if interface in node.attached:
                        self.attach(end, node.attached[interface])

    def _new_port_name(self) -> str:
        return f"w{next(self._wire_numbers)}"

    def _cable_to_wires(self, end: str, plugged: bool = True, mtu: int | None = None) -> tuple[str, int]:
        """The interface with its other end in the wire namespace: that port's name and index."""
        port = self._new_port_name()
        index = self._cable(end, {"ifname": port, "net_ns_fd": self._wires.descriptor})
        port_index = self._wires.netlink.link_lookup(ifname=port)[0]
        if plugged:
            _set(self._wires.netlink, port_index)
        self._configure(end, index, mtu)
        return port, port_index

    def _cable(self, end: str, peer: dict[str, str | int]) -> int:
        node, _, interface = end.partition(".")
        index = next(self._indexes)
        netlink = self.namespaces[node].netlink
        netlink.link("add", ifname=interface, index=index, kind="veth", address=self._new_hardware_address(), peer=peer)
        return index

    def _new_hardware_address(self) -> str:
        number = next(self._hardware_numbers)
        return f"02:{self.scenario.seed & 255:02x}:00:00:{number >> 8 & 255:02x}:{number & 255:02x}"

    def _configure(self, end: str, index: int, mtu: int | None = None) -> None:
        """Addresses, then up."""
        node = end.partition(".")[0]
        netlink = self.namespaces[node].netlink
        if mtu is not None:
            netlink.link("set", index=index, mtu=mtu)
        for address in map(ipaddress.ip_interface, self.scenario.addresses(end)):
            flags = {"flags": _IFA_F_NODAD} if address.version == 6 else {}
            netlink.addr("add", index=index, address=str(address.ip), prefixlen=address.network.prefixlen, **flags)
        _set(netlink, index)

    # --- the relay ---

    def _relay(self, a: str, b: str, shape: Shape, ends: list[str]) -> None:
        fields = {name: getattr(shape, name) for name in Shape.model_fields}
        self._relayed.append({"a": a, "b": b, "ends": ends, **fields})

    def _start_relay(self) -> None:
        if not self._relayed:
            return
        specification = self.directory / cut.SPECIFICATION
        control = str(self.directory / cut.CONTROL)
        specification.write_text(json.dumps({"seed": self.scenario.seed, "control": control, "wires": self._relayed}))
        command = module("unwired.lab.relay", specification)
        self.relay = self.processes.start("relay", command, self._wires, niceness=-10)
        self.processes.wait_for_line(self.relay, relay.READY)

    # --- routing ---

    def _add_routes(self) -> None:
        by_bird = {node.name for node in self.scenario.node if bird.routes(self.scenario, node)}
        computed = edge_routes if self.scenario.routing is Routing.BGP else static_routes
        for route in computed(self.scenario):
            if route.node in by_bird:
                continue
            netlink = self.namespaces[route.node].netlink
            index = netlink.link_lookup(ifname=route.interface)[0]
            version = ipaddress.ip_address(route.via).version
            destination = "default" if route.prefix == default_prefix(version) else route.prefix
            family = {4: 2, 6: 10}[version]
            netlink.route("add", dst=destination, gateway=route.via, oif=index, family=family)

    def _add_neighbours(self) -> None:
        """The ends of a link know each other's link-layer address, as routers that are never idle do: the first packet
        of a path does not pay a round trip for each of its links."""
        for link in self.scenario.link:
            for here, there in (link.between, link.between[::-1]):
                node, _, interface = here.partition(".")
                netlink = self.namespaces[node].netlink
                index = netlink.link_lookup(ifname=interface)[0]
                other, _, peer = there.partition(".")
                hardware = self.namespaces[other].netlink.link("get", ifname=peer)[0].get("address")
                for address in map(ipaddress.ip_interface, self.scenario.addresses(there)):
                    netlink.neigh("add", dst=str(address.ip), lladdr=hardware, ifindex=index, state="permanent")

    def _start_advertiser(self) -> None:
        routers = [
            {
                "namespace": str(self.namespaces[node.name].path),
                "interface": end.partition(".")[2],
                "prefixes": bird.ipv6_prefixes(self.scenario, end),
                "translating_prefix": node.nat64.prefix if node.nat64 else None,
                "router_lifetime_s": network.router_lifetime_s,
                "valid_lifetime_s": network.valid_lifetime_s,
                "preferred_lifetime_s": network.preferred_lifetime_s,
            }
            for node in self.scenario.node
            for network, end in bird.advertised(self.scenario, node, "lab")
        ]
        if routers:
            specification = self.directory / "advertise.json"
            specification.write_text(json.dumps({"routers": routers}))
            command = module("unwired.lab.advertise", specification)
            process = self.processes.start("advertise", command, self._wires, niceness=-10)
            self.processes.wait_for_line(process, advertise.READY)

    def _start_routers(self) -> None:
        directory = self.directory / "bird"
        directory.mkdir()
        started = []
        for number, node in enumerate(self.scenario.node, 1):
            if not bird.needs_bird(self.scenario, node):
                continue
            path = directory / f"{node.name}.conf"
            path.write_text(bird.configuration(self.scenario, node, number))
            control = directory / f"{node.name}.ctl"
            command: list[str | Path] = [self._bird or "bird", "-f", "-c", path, "-s", control]
            process = self.processes.start(
                f"bird-{node.name}", command, self.namespaces[node.name], niceness=ROUTER_NICENESS
            )
            self._birds.append(process)
            started.append((process, control))
        for process, control in started:

            def answers(process: Process = process, control: Path = control) -> bool:
                return control.exists() or not process.is_running

            if not wait_until(answers, 10) or not process.is_running:
                raise LabError(f"{process.name} did not start: {process.log_tail()}")
        if self.scenario.routing is not Routing.STATIC:
            self.wait_for_routes(set(wanted_routes(self.scenario)))

    def wait_for_routes(self, wanted: set[tuple[str, str]]) -> None:
        """Until each router has its route: pairs of a router's name and a prefix. Raises LabError when that takes too
        long."""
        missing = set(wanted)

        def complete() -> bool:
            for router in {router for router, _ in missing}:
                routes = self.namespaces[router].netlink.get_routes()
                known = {(router, f"{route.get('dst')}/{route['dst_len']}") for route in routes}
                missing.difference_update(known)
            return not missing or not all(process.is_running for process in self._birds)

        if not wait_until(complete, _ROUTING_TIMEOUT_S, 0.1) or missing:
            for process in self._birds:
                if not process.is_running:
                    raise LabError(f"{process.name} ended: {process.log_tail()}")
            examples = ", ".join(f"{router} has none to {prefix}" for router, prefix in sorted(missing)[:3])
            raise LabError(f"the routers have not found all routes after {_ROUTING_TIMEOUT_S:g} s: {examples}")


def _set(netlink: IPRoute, index: int, master: int = 0) -> None:
    """Up, and in a bridge where ``master`` says so."""
    if master:
        netlink.link("set", index=index, master=master)
    netlink.link("set", index=index, state="up")


def _set_sysctls(namespace: Namespace, node: Node) -> None:
    """Routers forward and have their addresses at once; everybody else is left as a stock kernel is, but for what a
    host with a CLAT needs."""
    for name, value in clat.SYSCTLS.items() if node.clat else ():
        namespace.set_sysctl(name, value)
    if not node.role.forwards:
        return
    for what in ("all", "default"):
        namespace.set_sysctl(f"net/ipv6/conf/{what}/accept_dad", 0)
        namespace.set_sysctl(f"net/ipv6/conf/{what}/accept_ra", 0)
        namespace.set_sysctl(f"net/ipv6/conf/{what}/forwarding", 1)
        namespace.set_sysctl(f"net/ipv4/conf/{what}/rp_filter", 0)
    namespace.set_sysctl("net/ipv4/ip_forward", 1)
