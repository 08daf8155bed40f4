"""Looks after a mobile node's tunnel once it is registered: NAT keepalives, the path MTU, and whether it is alive.

All three ask the same question, an echo request in the tunnel (``tunnel_echo.py``), of the home agent's kernel. What
comes of it is a finding that the state machine acts on.
"""

from collections.abc import Callable
from dataclasses import dataclass
from enum import Enum

from unwired.core.binding_update_list import Bound
from unwired.core.door import CountTunnel, ProbeNat, TunnelCounted
from unwired.core.forwarding import Encapsulation
from unwired.core.liveness import Liveness
from unwired.core.nat_keepalive import NatKeepalive
from unwired.core.networks import Networks
from unwired.core.outbox import Outbox
from unwired.core.path_mtu import MINIMUM_MTU, inner_mtu
from unwired.core.path_probing import TRIES, PathProber
from unwired.core.places import Away
from unwired.core.tunnel_echo import SIZE_MIN, TunnelEcho
from unwired.core.tunnel_rows import TUNNEL, TunnelRows
from unwired.wire.address import Address
from unwired.wire.icmpv6 import EchoReply

QUESTIONS = 3
"""Echo requests in a row without an answer that decide."""
ANSWER_MIN_S = 0.3
ANSWER_MAX_S = 2.0
"""How long an answer is waited for: three round trips, within these."""
ETHERNET_MTU = 1500


class Finding(Enum):
    ASK = "ask"
    """Only a binding update can tell whether the home agent still reaches us."""
    BLOCKED = "blocked"
    """Nothing comes through that is not in UDP; perhaps UDP does."""
    DEAD = "dead"
    """Nothing comes through."""


@dataclass(slots=True)
class _Question:
    """``keeps``: it is a keepalive. ``left``: how many more are asked."""

    keeps: bool
    left: int
    next_at: float


class TunnelWatch:
    """``entropy`` gives random bytes. Times are monotonic seconds."""

    def __init__(
        self,
        home_address: Address,
        rows: TunnelRows,
        networks: Networks,
        outbox: Outbox,
        entropy: Callable[[int], bytes],
    ) -> None:
        self._home_address = home_address
        self._rows = rows
        self._networks = networks
        self._outbox = outbox
        self._entropy = entropy
        self._echo = TunnelEcho(entropy)
        self.prober = PathProber()
        self.keepalive = NatKeepalive()
        self._liveness = Liveness()
        self._of: tuple[Away, Address, Encapsulation] | None = None
        """The place, home agent and encapsulation looked after."""
        self._granted_s: int | None = None
        self._answer_s = ANSWER_MAX_S
        self._question: _Question | None = None
        self._unanswered: _Question | None = None
        """The last question, when it was not answered and a binding update has been sent for it."""
        self._blocked = False
        """It was said that nothing comes through."""
        self._answered: set[Address] = set()
        """Home agents whose kernel has answered an echo request."""

    # --- what happened ---------------------------------------------------------------------------------------------

    def registered(
        self, place: Away, home_agent: Address, bound: Bound, link_mtu: int, round_trip_s: float, now: float
    ) -> None:
        """The home agent has acknowledged; for the first time from here, or once more."""
        self._answer_s = min(max(3 * round_trip_s, ANSWER_MIN_S), ANSWER_MAX_S)
        of = (place, home_agent, bound.encapsulation)
        unanswered, self._unanswered = self._unanswered, None
        if self._of == of:
            if unanswered is not None:
                self._explain(unanswered, home_agent, now)
            if self._granted_s != bound.nat_keepalive_s:
                self._keep(place, bound, now)
            return
        self.stop()
        self._of, self._blocked = of, False
        overhead = bound.encapsulation.overhead
        known = self._networks.of(place).path_mtu - overhead
        self.prober.begin((link_mtu or ETHERNET_MTU) - overhead, MINIMUM_MTU - overhead, now, known)
        self._liveness.begin(now)
        self._keep(place, bound, now)
        self._probe_path(now)

    def stop(self) -> None:
        """There is no tunnel that could be looked after, or it is not known where it should go."""
        self._of = self._question = self._unanswered = self._granted_s = None
        self.prober.stop()
        self.keepalive.stop()
        self._liveness.stop()
        self._echo.forget()

    def counted(self, event: TunnelCounted, now: float) -> None:
        if event.number != TUNNEL:
            return
        sent_at = self._liveness.counted(event.packets_sent, event.packets_received, now)
        if sent_at is not None:
            self.keepalive.sent(sent_at)
        if self._liveness.is_strange(now) and self._question is None and self._unanswered is None:
            self._ask(False, now)

    def echoed(self, message: EchoReply, now: float) -> bool:
        """An answer to a question of ours; False: to somebody else's."""
        echo = self._echo.answered(message)
        if echo is None or self._of is None:
            return False
        self._answered.add(self._of[1])
        if self._question is not None and not self._question.keeps:
            self.prober.doubt(now)  # small packets pass, and nothing else seemed to
        self._question = None
        self._liveness.heard()
        self.prober.answered(echo.size, now)
        self._probe_path(now)
        return True

    def too_big(self, path_mtu: int, now: float) -> None:
        """An ICMP error said what the path carries."""
        if self._of is not None:
            self.prober.lower(inner_mtu(path_mtu, self._of[2]), now)
            self._probe_path(now)

    def nat_probed(self, token: int, now: float) -> None:
        self.keepalive.probed(token, now)
        if self._of is not None and self.keepalive.proven_s is not None:
            self._networks.of(self._of[0]).keepalive_s = self.keepalive.proven_s

    def asked_to_register(self, now: float) -> None:
        """The home agent has heard us by a mapping that it does not know. When that was a keepalive, it came too late
        for the one before."""
        if self._question is not None and self._question.keeps:
            self._lost_mapping(now)
            self._question = None

    # --- time ------------------------------------------------------------------------------------------------------

    def deadline(self) -> float | None:
        if self._of is None:
            return None
        question = None if self._question is None else self._question.next_at
        due_at = self.keepalive.due_at() if self._question is None else None
        times = (
            self.prober.deadline(),
            self.keepalive.deadline(),
            self._liveness.count_at,
            question,
            due_at,
        )
        return min((time for time in times if time is not None), default=None)

    def wake(self, now: float) -> Finding | None:
        if self._of is None:
            return None
        self.prober.wake(now)
        self._probe_path(now)
        self._probe_nat(now)
        if self._liveness.count_at is not None and self._liveness.count_at <= now:
            self._liveness.asked(now)
            self._outbox.emit(CountTunnel(TUNNEL))
        due_at = self.keepalive.due_at()
        if self._question is None and due_at is not None and due_at <= now:
            self._ask(True, now)
        return self._found_blocked() or self._ask_again(now)

    # --- questions -------------------------------------------------------------------------------------------------

    def _ask(self, keeps: bool, now: float) -> None:
        self._question = _Question(keeps, QUESTIONS, now)
        self._ask_again(now)

    def _ask_again(self, now: float) -> Finding | None:
        question = self._question
        if question is None or question.next_at > now or self._of is None:
            return None
        if question.left:
            question.left -= 1
            question.next_at = now + self._answer_s
            self._send_echo(SIZE_MIN, now)
            self.keepalive.sent(now)
            self._outbox.counters["tunnel_echo_requests"] += 1
            return None
        self._question, self._unanswered = None, question
        return Finding.DEAD if self._of[1] in self._answered and not question.keeps else Finding.ASK

    def _found_blocked(self) -> Finding | None:
        """The first packets in a tunnel without UDP tell whether the network lets any through."""
        if self._of is None or self._blocked or self.prober.confirmed or self._of[2] is not Encapsulation.IPV4:
            return None
        enough = 1 if self._of[1] in self._answered else TRIES
        self._blocked = self.prober.silent_tries >= enough
        return Finding.BLOCKED if self._blocked else None

    def _explain(self, unanswered: _Question, home_agent: Address, now: float) -> None:
        """A question was not answered, but the binding update after it was: by a new mapping, or the home agent's
        kernel answers no echo requests at all."""
        self._liveness.heard()
        if unanswered.keeps and home_agent in self._answered:
            self._lost_mapping(now)

    def _lost_mapping(self, now: float) -> None:
        self.keepalive.lost(now)
        if self._of is not None:
            self._networks.of(self._of[0]).keepalive_s = None

    def _keep(self, place: Away, bound: Bound, now: float) -> None:
        self._granted_s = bound.nat_keepalive_s
        if bound.nat_keepalive_s is None:
            self.keepalive.stop()
        else:
            self.keepalive.begin(bound.nat_keepalive_s, self._networks.of(place).keepalive_s, now)

    def _probe_nat(self, now: float) -> None:
        tunnel, delay_s = self._rows.tunnel, self.keepalive.probe_due(now)
        if delay_s is None or tunnel is None:
            return
        token = int.from_bytes(self._entropy(4))
        self.keepalive.probing(token, delay_s, now)
        self._outbox.counters["nat_probes"] += 1
        self._outbox.emit(ProbeNat(token, tunnel.local, tunnel.peer, delay_s))

    def _probe_path(self, now: float) -> None:
        for size in self.prober.probes():
            self._send_echo(size, now)
            self._outbox.counters["path_mtu_probes"] += 1
        self._rows.limit(self.prober.mtu)
        if self._of is not None:
            place, _, encapsulation = self._of
            self._networks.of(place).path_mtu = self.prober.mtu and self.prober.mtu + encapsulation.overhead

    def _send_echo(self, size: int, now: float) -> None:
        tunnel = self._rows.tunnel
        if tunnel is not None and self._of is not None:
            self._outbox.send(self._echo.request(self._home_address, self._of[1], tunnel, size, now))
