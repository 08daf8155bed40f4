"""What a mobile node makes of refusals by a home agent: told to people, and answered by waiting longer each time."""

from unwired.core.mobile_node_registration import REFUSAL_WAIT_MAX_S, Answer, Verdict
from unwired.core.notices import Level
from unwired.core.outbox import Outbox
from unwired.wire.address import Address, format_address
from unwired.wire.rfc6275 import BindingStatus

_DOUBLINGS_MAX = 16


class Refusals:
    """Those in a row. ``forbidden``: the home address must not be tried again (status 134, RFC 6275 section 11.7.1)."""

    def __init__(self, home_address: Address, outbox: Outbox) -> None:
        self._home_address = home_address
        self._outbox = outbox
        self._count = 0
        self.forbidden = False

    def accepted(self) -> None:
        self._count = 0

    def wait_s(self, answer: Answer) -> float:
        """How long to leave the home agent alone after one more of them."""
        wait_s = min(answer.wait_s * 2.0**self._count, REFUSAL_WAIT_MAX_S)
        self._count = min(self._count + 1, _DOUBLINGS_MAX)
        return wait_s

    def tell(self, answer: Answer, home_agent: Address | None, wait_s: float | None) -> None:
        """``wait_s`` None: there will be no other try."""
        try:
            reason = BindingStatus(answer.status).name.lower()
        except ValueError:
            reason = "unknown"
        self._outbox.notify(
            "registration_failed",
            Level.ERROR if answer.verdict is Verdict.FORBIDDEN else Level.WARNING,
            self._home_address,
            home_agent=None if home_agent is None else format_address(home_agent),
            status=answer.status,
            reason=reason,
            wait_s=wait_s,
        )
