"""Reads a scenario file, with every mistake in it found at once."""

import difflib
import ipaddress
import tomllib
from collections import Counter
from collections.abc import Iterator
from importlib import resources
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails

from unwired.host.problems import Problem
from unwired.lab.scenario import (
    Expect,
    Fail,
    FailureKind,
    Link,
    Move,
    Network,
    Node,
    Probe,
    Role,
    Routing,
    Scenario,
    Stream,
    Tour,
)

_PARTS: dict[str, type[BaseModel]] = {
    "node": Node, "link": Link, "network": Network, "move": Move, "tour": Tour, "fail": Fail, "expect": Expect
}  # fmt: skip


class ScenarioError(Exception):
    """A scenario that cannot be used; ``problems`` are all that was found."""

    def __init__(self, problems: list[Problem]) -> None:
        super().__init__("\n".join(problem.sentence() for problem in problems))
        self.problems = problems


def shipped() -> dict[str, Path]:
    """The scenarios that come with Unwired, by name."""
    directory = Path(str(resources.files("unwired.lab") / "scenarios"))
    return {path.stem: path for path in sorted(directory.glob("*.toml"), key=lambda path: path.stem)}


def find(name_or_path: str) -> Path:
    """A shipped scenario's file by its name, or a file by its path. Raises ScenarioError when there is neither."""
    known = shipped()
    if name_or_path in known:
        return known[name_or_path]
    path = Path(name_or_path)
    if path.is_file():
        return path
    close = difflib.get_close_matches(name_or_path, known, 1)
    meant = f"Did you mean {close[0]}" if close else f"Shipped scenarios are {', '.join(known)}"
    why = "A scenario is named by its shipped name or by the path of its file"
    raise ScenarioError([Problem(name_or_path, "", "there is no such scenario", why, meant)])


def load(path: Path) -> Scenario:
    """Read and check a scenario. Raises ScenarioError with all its problems."""
    raw = _read(path, seen=())
    try:
        scenario = Scenario.model_validate(raw)
    except ValidationError as error:
        raise ScenarioError([_problem(path, details) for details in error.errors()]) from None
    problems = [Problem(str(path), *found) for found in (*_check_left_out(scenario), *_check(_kept(scenario)))]
    if problems:
        raise ScenarioError(problems)
    return _kept(scenario)


def _kept(scenario: Scenario) -> Scenario:
    return scenario.without(set(scenario.leave_out)) if scenario.leave_out else scenario


def _check_left_out(scenario: Scenario) -> Iterator["_Found"]:
    names = [node.name for node in scenario.node] + [network.name for network in scenario.network]
    for name in scenario.leave_out:
        if name not in names:
            yield _unknown("leave_out", "node or network", name, names)


def _read(path: Path, seen: tuple[Path, ...]) -> dict[str, Any]:
    """The file's keys, over those of the file that its ``base`` names; nodes and networks one by one, by their
    names."""

    def failed(key: str, what: str, why: str, fix: str) -> ScenarioError:
        return ScenarioError([Problem(str(path), key, what, why, fix)])

    try:
        raw = tomllib.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise failed("", f"cannot be read: {error.strerror}", "It was named as a scenario", "Check it") from None
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        why = "A scenario is a TOML file in UTF-8"
        raise failed("", f"is no TOML: {error}", why, "Correct it at that place") from None
    base = raw.pop("base", None)
    if base is None:
        return raw
    why = "base names the scenario file, relative to this one, whose keys this one keeps unless it states them"
    if not isinstance(base, str) or not (path.parent / base).is_file():
        raise failed("base", f"there is no file {base!r}", why, "Correct the path or leave base out")
    if path in seen:
        raise failed("base", "leads back to this file", why, "Leave it out in one of the files")
    under = _read(path.parent / base, (*seen, path))
    return {
        **under,
        **raw,
        **{key: _by_name(under[key], raw[key]) for key in ("node", "network") if key in under and key in raw},
    }


def _by_name(under: Any, over: Any) -> Any:
    """The parts of two lists, those of the second in place of those of the same name in the first. What is no list of
    tables is left to the model to refuse."""
    if not all(isinstance(parts, list) and all(isinstance(part, dict) for part in parts) for parts in (under, over)):
        return over
    named = {part.get("name"): part for part in over}
    known = {part.get("name") for part in under}
    return [named.get(part.get("name"), part) for part in under] + [
        part for part in over if part.get("name") not in known
    ]


def _problem(path: Path, details: ErrorDetails) -> Problem:
    parts = [part for part in details["loc"] if part not in ("udp", "tcp", "[key]")]
    key = ""
    for part in parts:
        key += f"[{part}]" if isinstance(part, int) else ("." if key else "") + str(part)
    kind = details["type"]
    if kind == "missing":
        return Problem(str(path), key, "is missing", "It has no default", f"Add {parts[-1]} = ...")
    if kind == "extra_forbidden":
        close = difflib.get_close_matches(str(parts[-1]), _keys_at(details), 1)
        fix = f"Did you mean {close[0]}" if close else "Remove it; docs/lab.md lists the keys"
        return Problem(str(path), key, "there is no such key", "Unknown keys are mistakes more often than not", fix)
    message = details["msg"].removeprefix("Value error, ")
    what = message[0].lower() + message[1:]
    value = details.get("input")
    shown = f"It is {value!r}" if isinstance(value, str | int | float) else "The value does not fit"
    return Problem(str(path), key, what, shown, "Correct it; docs/lab.md describes the key")


def _keys_at(details: ErrorDetails) -> list[str]:
    """The keys that are known where an unknown one was found."""
    first = details["loc"][0]
    if len(details["loc"]) == 1:
        return list(Scenario.model_fields)
    if first == "traffic":
        return list((Stream if "tcp" in details["loc"] else Probe).model_fields)
    if first not in _PARTS:
        return []
    return [field.alias or name for name, field in _PARTS[str(first)].model_fields.items()]


_Found = tuple[str, str, str, str]
"""Key, what, why, fix."""


def _check(scenario: Scenario) -> Iterator[_Found]:
    """What is wrong between the parts of a scenario."""
    yield from _repeated("node", [node.name for node in scenario.node])
    yield from _repeated("network", [network.name for network in scenario.network])
    yield from _check_wiring(scenario)
    yield from _check_addresses(scenario)
    yield from _check_moves(scenario)
    yield from _check_traffic(scenario)
    yield from _check_agents(scenario)
    yield from _check_failures(scenario)
    yield from _check_middleboxes(scenario)
    yield from _check_systems(scenario)


def _repeated(what: str, names: list[str]) -> Iterator[_Found]:
    for name, times in Counter(names).items():
        if times > 1:
            yield (
                f"{what}.name",
                f"{name!r} is the name of {times} parts of the kind {what}",
                "Names say which one is meant",
                "Rename all but one",
            )


def _interfaces(scenario: Scenario) -> dict[str, Node]:
    return {f"{node.name}.{interface}": node for node in scenario.node for interface in node.interfaces}


def _unknown(key: str, kind: str, name: str, known: list[str]) -> _Found:
    close = difflib.get_close_matches(name, known, 1)
    fix = f"Did you mean {close[0]}" if close else f"Use one of {', '.join(known) or 'those you declare'}"
    return key, f"there is no {kind} {name!r}", f"It must be declared in this scenario as a {kind}", fix


def _wired(scenario: Scenario) -> list[tuple[str, str]]:
    """(key, interface) wherever an interface is tied to a place."""
    links = [(f"link[{index}].between", end) for index, link in enumerate(scenario.link) for end in link.between]
    members = [(f"network[{index}].members", end) for index, net in enumerate(scenario.network) for end in net.members]
    return links + members


def _check_wiring(scenario: Scenario) -> Iterator[_Found]:
    interfaces = _interfaces(scenario)
    used: Counter[str] = Counter()
    for key, end in _wired(scenario):
        if end not in interfaces:
            yield _unknown(key, "interface", end, list(interfaces))
        used[end] += 1
        if used[end] == 2:
            why = "An interface has one cable: it is in one link, or in one network"
            yield key, f"{end} is already connected elsewhere", why, "Give the node one more interface"


def _check_addresses(scenario: Scenario) -> Iterator[_Found]:
    owners: dict[str, str] = {}
    for end, node in _interfaces(scenario).items():
        for address in node.interfaces[end.partition(".")[2]]:
            plain = address.partition("/")[0]
            if plain in owners:
                why = f"{owners[plain]} has it already"
                yield f"node.{end}", f"the address {plain} is given twice", why, "Choose another"
            owners[plain] = end


def _check_moves(scenario: Scenario) -> Iterator[_Found]:
    interfaces = _interfaces(scenario)
    networks = [network.name for network in scenario.network]
    wired = {end for _, end in _wired(scenario)}
    why_fixed = "Only an interface in no link and in no network's members can move"
    for index, node in enumerate(scenario.node):
        for interface, network in node.attached.items():
            key, end = f"node[{index}].attached.{interface}", f"{node.name}.{interface}"
            if interface not in node.interfaces:
                yield _unknown(key, "interface", interface, list(node.interfaces))
            elif end in wired:
                yield key, f"{end} is fixed elsewhere", why_fixed, "Remove it from one of the two"
            if network not in networks:
                yield _unknown(key, "network", network, networks)
    travels = [(f"move[{i}]", move.interface, [move.to] if move.to else []) for i, move in enumerate(scenario.move)]
    travels += [(f"tour[{i}]", tour.interface, tour.networks) for i, tour in enumerate(scenario.tour)]
    for key, end, destinations in travels:
        if end not in interfaces:
            yield _unknown(f"{key}.interface", "interface", end, list(interfaces))
        elif end in wired:
            yield f"{key}.interface", f"{end} is fixed", why_fixed, "Remove it from the link or network"
        for destination in destinations:
            if destination not in networks:
                yield _unknown(key, "network", destination, networks)
    yield from _check_times(scenario)


def _check_times(scenario: Scenario) -> Iterator[_Found]:
    free_at: dict[str, float] = {}
    for move in scenario.moves():
        if move.at_s < free_at.get(move.interface, 0):
            what = f"{move.interface} moves at {move.at_s:g} s, before its previous move is over"
            yield "move", what, "A move takes its gap_s", "Move it later or shorten the gap"
        free_at[move.interface] = move.at_s + move.gap_s
        if move.at_s + move.gap_s >= scenario.duration_s:
            what = f"{move.interface} moves at {move.at_s:g} s (and a gap of {move.gap_s:g} s)"
            why = f"The run ends at duration_s = {scenario.duration_s:g}"
            yield "move", what, why, "Let the run last longer or move earlier"


def _check_traffic(scenario: Scenario) -> Iterator[_Found]:
    nodes = {node.name: node for node in scenario.node}
    for index, traffic in enumerate(scenario.traffic):
        key = f"traffic[{index}]"
        for name in traffic.between:
            if name not in nodes:
                yield _unknown(f"{key}.between", "node", name, list(nodes))
            elif traffic.addresses is None and not nodes[name].traffic_addresses():
                why = "Neither its interfaces nor a home address of its configuration give one"
                yield f"{key}.between", f"{name} has no address", why, "Give one, or name both in addresses"
        known = all(name in nodes and nodes[name].traffic_addresses() for name in traffic.between)
        if known and traffic.ends(nodes) is None:
            why = "One has IPv6 addresses only, the other one IPv4 addresses only"
            yield f"{key}.between", "the two nodes have no family in common", why, "Name both addresses in addresses"
        if traffic.between[0] == traffic.between[1]:
            yield f"{key}.between", "both ends are the same node", "Traffic crosses the network", "Name two nodes"
        stop_s = scenario.duration_s if traffic.stop_s is None else traffic.stop_s
        if not traffic.start_s < stop_s <= scenario.duration_s:
            why = f"The run lasts duration_s = {scenario.duration_s:g}"
            yield key, "start_s < stop_s <= duration_s does not hold", why, "Correct the times"


def _check_agents(scenario: Scenario) -> Iterator[_Found]:
    needed = {Role.HOME_AGENT: "home_agent", Role.MOBILE_NODE: "mobile_node"}
    for index, node in enumerate(scenario.node):
        section = needed.get(node.role)
        if section is not None and section not in node.config:
            fix = f"Add [node.config.{section}] below the node or give it another role"
            yield f"node[{index}].config", f"has no section {section}", f"{node.name} is a {node.role.value}", fix
        daemon = node.config.get("daemon", {})
        for key in ("name", "runtime_dir", "state_dir"):
            if isinstance(daemon, dict) and key in daemon:
                why = "The lab chooses it, so that runs do not meet"
                yield f"node[{index}].config.daemon.{key}", "must be left out", why, "Remove it"


def _check_failures(scenario: Scenario) -> Iterator[_Found]:
    nodes = {node.name: node for node in scenario.node}
    linked = [end for link in scenario.link for end in link.between]
    for index, fail in enumerate(scenario.fail):
        key = f"fail[{index}]"
        if fail.node is not None and fail.node not in nodes:
            yield _unknown(f"{key}.node", "node", fail.node, list(nodes))
        elif fail.what is FailureKind.DAEMON and not nodes[str(fail.node)].config:
            yield f"{key}.node", f"{fail.node} runs no daemon", "A daemon is to be killed", "Name a node with config"
        elif fail.what is FailureKind.NAT and nodes[str(fail.node)].nat is None:
            yield f"{key}.node", f"{fail.node} has no NAT", "Its mappings are to be forgotten", "Name a node with nat"
        elif fail.what is FailureKind.SITE and not any(end.partition(".")[0] == fail.node for end in linked):
            yield f"{key}.node", f"{fail.node} is in no link", "A site fails by its links", "Name a node with a link"
        for end in fail.links:
            if end not in linked:
                yield _unknown(f"{key}.links", "interface of a link", end, linked)
        until_s = scenario.duration_s if fail.until_s is None else fail.until_s
        if not fail.at_s < until_s <= scenario.duration_s:
            why = f"The run lasts duration_s = {scenario.duration_s:g}"
            yield key, "at_s < until_s <= duration_s does not hold", why, "Correct the times"


def _check_middleboxes(scenario: Scenario) -> Iterator[_Found]:
    """NATs, translators and filters."""
    for index, node in enumerate(scenario.node):
        key = f"node[{index}]"
        for name, role in (("nat", Role.ROUTER), ("nat64", Role.ROUTER), ("drops_icmp", Role.ROUTER),
                           ("clat", Role.MOBILE_NODE)):  # fmt: skip
            if getattr(node, name) and node.role is not role:
                what = f"is for a {role.value}, and {node.name} is a {node.role.value}"
                yield f"{key}.{name}", what, "Other nodes do nothing with it", "Remove it or correct the role"
        if node.nat is not None and not _ipv4(node.interfaces.get(node.nat.outside, [])):
            why = "What leaves by it gets its IPv4 address"
            yield f"{key}.nat.outside", f"{node.nat.outside} has no IPv4 address", why, "Name another or give it one"
    for index, network in enumerate(scenario.network):
        translates = any(
            end.partition(".")[0] == node.name for end in network.members for node in scenario.node if node.nat64
        )
        if translates and network.advertise and network.advertiser != "lab":
            why = "BIRD 2.0 does not advertise a NAT64's prefix (RFC 8781)"
            fix = 'Add advertiser = "lab"'
            yield f"network[{index}].advertiser", "does not fit a router with nat64", why, fix


def _ipv4(addresses: list[str]) -> list[str]:
    return [address for address in addresses if ipaddress.ip_interface(address).version == 4]


def _check_systems(scenario: Scenario) -> Iterator[_Found]:
    bgp = scenario.routing is Routing.BGP
    for index, node in enumerate(scenario.node):
        key = f"node[{index}]"
        if bgp and node.role is Role.ROUTER and node.autonomous_system is None:
            why = "With routing = bgp, every router is in an autonomous system"
            yield f"{key}.as", "is missing", why, "Add as = ..."
        if not bgp or node.role is not Role.ROUTER:
            for name, given in (("as", node.autonomous_system), ("originates", node.originates)):
                if given:
                    why = "It is for routers, where routing = bgp"
                    yield f"{key}.{name}", "has no effect here", why, "Remove it or correct role or routing"


def schema() -> dict[str, Any]:
    """The format as a JSON schema (draft 2020-12), with the key ``base`` of files; shipped as scenario.schema.json."""
    generated = Scenario.model_json_schema()
    generated["$schema"] = "https://json-schema.org/draft/2020-12/schema"
    generated["title"] = "Unwired lab scenario"
    generated["properties"]["base"] = {
        "type": "string",
        "description": "Another scenario file, relative to this one: its keys hold unless this one states them; nodes "
        "and networks one by one, by their names.",
    }
    return generated
