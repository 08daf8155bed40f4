"""What an exchange with a peer means, direction by direction."""

from collections.abc import Iterator

from unwired.core.forwarding import Encapsulation
from unwired.core.path_mtu import MINIMUM_MTU
from unwired.doctor.clock import WINDOW_S
from unwired.doctor.exchange import Exchange
from unwired.doctor.finding import Level, Result, fail, ok, unknown, warn
from unwired.doctor.host import Host
from unwired.doctor.probe import SIZES, TOLD_TOO_BIG, Probe
from unwired.wire.address import format_address, is_ipv4

CodedResult = tuple[str, Result]
_TO, _FROM = "to peer", "from peer"


def peer_results(host: Host, exchange: Exchange) -> Iterator[CodedResult]:
    """Results with the codes of their findings."""
    here, peer = format_address(exchange.here), format_address(exchange.peer)
    if not exchange.was_heard:
        yield (
            "peer.answer",
            fail(f"nothing came back from {peer}, by no kind of packet", f"there: unwired doctor --answer {here}"),
        )
        return
    yield "peer.answer", ok(f"{peer} and {here} hear of each other")
    for number, probe in exchange.of_this_family():
        if not probe.size:
            level = Level.FAIL if _is_needed(host, probe) else Level.WARN
            yield probe.code, _to(exchange, number, probe, level)
            yield probe.code, _from(exchange, number, probe, level)
    told = bool(exchange.told_by)
    yield "peer.path_mtu", _path_mtu(exchange, exchange.peer_received, exchange.mtu, told, _TO)
    told = TOLD_TOO_BIG in exchange.peer_received
    yield "peer.path_mtu", _path_mtu(exchange, exchange.received, exchange.peer_mtu, told, _FROM)
    yield "peer.clock", _clock(exchange.clock_s)


def _is_needed(host: Host, probe: Probe) -> bool:
    if probe.code == "peer.ipv4_tunnels":
        return host.has_ipv4_home_addresses
    if probe.code == "peer.members_port":
        return host.home_agent is not None and host.home_agent.home_agent_set is not None
    return True


def _to(exchange: Exchange, number: int, probe: Probe, level: Level) -> Result:
    here, peer = format_address(exchange.here), format_address(exchange.peer)
    if number in exchange.peer_received:
        return ok(f"{probe.what} arrive", _TO)
    if number in exchange.refused:
        return Result(level, f"{probe.what} are refused by this host's own packet filter", "nft list ruleset", _TO)
    fix = f"find who drops them on the way from {here} to {peer}: the border there, or ours"
    return Result(level, f"{probe.what} do not arrive", fix, _TO)


def _from(exchange: Exchange, number: int, probe: Probe, level: Level) -> Result:
    here, peer = format_address(exchange.here), format_address(exchange.peer)
    if number in exchange.received:
        return ok(f"{probe.what} arrive", _FROM)
    fix = f"find who drops them on the way from {peer} to {here}: the border here, or theirs"
    return Result(level, f"{probe.what} do not arrive", fix, _FROM)


def _path_mtu(exchange: Exchange, arrived: set[int], mtu: int, told: bool, about: str) -> Result:
    passed = [probe.size for number, probe in exchange.of_this_family() if probe.size and number in arrived]
    if not passed:
        return unknown("no tunnel packet arrived, of whatever size", "see the findings above", about)
    largest = max(passed)
    encapsulation = Encapsulation.UDP if is_ipv4(exchange.here) else Encapsulation.IPV6
    inside = largest - encapsulation.overhead
    found = f"{largest} bytes arrive, which is {inside} inside of a tunnel"
    is_all = largest == max((size for size in SIZES if size <= mtu), default=0)
    if not is_all and not told:
        lost = f"{found}; what is larger is lost, and no router says so"
        return fail(lost, f"let Packet Too Big pass on the way, or: ip link set DEVICE mtu {largest}", about)
    if inside < MINIMUM_MTU:
        return warn(f"{found}: less than the {MINIMUM_MTU} of IPv6", "widen what is between the sites", about)
    return ok(found if is_all else f"{found}; for what is larger a router says Packet Too Big", about)


def _clock(ahead_s: float) -> Result:
    found = f"the peer's clock is {ahead_s:+.1f} s from ours"
    if abs(ahead_s) <= 1.0:
        return ok("the peer's clock is within a second of ours")
    return (warn if abs(ahead_s) <= WINDOW_S else fail)(found, "timedatectl set-ntp true, on both")
