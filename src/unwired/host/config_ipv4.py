"""What may be wrong between a role's IPv4 keys, each of which is right by itself (RFC 5555)."""

from collections.abc import Iterable, Iterator

from unwired.core.settings import Family, Prefix, Subscriber
from unwired.host.config_models import HomeAgentSection, MobileNodeSection
from unwired.wire.address import Address, format_address, format_prefix, in_prefix

Found = tuple[str, str, str, str]
"""Key inside the section, what, why, fix."""
AGENT_KEYS = {"address_ipv4", "home_prefixes_ipv4", "pool_ipv4", "mobile_prefix_pool_ipv4"}
NODE_KEYS = {"home_agent", "home_agent_ipv4", "home_address_ipv4", "mobile_prefix_length_ipv4", "families", "insecure"}
"""What is looked at together: when one of them is wrong by itself, the rest would be misunderstood."""


def check_home_agent(agent: HomeAgentSection) -> Iterator[Found]:
    for number, (prefix, length) in enumerate(agent.pool_ipv4):
        if not any(length >= around[1] and in_prefix(prefix, *around) for around in agent.home_prefixes_ipv4):
            yield (
                f"pool_ipv4[{number}]",
                f'"{format_prefix(prefix, length)}" is in none of the IPv4 home prefixes',
                _received(agent),
                "take a part of a home prefix, or add it to home_prefixes_ipv4",
            )
    pools = [(f"pool_ipv4[{number}]", one) for number, one in enumerate(agent.pool_ipv4)]
    pools += [(f"mobile_prefix_pool_ipv4[{number}]", one) for number, one in enumerate(agent.mobile_prefix_pool_ipv4)]
    for place, (key, pool) in enumerate(pools):
        for other_key, other in pools[:place]:
            if _overlap(pool, other):
                yield (
                    key,
                    f'"{format_prefix(*pool)}" and {other_key} have addresses in common',
                    "one address would be given to two mobile nodes",
                    "let each address be in one of the pools",
                )
                break
    around = _pool_around(agent, agent.address_ipv4)
    if around is not None and agent.address_ipv4 is not None:
        yield (
            "address_ipv4",
            f'"{format_address(agent.address_ipv4)}" is in the pool {format_prefix(*around)}',
            "it would be given to a mobile node",
            "take an address beside the pools, or make the pool smaller",
        )


def check_subscriber(agent: HomeAgentSection, subscriber: Subscriber) -> Iterator[Found]:
    address = subscriber.home_address_ipv4
    if address is not None:
        key, text = "home_address_ipv4", f'"{format_address(address)}"'
        if address == agent.address_ipv4:
            why = "one address can't be both the node's and the agent's"
            yield key, "is the home agent's own address", why, "give the node another address of a home prefix"
        elif not any(in_prefix(address, *prefix) for prefix in agent.home_prefixes_ipv4):
            fix = "choose an address of a home prefix, or add its prefix to home_agent.home_prefixes_ipv4"
            yield key, f"{text} is in none of the IPv4 home prefixes", _received(agent), fix
        elif (pool := _pool_around(agent, address)) is not None:
            what = f"{text} is in the pool {format_prefix(*pool)}"
            fix = "choose an address beside the pools, or make the pool smaller"
            yield key, what, "what is in a pool is given to whichever mobile node asks", fix
    for number, prefix in enumerate(subscriber.mobile_prefixes_ipv4):
        key, text = f"mobile_prefixes_ipv4[{number}]", f'"{format_prefix(*prefix)}"'
        if agent.address_ipv4 is not None and in_prefix(agent.address_ipv4, *prefix):
            why = "it would be routed to the mobile node"
            yield key, f"{text} has the home agent's own address in it", why, "take another prefix"
        elif (pool := _first_overlap(prefix, [*agent.pool_ipv4, *agent.mobile_prefix_pool_ipv4])) is not None:
            what = f"{text} and the pool {format_prefix(*pool)} have addresses in common"
            why = "what is in a pool is given to whichever mobile node asks"
            yield key, what, why, "take a prefix beside the pools, or make the pool smaller"


def overlapping(prefixes: Iterable[tuple[str, Prefix]]) -> Iterator[tuple[str, Prefix, str]]:
    """Of prefixes with their keys, each that has addresses in common with another: its key, it, the other's key."""
    widest = None
    for prefix, length, key in sorted((prefix, length, key) for key, (prefix, length) in prefixes):
        if widest is not None and in_prefix(prefix, *widest[1]):
            yield key, (prefix, length), widest[0]
        else:
            widest = key, (prefix, length)


def check_mobile_node(node: MobileNodeSection) -> Iterator[Found]:
    if node.home_agent_ipv4 is not None and node.home_agent is None and node.insecure:
        yield (
            "home_agent",
            "is missing",
            "in an IPv4 network the home agent can't be discovered: binding updates name its IPv6 address, too",
            'add home_agent = "ADDRESS"',
        )
    if node.home_agent_ipv4 is None and Family.IPV6 not in node.families:
        yield (
            "home_agent_ipv4",
            "is missing",
            "families allows IPv4 networks only, and there the home agent is found by its IPv4 address",
            'add home_agent_ipv4 = "ADDRESS", or "ipv6" to families',
        )
    if node.home_address_ipv4 is not None and node.home_address_ipv4 == node.home_agent_ipv4:
        yield (
            "home_address_ipv4",
            "is the home agent's own address",
            "one address can't be both the node's and the agent's",
            'give the node an address of its own, or say "dynamic"',
        )
    if node.mobile_prefix_length_ipv4 is not None and node.home_address_ipv4 is None:
        yield (
            "home_address_ipv4",
            "is missing",
            "a mobile prefix is asked for together with an IPv4 home address (RFC 5555 section 3.1.1)",
            'add home_address_ipv4 = "dynamic", or leave mobile_prefix_length_ipv4 out',
        )


def _received(agent: HomeAgentSection) -> str:
    if not agent.home_prefixes_ipv4:
        return "home_agent.home_prefixes_ipv4 is empty: the home agent receives no packets of IPv4 home addresses"
    prefixes = ", ".join(format_prefix(*prefix) for prefix in agent.home_prefixes_ipv4)
    return f"the home agent receives packets for {prefixes} only"


def _pool_around(agent: HomeAgentSection, address: Address | None) -> Prefix | None:
    pools = [*agent.pool_ipv4, *agent.mobile_prefix_pool_ipv4]
    return None if address is None else next((pool for pool in pools if in_prefix(address, *pool)), None)


def _first_overlap(prefix: Prefix, others: list[Prefix]) -> Prefix | None:
    return next((other for other in others if _overlap(prefix, other)), None)


def _overlap(one: Prefix, other: Prefix) -> bool:
    length = min(one[1], other[1])
    return in_prefix(one[0], other[0], length)
