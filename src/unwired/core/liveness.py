"""Whether a tunnel still carries packets both ways, seen from how many it has carried.

A link that is up may lead nowhere: a router that has lost its uplink, a family that is not routed any more, a firewall
that lets nothing but TCP through. While packets go into the tunnel and some come back, nothing is to be asked. When
only some go in, for a while, an answer is asked for; one-way traffic is then asked about less and less.
"""

BUSY_POLL_S = 1.0
IDLE_POLL_S = 5.0
"""How often to count while there is traffic, and while there is none."""
SILENCE_S = 2.0
SILENCE_MAX_S = 30.0
"""How long nothing comes back before that is strange; doubled from the first to the second while all that comes back is
what was asked for."""
ANSWERS = 3
"""So many packets between two counts may be answers to our own questions."""


class Liveness:
    """Of one tunnel. Times are monotonic seconds."""

    __slots__ = ("_counted_at", "_received", "_sent", "_silence_s", "_silent_since", "count_at")

    def __init__(self) -> None:
        self.count_at: float | None = None
        """When to count again; None: not watched."""
        self._counted_at: float | None = None
        self._sent = 0
        self._received = 0
        self._silence_s = SILENCE_S
        self._silent_since: float | None = None

    def begin(self, now: float) -> None:
        self.count_at = now + BUSY_POLL_S
        self._counted_at = self._silent_since = None
        self._silence_s = SILENCE_S

    def stop(self) -> None:
        self.count_at = None

    def asked(self, now: float) -> None:
        """The count was asked for; should it never come, it is asked for again."""
        self.count_at = now + IDLE_POLL_S

    def counted(self, sent: int, received: int, now: float) -> float | None:
        """What the tunnel has carried by now. Since when packets have gone in for certain; None: none since the last
        time."""
        if self.count_at is None:
            return None
        before, self._counted_at = self._counted_at, now
        has_sent = before is not None and sent > self._sent
        came_back = 0 if before is None else received - self._received
        has_received = before is None or came_back > 0
        self._sent, self._received = sent, received
        self.count_at = now + (BUSY_POLL_S if has_sent or (has_received and before is not None) else IDLE_POLL_S)
        if has_received:
            self._silent_since = None
            if came_back > ANSWERS:
                self._silence_s = SILENCE_S
        elif has_sent and self._silent_since is None:
            self._silent_since = before
        return before if has_sent else None

    def is_strange(self, now: float) -> bool:
        """Packets go in and nothing has come back for too long: ask."""
        return self._silent_since is not None and now - self._silent_since >= self._silence_s

    def heard(self) -> None:
        """The question was answered."""
        if self._silent_since is not None:
            self._silence_s = min(self._silence_s * 2, SILENCE_MAX_S)
            self._silent_since = None
