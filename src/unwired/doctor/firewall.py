"""What this host's packet filter does to packets that Unwired needs: tried out, with a copy of its rules, in a network
namespace that looks like this one. Firewalls elsewhere on the way show only against a peer."""

from collections.abc import Callable, Iterator
from functools import cache

from unwired.dataplane import DataplaneError
from unwired.doctor.finding import Result, ok, unknown
from unwired.doctor.firewall_model import Model, Place, Way
from unwired.doctor.firewall_passages import Passage, passages
from unwired.doctor.host import Host, Interface
from unwired.doctor.rules_copy import Rules, RulesError, dropping_rule, load_rules, read_rules
from unwired.doctor.scratch import in_scratch

_LOOK = "nft list ruleset"
_IPTABLES = {"ip": "iptables", "ip6": "ip6tables"}


def outgoing(host: Host) -> Iterator[Result]:
    yield from _of(host, Way.OUT)


def incoming(host: Host) -> Iterator[Result]:
    yield from _of(host, Way.IN)


def forwarded(host: Host) -> Iterator[Result]:
    yield from _of(host, Way.TO_HOME, Way.FROM_HOME)


def replies(host: Host) -> Iterator[Result]:
    yield from _of(host, Way.REPLY)


def _of(host: Host, *ways: Way) -> Iterator[Result]:
    tried = _tried(host)
    if isinstance(tried, Result):
        yield tried
        return
    dropped = [result for way, result in tried if way in ways and result is not None]
    yield from dropped
    if not dropped:
        yield ok("the packet filter of this host drops nothing of it")


@cache
def _tried(host: Host) -> Result | list[tuple[Way, Result | None]]:
    """What became of each passage, None where it passed; or why nothing was tried."""
    uplink = _uplink(host)
    if uplink is None:
        return unknown("there is no address of this host to try it with", "see network.addresses")
    try:
        rules = read_rules()
        return in_scratch(lambda: list(_try_all(host, uplink, rules)))
    except (RulesError, DataplaneError, OSError) as error:
        return unknown(f"the rules could not be tried out: {error}", _LOOK)


def _try_all(host: Host, uplink: Interface, rules: Rules) -> Iterator[tuple[Way, Result | None]]:
    model = Model(_place(host, uplink))
    try:
        load_rules(rules)
        for passage in passages(host, uplink):
            with model.trial(passage.way, passage.packet, passage.after) as trial:
                yield passage.way, None if trial.passes() else _dropped(passage, rules, trial.send)
    finally:
        model.close()


def _uplink(host: Host) -> Interface | None:
    """One with an IPv6 address, if there is any."""
    reached = [each for each in host.uplinks if each.routable(ipv4=False) or each.routable(ipv4=True)]
    return max(reached, key=lambda each: bool(each.routable(ipv4=False)), default=None)


def _place(host: Host, uplink: Interface) -> Place:
    others = tuple(interface for interface in host.interfaces if interface.name != host.tunnel_device)
    return Place(others, uplink.name, host.tunnel_device, host.home_addresses, host.home_prefixes)


def _dropped(passage: Passage, rules: Rules, send: Callable[[], object]) -> Result:
    by = dropping_rule(send)
    if by is None:
        return Result(
            passage.level,
            f"{passage.what} are dropped{passage.but}",
            f"let them pass; the rules: {_LOOK}; ip6tables-save; iptables-save",
            passage.way,
        )
    if (by.family, by.table) in rules.foreign:
        fix = f"{_IPTABLES[by.family]} -t {by.table} -I {by.chain} {passage.iptables} -j ACCEPT"
    else:
        fix = f"nft insert rule {by.family} {by.table} {by.chain} {passage.nft} accept"
    return Result(passage.level, f"{passage.what} are dropped by {by}{passage.but}", fix, passage.way)
