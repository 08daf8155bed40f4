"""Where the parts of one engine leave what they want done, and count."""

from collections import Counter

from unwired.core.door import Action, Notify, Send
from unwired.core.notices import Drop, Level, Notice
from unwired.wire.address import Address
from unwired.wire.ipv6 import Packet


class Outbox:
    """The actions not yet taken, the drops by reason and the counters; shared by all parts of an engine."""

    __slots__ = ("actions", "counters", "drops")

    def __init__(self) -> None:
        self.actions: list[Action] = []
        self.drops: Counter[Drop] = Counter()
        self.counters: Counter[str] = Counter()

    def take(self) -> list[Action]:
        """The actions in order, each given once."""
        taken = self.actions
        self.actions = []
        return taken

    def drop(self, reason: Drop) -> None:
        self.drops[reason] += 1

    def emit(self, action: Action) -> None:
        self.actions.append(action)

    def send(self, packet: Packet, interface: int = 0) -> None:
        self.actions.append(Send(packet, interface))

    def notify(
        self,
        name: str,
        level: Level = Level.INFO,
        home_address: Address | None = None,
        **fields: str | int | float | bool | bytes | None,
    ) -> None:
        self.actions.append(Notify(Notice(name, level, fields, home_address)))
