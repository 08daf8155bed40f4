"""Measures how a mobile node reaches the correspondents: through its home agents, and directly."""

import json
import time
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

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
        {"namespace": str(lab.namespaces[node.name].path), "address": node.traffic_addresses()[6]}
        for node in correspondents(lab)
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
    at_s = time.monotonic() - started_at
    network = next((net for end, net in lab.attached.items() if end.partition(".")[0] == node.name), None)
    ways = {one.name: one.traffic_addresses()[6] for one in correspondents(lab)}
    pairs = [Pair(own, address) for address in ways.values() for own in (home_address, binding.care_of_address)]
    round_trips = echo.round_trips_ms(lab.namespaces[node.name], pairs)
    found = []
    with Walker({name: lab.namespaces[name] for name in (one.name for one in lab.scenario.node)}) as walker:
        for correspondent, address in ways.items():
            through = round_trips.get(Pair(home_address, address))
            direct = round_trips.get(Pair(binding.care_of_address, address))
            if through is None or direct is None:
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
                    rtt_ms=through,
                    direct_rtt_ms=direct,
                    stretch=through / direct,
                    entry_agent=entry,
                    primary_agent=sender,
                    hops_to_node=hops if entry is None else _from_entry(lab, walker, hops, sender, binding),
                    hops_from_node=_from_node(lab, walker, node, correspondent, address, binding),
                    direct_hops=walker.walk(node.name, address, binding.care_of_address),
                )
            )
    return Measurement(tuple(found), tuple(pair for pair in pairs if pair not in round_trips))


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


def _from_entry(lab: Lab, walker: Walker, hops: tuple[str, ...], sender: str, binding: _Binding) -> tuple[str, ...]:
    """From the agent that anycast leads to over to the one that sends, then in the tunnel."""
    if hops[-1] != sender and (locator := locators(lab).get(sender)) is not None:
        hops += walker.walk(hops[-1], locator)[1:]
    return hops + walker.walk(hops[-1], binding.care_of_address)[1:]


def _from_node(
    lab: Lab, walker: Walker, node: Node, correspondent: str, address: str, binding: _Binding
) -> tuple[str, ...]:
    """In the tunnel to the agent that anycast leads to, which sends on what was in it."""
    agents = _home_agents(lab)
    hops = walker.walk(node.name, str(node.config["mobile_node"]["home_agent"]), binding.care_of_address, ends=agents)
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
