"""The one way decoding fails."""


class DecodeError(ValueError):
    """Bytes that are not what the specification says.

    ``reason`` is one short English clause naming the field; ``offset`` counts bytes from the start of what was decoded.
    No other exception leaves ``unwired.wire`` on account of received bytes.
    """

    def __init__(self, reason: str, offset: int = 0) -> None:
        super().__init__(f"{reason} (at byte {offset})")
        self.reason = reason
        self.offset = offset
