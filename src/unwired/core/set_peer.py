"""What is known of one other member of the home agent set, from its HELLOs."""

from typing import Any

from unwired.core.door import Now
from unwired.core.forwarding import Tunnel
from unwired.core.hello import MemberKeys
from unwired.core.member_states import UP, State
from unwired.core.notices import Drop
from unwired.core.settings import Member
from unwired.wire.address import format_address
from unwired.wire.home_agent_hello import KeyHeld, MemberStateOption, TimeEcho, TimeSent

MEMBER_TUNNEL = 0x8000_0000
"""The tunnel to a member has this number, or'ed with the member's."""
RTT_MAX_S = 60.0
_RTT_GAIN = 1 / 8
"""Weight of a new round trip time in the smoothed one (RFC 6298's)."""
_MICROSECONDS = 1_000_000


def microseconds(monotonic: float) -> int:
    """A clock reading as it stands in a HELLO."""
    return int(monotonic * _MICROSECONDS) & 0xFFFF_FFFF_FFFF_FFFF


class Peer:
    """``silent_at`` is the monotonic time at which it is taken for dead, if nothing is heard until then;
    ``heard_since`` when the last silence of that length ended, infinite during one, and ``silence_ms`` how long it was.
    ``held`` is the epoch of our key that it has; ``room`` how many mobile nodes more it takes now."""

    __slots__ = (
        "boot",
        "dead_at",
        "excused",
        "false_detections",
        "heard_at",
        "heard_since",
        "held",
        "hellos_received",
        "interval_s",
        "keys",
        "last_refusal",
        "member",
        "mtu",
        "number",
        "primaries",
        "refused",
        "room",
        "rtt_s",
        "silence_ms",
        "silent_at",
        "state",
        "time_sent",
        "time_sent_at",
        "waiting",
    )

    def __init__(self, number: int, member: Member) -> None:
        self.number = number
        self.member = member
        self.keys = MemberKeys()
        self.state = State.UNKNOWN
        self.boot = b""
        self.interval_s = 0.0
        self.heard_at = float("-inf")
        self.heard_since = float("inf")
        self.silence_ms = 0.0
        self.silent_at = float("inf")
        self.dead_at = float("-inf")
        """When it was last taken for dead, or would have been."""
        self.excused = False
        """Whether its silence may have been our own, once (see ``MemberWatch``)."""
        self.held: int | None = None
        self.primaries = 0
        self.waiting = 0
        self.room = 0
        self.rtt_s: float | None = None
        self.time_sent: int | None = None
        self.time_sent_at = 0.0
        self.hellos_received = 0
        self.false_detections = 0
        self.refused = 0
        self.last_refusal: Drop | None = None
        self.mtu = 0
        """The largest packet in bytes that the path to it was found to carry in our tunnel; 0: nothing is known."""

    @property
    def is_up(self) -> bool:
        return self.state in UP

    def tunnel(self, local: Member) -> Tunnel:
        """The HA-HA tunnel from us to it."""
        return Tunnel(MEMBER_TUNNEL | self.number, local.locator, self.member.locator, mtu=self.mtu)

    def refuse(self, reason: Drop) -> None:
        """A datagram from its locator was dropped: the reason is for a person."""
        self.refused += 1
        self.last_refusal = reason

    def take(self, state: MemberStateOption, options: tuple[object, ...], now: float) -> None:
        """What its latest HELLO says but for its state."""
        self.boot = state.boot
        self.primaries, self.waiting, self.room = state.primaries, state.waiting, state.room
        self.held = None
        self.time_sent = None
        for option in options:
            if isinstance(option, TimeSent):
                self.time_sent, self.time_sent_at = option.microseconds, now
            elif isinstance(option, TimeEcho):
                self._measure(option, now)
            elif isinstance(option, KeyHeld):
                self.held = option.epoch

    def _measure(self, echo: TimeEcho, now: float) -> None:
        rtt_s = (microseconds(now) - echo.microseconds - echo.held_us) / _MICROSECONDS
        if 0 <= rtt_s <= RTT_MAX_S:
            self.rtt_s = rtt_s if self.rtt_s is None else self.rtt_s + _RTT_GAIN * (rtt_s - self.rtt_s)

    def echo(self, now: float) -> TimeEcho | None:
        """What our next HELLO to it gives back."""
        if self.time_sent is None:
            return None
        return TimeEcho(self.time_sent, min(int((now - self.time_sent_at) * _MICROSECONDS), 0xFFFF_FFFF))

    def report(self, now: Now) -> dict[str, Any]:
        """Ready for JSON."""
        heard = self.heard_at > float("-inf")
        return {
            "name": self.member.name,
            "number": self.number,
            "own": False,
            "address": format_address(self.member.address),
            "locator": format_address(self.member.locator),
            "state": self.state.name.lower(),
            "up": self.is_up,
            "primaries": self.primaries,
            "waiting": self.waiting,
            "room": self.room,
            "rtt_ms": None if self.rtt_s is None else round(self.rtt_s * 1000, 3),
            "tunnel_mtu": self.mtu or None,
            "hello_interval_ms": round(self.interval_s * 1000),
            "heard_ms_ago": round((now.monotonic - self.heard_at) * 1000, 1) if heard else None,
            "hellos_received": self.hellos_received,
            "hellos_refused": self.refused,
            "last_refusal": None if self.last_refusal is None else self.last_refusal.value,
            "has_key": self.keys.epoch is not None,
            "false_detections": self.false_detections,
        }
