"""What access networks and the hosts that visit them do about IPv4: DHCP servers, NATs and NAT64s, network managers."""

import contextlib
import ipaddress
import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from unwired.lab import host_manager, middlebox, translate
from unwired.lab.namespace import Namespace
from unwired.lab.processes import Process, Processes, module
from unwired.lab.record import ConfigurationRecord
from unwired.lab.scenario import Node, Role, Scenario

MANAGER = "host-manager"
_NICENESS = -10
"""They come before the traffic's processes, as routers do."""
_LEASE = "12h"
_FIRST_LEASE = 100
"""The first host number that is given out: fixed addresses are below."""
_NAT64 = "nat64"
"""The IPv4 device of a router's translator."""


class Access:
    """Started once; what it says while it runs is for the analysis."""

    def __init__(
        self, scenario: Scenario, namespaces: Mapping[str, Namespace], processes: Processes, directory: Path
    ) -> None:
        self._scenario = scenario
        self._namespaces = namespaces
        self._processes = processes
        self._directory = directory / "access"
        self.manager: Process | None = None

    def start(self, movable: list[str]) -> None:
        """``movable`` are the interfaces that can be plugged elsewhere. Raises LabError."""
        self._directory.mkdir()
        for node in self._scenario.node:
            middlebox.install(self._namespaces[node.name], node)
            self._start_nat64(node)
            self._start_dhcp(node)
        self._start_manager(movable)

    def configurations(self) -> tuple[ConfigurationRecord, ...]:
        """Every IPv4 address so far that a network manager has made ready to be used."""
        return () if self.manager is None else tuple(configurations(self.manager.log))

    def _start_nat64(self, node: Node) -> None:
        if node.nat64 is None:
            return
        specification = self._directory / f"{node.name}-nat64.json"
        namespace = str(self._namespaces[node.name].path)
        said = {"namespace": namespace, "name": _NAT64, "prefix": node.nat64.prefix, "pool": node.nat64.pool}
        specification.write_text(json.dumps(said))
        process = self._processes.start(
            f"nat64-{node.name}",
            module("unwired.lab.translate", specification),
            self._namespaces[node.name],
            niceness=_NICENESS,
        )
        self._processes.wait_for_line(process, translate.READY)

    def _start_dhcp(self, node: Node) -> None:
        """One dnsmasq for all networks to which this router gives addresses; it asks nobody whether they are free."""
        served = list(dhcp_ranges(self._scenario, node))
        if not served:
            return
        command: list[str | Path] = ["dnsmasq", "--keep-in-foreground", "--conf-file=/dev/null", "--port=0"]
        command += ["--bind-interfaces", "--no-ping", "--dhcp-authoritative", "--dhcp-rapid-commit", "--user=root"]
        command += ["--pid-file=", f"--dhcp-leasefile={self._directory / node.name}.leases", "--log-facility=-"]
        for interface, first, last, mask in served:
            command += [f"--interface={interface}", f"--dhcp-range={first},{last},{mask},{_LEASE}"]
        process = self._processes.start(f"dhcp-{node.name}", command, self._namespaces[node.name], niceness=_NICENESS)
        self._processes.wait_for_line(process, "DHCP, sockets bound")

    def _start_manager(self, movable: list[str]) -> None:
        """For the hosts whose IPv4 addresses the file leaves to the networks."""
        hosts = [host for node in self._scenario.node if (host := self._managed(node, movable)) is not None]
        if not hosts or not self._has_ipv4():
            return
        specification = self._directory / "hosts.json"
        specification.write_text(json.dumps({"hosts": hosts}))
        somewhere = next(iter(self._namespaces.values()))
        command = module("unwired.lab.host_manager", specification)
        self.manager = self._processes.start(MANAGER, command, somewhere, niceness=_NICENESS)
        self._processes.wait_for_line(self.manager, host_manager.READY)

    def _managed(self, node: Node, movable: list[str]) -> dict[str, Any] | None:
        interfaces = [
            name
            for name, addresses in node.interfaces.items()
            if f"{node.name}.{name}" in movable
            and not any(ipaddress.ip_interface(address).version == 4 for address in addresses)
        ]
        if node.role.forwards or not interfaces:
            return None
        namespace = str(self._namespaces[node.name].path)
        return {"name": node.name, "namespace": namespace, "interfaces": interfaces, "clat": node.clat}

    def _has_ipv4(self) -> bool:
        return any(node.clat or any(dhcp_ranges(self._scenario, node)) for node in self._scenario.node)


def dhcp_ranges(scenario: Scenario, node: Node) -> Iterator[tuple[str, str, str, str]]:
    """For each network to which this node gives IPv4 addresses: its interface there, first, last, mask."""
    if node.role is not Role.ROUTER:
        return
    for network in scenario.network:
        server = next((end for end in network.members if _ipv4(scenario, end)), None) if network.dhcp else None
        if server is None or server.partition(".")[0] != node.name:
            continue
        subnet = _ipv4(scenario, server)[0].network
        first = subnet.network_address + min(_FIRST_LEASE, subnet.num_addresses // 2)
        yield server.partition(".")[2], str(first), str(subnet.broadcast_address - 1), str(subnet.netmask)


def _ipv4(scenario: Scenario, end: str) -> list[ipaddress.IPv4Interface]:
    addresses = map(ipaddress.ip_interface, scenario.addresses(end))
    return [address for address in addresses if isinstance(address, ipaddress.IPv4Interface)]


def configurations(manager_log: Path) -> Iterator[ConfigurationRecord]:
    """What the network managers told of addresses that were ready to be used."""
    for line in manager_log.read_text(errors="replace").splitlines():
        with contextlib.suppress(ValueError, TypeError):  # a warning, or a line cut off
            yield ConfigurationRecord(**json.loads(line))
