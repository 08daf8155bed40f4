"""What the paths to mobile nodes carry, probed by the home agent (``path_probing.py``).

They are probed whenever a mobile node registers from another place: ICMP errors about tunnels get lost, through a NAT
above all, or quote too little. Only so many searches go on at once, the others wait their turn. One that found nothing
out of the ordinary is over; one that found a narrow path stays, and looks again after ten minutes. Where nobody
answers, errors are believed for ten minutes.

A member of a set probes only those whose primary home agent it is.
"""

from collections import OrderedDict
from collections.abc import Callable

from unwired.core.binding_cache import Binding, BindingCache
from unwired.core.binding_states import State
from unwired.core.door import Now
from unwired.core.intercept import Interception
from unwired.core.outbox import Outbox
from unwired.core.path_probing import PathProber
from unwired.core.roster import Roster
from unwired.core.timers import Agenda
from unwired.core.tunnel_echo import TunnelEcho
from unwired.wire.address import Address
from unwired.wire.icmpv6 import EchoReply
from unwired.wire.ipv6 import Packet

SEARCHES_MAX = 256
"""Under way at once: each sends at most three packets a second, one after the other when they are answered."""
WAITING_MAX = 10_000
PATIENCE_S = 1.0
"""How long after a change a search begins that no acknowledgement has begun: after a restart, for example."""
NARROW_MAX = 10_000
"""Paths that are known to be narrow, and looked at again."""
_LARGEST_PATH = 1500
"""Nothing larger crosses the Internet."""
_BASE_PATH = 1280
"""What every path is expected to carry: IPv6 must, and what else the Internet has does (BASE_PLPMTU, RFC 8899 section
5.1.2, is a little less)."""


class _Path:
    """The search for one binding; ``wake_at``: when its next timer comes."""

    __slots__ = ("echo", "prober", "wake_at")

    def __init__(self, entropy: Callable[[int], bytes]) -> None:
        self.prober = PathProber()
        self.echo = TunnelEcho(entropy)
        self.wake_at: float | None = None


class HomeAgentPaths:
    """All searches, by home address. ``entropy(size)`` gives random bytes."""

    def __init__(
        self,
        roster: Roster,
        cache: BindingCache,
        interception: Interception,
        outbox: Outbox,
        agenda: Agenda,
        entropy: Callable[[int], bytes],
    ) -> None:
        self._own = roster.own
        self._address = roster.addresses[roster.own]
        self._cache = cache
        self._interception = interception
        self._outbox = outbox
        self._agenda = agenda
        self._entropy = entropy
        self._paths: dict[Address, _Path] = {}
        self._searching: set[Address] = set()
        self._waiting: OrderedDict[Address, None] = OrderedDict()
        self._is_timed = False
        interception.placed = self._placed
        interception.ended = self._ended

    def echoed(self, packet: Packet, message: EchoReply, now: Now) -> bool:
        """An answer to a probe, if it is one."""
        path = self._paths.get(packet.source)
        echo = None if path is None else path.echo.answered(message)
        if path is None or echo is None:
            return False
        path.prober.answered(echo.size, now.monotonic)
        self._go_on(packet.source, path, now)
        return True

    def lower(self, binding: Binding, mtu: int, now: Now) -> int:
        """An error said that the path carries inner packets of at most ``mtu`` bytes; how large they may be now."""
        overhead = binding.encapsulation.overhead
        known = self._interception.tunnel_mtu(binding)
        if mtu >= (known or _LARGEST_PATH - overhead):
            return known or mtu  # the first link said so, or it is no news
        is_wide = mtu >= _BASE_PATH - overhead
        if not is_wide:  # less than probes look for
            self._ended(binding, now)
        path = self._paths.get(binding.home_address)
        if path is None and is_wide and binding.primary == self._own and len(self._searching) < SEARCHES_MAX:
            path = self._begin(binding, now)
        if path is None:
            self._interception.lower_mtu(binding, mtu, now)
        else:
            path.prober.lower(mtu, now.monotonic)
            self._go_on(binding.home_address, path, now)
        return self._interception.tunnel_mtu(binding) or mtu

    def acknowledged(self, home_address: Address, now: Now) -> None:
        """The mobile node opens the tunnel as soon as it has the acknowledgement, which has left before the probes."""
        if home_address in self._waiting and len(self._searching) < SEARCHES_MAX:
            self._start(home_address, now)

    # --- which bindings ---

    def _placed(self, binding: Binding, now: Now) -> None:
        """A mobile node is somewhere else, or another one's."""
        self._ended(binding, now)
        if binding.primary == self._own and len(self._waiting) < WAITING_MAX:
            self._waiting[binding.home_address] = None
            if not self._is_timed:
                self._is_timed = True
                self._agenda.at(now.monotonic + PATIENCE_S, self._begin_late)

    def _ended(self, binding: Binding, now: Now) -> None:
        home_address = binding.home_address
        self._waiting.pop(home_address, None)
        if self._paths.pop(home_address, None) is not None:
            self._searching.discard(home_address)
            self._begin_next(now)

    def _begin_late(self, now: Now) -> None:
        """Those that nothing else has begun."""
        self._is_timed = False
        self._begin_next(now)

    def _begin_next(self, now: Now) -> None:
        while self._waiting and len(self._searching) < SEARCHES_MAX:
            self._start(next(iter(self._waiting)), now)

    def _start(self, home_address: Address, now: Now) -> None:
        """The search for one that waits."""
        del self._waiting[home_address]
        binding = self._cache.get(home_address)
        if binding is not None and binding.state == State.BOUND:
            self._go_on(home_address, self._begin(binding, now), now)

    def _begin(self, binding: Binding, now: Now) -> _Path:
        self._waiting.pop(binding.home_address, None)
        path = self._paths[binding.home_address] = _Path(self._entropy)
        overhead = binding.encapsulation.overhead
        path.prober.begin(_LARGEST_PATH - overhead, _BASE_PATH - overhead, now.monotonic)
        self._searching.add(binding.home_address)
        self._outbox.counters["path_searches"] += 1
        return path

    # --- one search ---

    def _go_on(self, home_address: Address, path: _Path, now: Now) -> None:
        """Send what is to be sent, and make true what was found."""
        binding = self._cache.get(home_address)
        if binding is None or self._paths.get(home_address) is not path:
            return
        prober = path.prober
        tunnel = self._interception.tunnel(binding)
        for size in prober.probes():
            self._outbox.send(path.echo.request(self._address, home_address, tunnel, size, now.monotonic))
            self._outbox.counters["path_probes_sent"] += 1
        self._interception.set_mtu(binding, prober.mtu)
        if prober.is_searching:
            self._searching.add(home_address)
        elif home_address in self._searching:
            self._searching.discard(home_address)
            self._settle(binding, prober, now)
            self._begin_next(now)
        if home_address in self._paths and prober.deadline() not in (None, path.wake_at):
            path.wake_at = prober.deadline()
            self._agenda.at(path.wake_at or now.monotonic, self._wake, home_address, path)

    def _settle(self, binding: Binding, prober: PathProber, now: Now) -> None:
        """Keep only what is worth it."""
        if prober.mtu and prober.confirmed and len(self._paths) <= NARROW_MAX + SEARCHES_MAX:
            self._outbox.counters["narrow_paths_found"] += 1
            return
        del self._paths[binding.home_address]
        if prober.mtu:
            self._interception.set_mtu(binding, 0)
            self._interception.lower_mtu(binding, prober.mtu, now)

    def _wake(self, home_address: Address, path: _Path, now: Now) -> None:
        if self._paths.get(home_address) is path and path.wake_at is not None and path.wake_at <= now.monotonic:
            path.wake_at = None
            path.prober.wake(now.monotonic)
            self._go_on(home_address, path, now)
