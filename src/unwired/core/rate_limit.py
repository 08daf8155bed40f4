"""A token bucket, for answers that RFC 4443 section 2.4 (f) wants limited."""


class TokenBucket:
    """At most ``rate`` a second in the long run, ``burst`` at once. Times are monotonic seconds."""

    __slots__ = ("_burst", "_filled_at", "_rate", "_tokens")

    def __init__(self, rate: float, burst: int) -> None:
        self._rate = rate
        self._burst = float(burst)
        self._tokens = float(burst)
        self._filled_at = float("-inf")

    def take(self, now: float) -> bool:
        """Whether one more may go now; takes its token."""
        if now > self._filled_at:
            # The first reading may be infinitely far: min() makes it a full bucket.
            self._tokens = min(self._burst, self._tokens + (now - self._filled_at) * self._rate)
            self._filled_at = now
        if self._tokens < 1.0:
            return False
        self._tokens -= 1.0
        return True
