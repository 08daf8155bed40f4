"""Measures how a mobile node reaches the correspondents: through its home agents, and directly."""

import json
import socket
import time
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from pyroute2 import IPRoute

from unwired.lab import echo
from unwired.lab.agents import Agent
from unwired.lab.build import Lab
from unwired.lab.echo import Pair
from unwired.lab.plug import WIRES
from unwired.lab.processes import module
from unwired.lab.result import PathMeasured
from unwired.lab.scenario import Node, Role
from unwired.lab.walk import Walker


@dataclass(frozen=True, slots=True)
class _Binding:
    """Where the home agents have a mobile node: ``primary`` is the name of a home agent's node."""

    care_of_address: str
    primary: str


def start_echo(lab: Lab) -> None:
    """The correspondents answer from now on."""
    sockets = [
        {"namespace": str(lab.namespaces[node.name].path), "address": address}
        for node in correspondents(lab)
        for address in node.traffic_addresses().values()
    ]
    specification = lab.directory / "echo.json"
    specification.write_text(json.dumps({"sockets": sockets}))
    command = module("unwired.lab.echo", specification)
    process = lab.processes.start("echo", command, lab.namespaces[WIRES], niceness=-10)
    lab.processes.wait_for_line(process, echo.READY)


def correspondents(lab: Lab) -> list[Node]:
    return [node for node in lab.scenario.node if node.role is Role.CORRESPONDENT and 6 in node.traffic_addresses()]


@dataclass(frozen=True, slots=True)
class Measurement:
    """``silent``: pairs of an own address and a correspondent's that got too few answers."""

    paths: tuple[PathMeasured, ...] = ()
    silent: tuple[Pair, ...] = ()


def measure(lab: Lab, agents: dict[str, Agent], node: Node, started_at: float) -> Measurement:
    """Every correspondent as ``node`` reaches it now. Takes a second or two. Safe beside the timeline."""
    home_address = node.home_address()
    binding = find_binding(agents, str(home_address))
    if home_address is None or binding is None:
        return Measurement()
    own = _own_address(lab, node, binding)
    if own is None:
        return Measurement()
    at_s = time.monotonic() - started_at
    network = next((net for end, net in lab.attached.items() if end.partition(".")[0] == node.name), None)
    version = 6 if ":" in own else 4
    ways = [
        (one.name, Pair(home_address, one.traffic_addresses()[6]), Pair(own, one.traffic_addresses()[version]))
        for one in correspondents(lab)
        if version in one.traffic_addresses()
    ]
    pairs = [pair for _, *both in ways for pair in both]
    behind = () if own == binding.care_of_address else (node.name,)
    round_trips = echo.round_trips_ms(lab.namespaces[node.name], pairs)
    found = []
    with Walker({name: lab.namespaces[name] for name in (one.name for one in lab.scenario.node)}) as walker:
        for correspondent, through, direct in ways:
            rtt_ms, direct_rtt_ms = round_trips.get(through), round_trips.get(direct)
            if rtt_ms is None or direct_rtt_ms is None:
                continue
            hops = walker.walk(correspondent, home_address, ends=_home_agents(lab))
            entry = hops[-1] if hops[-1] in _home_agents(lab) else None
            sender = binding.primary if entry is None or _is_up(agents, entry, binding.primary) else entry
            found.append(
                PathMeasured(
                    at_s=at_s,
                    node=node.name,
                    network=network,
                    correspondent=correspondent,
                    rtt_ms=rtt_ms,
                    direct_rtt_ms=direct_rtt_ms,
                    stretch=rtt_ms / direct_rtt_ms,
                    entry_agent=entry,
                    primary_agent=sender,
                    hops_to_node=hops if entry is None else _from_entry(lab, walker, hops, sender, binding, behind),
                    hops_from_node=_from_node(lab, walker, node, correspondent, through.destination, own),
                    direct_hops=walker.walk(node.name, direct.destination, own),
                )
            )
    return Measurement(tuple(found), tuple(pair for pair in pairs if pair not in round_trips))


def _own_address(lab: Lab, node: Node, binding: _Binding) -> str | None:
    """What the node itself has as care-of address; the home agents know that of the NAT in front of it, if any."""
    if ":" in binding.care_of_address:
        return binding.care_of_address
    with lab.namespaces[node.name].inside():
        kernel = IPRoute()
    try:
        indexes = {index for name in node.interfaces for index in kernel.link_lookup(ifname=name)}
        return next(
            (
                str(message.get_attr("IFA_LOCAL"))
                for message in kernel.get_addr(family=socket.AF_INET)
                if message["index"] in indexes
            ),
            None,
        )
    finally:
        kernel.close()


def _home_agents(lab: Lab) -> frozenset[str]:
    return frozenset(node.name for node in lab.scenario.node if node.role is Role.HOME_AGENT)


def _is_up(agents: dict[str, Agent], entry: str, primary: str) -> bool:
    """Whether the home agent at which packets enter sends them on to the primary: in whose place it sends them itself
    when that is down."""
    try:
        members = agents[entry].ask("members")["members"]
        return any(member["name"] == agents[primary].member and member["up"] for member in members)
    except (OSError, ValueError, KeyError, TypeError):  # in no set, or it does not answer: it is the primary, or dead
        return True


def _from_entry(
    lab: Lab, walker: Walker, hops: tuple[str, ...], sender: str, binding: _Binding, behind: tuple[str, ...]
) -> tuple[str, ...]:
    """From the agent that anycast leads to over to the one that sends, then in the tunnel; ``behind`` is the node when
    a NAT is in front of it, whose own address is where the tunnel ends."""
    if hops[-1] != sender and (locator := locators(lab).get(sender)) is not None:
        hops += walker.walk(hops[-1], locator)[1:]
    return hops + walker.walk(hops[-1], binding.care_of_address)[1:] + behind


def _from_node(lab: Lab, walker: Walker, node: Node, correspondent: str, address: str, own: str) -> tuple[str, ...]:
    """In the tunnel to the agent that anycast leads to, which sends on what was in it."""
    agents, section = _home_agents(lab), node.config["mobile_node"]
    home_agent = section["home_agent" if ":" in own else "home_agent_ipv4"]
    hops = walker.walk(node.name, str(home_agent), own, ends=agents)
    return hops + walker.walk(hops[-1], address)[1:] if hops[-1] in agents else hops


def locators(lab: Lab) -> dict[str, str]:
    """Home agents' nodes to the addresses that lead to them alone: the first of each."""
    return {
        node.name: next(addresses[0].partition("/")[0] for addresses in node.interfaces.values() if addresses)
        for node in lab.scenario.node
        if node.role is Role.HOME_AGENT
    }


def tables(agents: dict[str, Agent]) -> Iterator[tuple[str, list[dict[str, Any]]]]:
    """The bindings that each home agent that answers holds, by its node's name."""
    for name, agent in agents.items():
        if agent.node.role is Role.HOME_AGENT:
            try:
                yield name, list(agent.ask("bindings")["bindings"])
            except (OSError, ValueError, KeyError):
                continue


def find_binding(agents: dict[str, Agent], home_address: str) -> _Binding | None:
    """The newest that an agent knows. An agent in no set is the primary of all that it has."""
    newest: tuple[int, str, dict[str, Any]] | None = None
    for name, bindings in tables(agents):
        for binding in bindings:
            if binding["home_address"] == home_address:
                version = int(binding.get("version") or 0)
                if newest is None or version > newest[0]:
                    newest = version, name, binding
    if newest is None:
        return None
    _, name, binding = newest
    member = binding.get("primary")
    return _Binding(str(binding["care_of_address"]), _node_of(agents, str(member)) if member else name)


def _node_of(agents: dict[str, Agent], member: str) -> str:
    """The node that runs the home agent set's member of this name."""
    for name, agent in agents.items():
        if agent.member == member:
            return name
    return member
