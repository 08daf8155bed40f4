"""The mobility messages that mobile nodes, home agents and correspondents speak about.

Many more are declared in ``wire/``; a node that has nothing to do with them answers as if it did not know their type
(RFC 6275 section 9.2), which is how their senders learn it (RFC 5846 section 6.2, RFC 7109 section 4).
"""

from unwired.wire.mobility import MobilityMessage
from unwired.wire.rfc5142 import HomeAgentSwitch
from unwired.wire.rfc6275 import BindingError, BindingRefreshRequest

_RECOGNIZED = {*range(BindingRefreshRequest.TYPE, BindingError.TYPE + 1), HomeAgentSwitch.TYPE}


def is_recognized(message: MobilityMessage) -> bool:
    """Whether a message is of RFC 6275 or RFC 5142; others are answered with a binding error."""
    return message.TYPE in _RECOGNIZED
