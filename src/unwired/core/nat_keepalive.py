"""How often a mobile node behind a NAT must be heard, so that packets still find it (RFC 5555 section 4.3).

There is no telling from outside how long a NAT keeps a mapping: two minutes at least, says RFC 4787, and many keep it
for half a minute. What the home agent advises is an upper bound. So it begins with an interval that is safe nearly
everywhere, and finds out more by mappings that nothing else depends on: a probe opens a fresh one and asks for one
packet back after a while (``wire/nat_probe.py``). The first probe is for all that the home agent advises, because where
that is answered nothing more needs to be known; then it is a search by halves. What was found is remembered with the
network, and only checked by one probe the next time.
"""

from dataclasses import dataclass

SAFE_S = 20
"""The interval to begin with."""
MIN_S = 5
"""However bad the NAT: no more traffic than that."""
MARGIN = 0.9
"""Part of a time that was survived which is the interval."""
SETTLE_S = 10.0
"""How long to be registered before the first probe: whoever moves on needs none."""
ANSWER_S = 5.0
"""How much later than asked for an answer may come."""
PRECISION = 0.15
"""The search ends when what is survived and what is not are as near to each other as this part of the first."""


@dataclass(frozen=True, slots=True)
class Probe:
    """One that is on its way: its answer is asked for after ``delay_s``."""

    token: int
    delay_s: int
    until: float


class NatKeepalive:
    """Of one NAT at a time. Times are monotonic seconds.

    ``interval_s`` is the longest time without a packet of ours; None: there is no NAT. ``proven_s`` is what a mapping
    was found to survive; None: nothing yet.
    """

    __slots__ = ("_fails_s", "_granted_s", "_next_s", "_probe", "_probe_at", "_sent_at", "_survives_s", "proven_s")

    def __init__(self) -> None:
        self._granted_s: int | None = None
        self._survives_s = SAFE_S
        self._fails_s = 0
        self._next_s = 0
        self._probe: Probe | None = None
        self._probe_at: float | None = None
        self._sent_at = 0.0
        self.proven_s: int | None = None

    @property
    def interval_s(self) -> float | None:
        if self._granted_s is None:
            return None
        if self.proven_s is None:
            return float(self._survives_s)
        return max(self.proven_s * MARGIN, float(min(SAFE_S, self.proven_s)))

    def begin(self, granted_s: int, remembered_s: int | None, now: float) -> None:
        """Behind a NAT from now on. ``granted_s`` is what the home agent advises, ``remembered_s`` what was found in
        this network before."""
        self.stop()
        self._granted_s = granted_s
        self._sent_at = now
        self._survives_s = min(SAFE_S, granted_s)
        self._fails_s = granted_s + 1
        known = remembered_s is not None and self._survives_s < remembered_s <= granted_s
        if known and remembered_s is not None:
            self._fails_s = remembered_s + 1  # more was not survived there
        self._plan(self._fails_s - 1, now + SETTLE_S)

    def stop(self) -> None:
        """No NAT, or not this one any more."""
        self._granted_s = self._probe = self._probe_at = self.proven_s = None

    def sent(self, at: float) -> None:
        """Something of ours has passed the NAT at this time."""
        self._sent_at = max(self._sent_at, at)

    def due_at(self) -> float | None:
        """When a packet must be sent, unless something else is before."""
        interval_s = self.interval_s
        return None if interval_s is None else self._sent_at + interval_s

    def lost(self, now: float) -> None:
        """The mapping was gone although the interval was kept: it is too long."""
        if self._granted_s is None:
            return
        proven_s = self.proven_s
        if proven_s is None:
            self._granted_s = self._survives_s = max(MIN_S, self._survives_s // 2)
            self._probe = self._probe_at = None
            return
        self._fails_s = min(self._fails_s, proven_s)
        self._survives_s = min(SAFE_S, proven_s)
        self.proven_s = None
        self._plan((self._survives_s + self._fails_s) // 2, now + SETTLE_S)

    # --- the search ------------------------------------------------------------------------------------------------

    def deadline(self) -> float | None:
        if self._probe is not None:
            return self._probe.until
        return self._probe_at

    def probe_due(self, now: float) -> int | None:
        """The delay of the probe to send now, if any; ``probing`` says that it was. A probe that was not answered in
        time counts as one that was not survived."""
        if self._probe is not None and self._probe.until <= now:
            self._fails_s, self._probe = self._probe.delay_s, None
            self._search(now)
        if self._probe_at is None or self._probe_at > now:
            return None
        self._probe_at = None
        return self._next_s

    def probing(self, token: int, delay_s: int, now: float) -> None:
        self._probe = Probe(token, delay_s, now + delay_s + ANSWER_S)

    def probed(self, token: int, now: float) -> None:
        """The answer to a probe has come."""
        probe = self._probe
        if probe is None or probe.token != token:
            return
        self._probe = None
        self._survives_s = self.proven_s = probe.delay_s
        self._search(now)

    def _search(self, now: float) -> None:
        if self._fails_s - self._survives_s > max(2, round(self._survives_s * PRECISION)):
            self._plan((self._survives_s + self._fails_s) // 2, now)

    def _plan(self, delay_s: int, at: float) -> None:
        self._probe = None
        if delay_s > self._survives_s:
            self._next_s, self._probe_at = delay_s, at
