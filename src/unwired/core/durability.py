"""What must survive before something may be said: which acknowledgements may go, and what is confirmed to the others.

Every change of an entry is written to the journal; the changes that this member makes in a set are published as well,
under the same token. Both are answered cumulatively: ``Persisted`` by the journal, ``BindingsHeld`` by each member.

| policy | an acknowledged binding survives |
|---|---|
| ``local`` | the restart of this member |
| ``one-peer`` | the loss of any one member, its journal included |
| ``quorum`` | the loss of fewer than half of the members, their journals included |
"""

from collections import OrderedDict, deque
from collections.abc import Callable
from typing import NamedTuple

from unwired.core.acknowledgement import Request
from unwired.core.binding_cache import (
    Binding,
    BindingCache,
    encode_record,
    home_address_of,
    is_binding_key,
    record_key,
    to_global,
)
from unwired.core.binding_states import State
from unwired.core.door import BindingsKept, Now, Persist, Publish, Send
from unwired.core.notices import Level
from unwired.core.outbox import Outbox
from unwired.core.replica import Replica
from unwired.core.roster import Roster
from unwired.core.settings import Durability, HomeAgentSettings
from unwired.core.timers import Agenda
from unwired.wire.address import Address

PATIENCE_S = 3.0
"""After this long an acknowledgement that waits for other members is worth a notice: the mobile node has repeated."""
RETRY_S = 1.0
"""A member's journal that failed is tried again after this long, because nobody else will ask it to."""


class Waiting(NamedTuple):
    """An acknowledgement that waits for ``token``, of the binding as it was at ``version``."""

    token: int
    request: Request
    answer: Send
    version: int


class Safekeeping:
    """Writes and publishes entries. ``released`` is called with what was acknowledged, ``acknowledged`` with whom.

    At most one acknowledgement waits for each home address: the mobile node listens for that of its latest update.
    """

    def __init__(
        self,
        settings: HomeAgentSettings,
        roster: Roster,
        cache: BindingCache,
        replica: Replica | None,
        outbox: Outbox,
        agenda: Agenda,
    ) -> None:
        self._roster = roster
        self._cache = cache
        self._replica = replica
        self._outbox = outbox
        self._agenda = agenda
        self._policy = Durability.LOCAL if settings.home_agent_set is None else settings.home_agent_set.durability
        self._peers = peers_needed(self._policy, len(roster.numbers))
        self._token = 0
        self._persisted = 0
        self._held = {number: 0 for number in roster.numbers if number != roster.own}
        self._waiting: OrderedDict[Address, Waiting] = OrderedDict()
        self._short: dict[Address, Waiting] = {}
        """What would be durable if all who hold so much had taken it; some of them have refused it."""
        self._refused: dict[Address, set[int]] = {}
        self._unconfirmed: deque[tuple[int, BindingsKept]] = deque()
        self._unwritten: dict[bytes, bytes | None] = {}
        """Of what the journal has refused, the keys and what was to be written."""
        self._stalled_at = 0.0
        self._watched = False
        self._told = False
        self.released: Callable[[Request, Binding | None, Now], None] = lambda request, binding, now: None
        self.acknowledged: Callable[[Address, Now], None] = lambda home_address, now: None

    # --- keeping ---

    def keep(self, binding: Binding, now: Now) -> int:
        """Write an entry to the journal; the token it is answered with."""
        self._token += 1
        if self._replica is not None:
            self._replica.count(binding)
        record = encode_record(binding, now, self._roster.locators)
        self._outbox.actions.append(Persist(self._token, record_key(binding.home_address), record))
        return self._token

    def publish(self, binding: Binding, now: Now) -> int:
        """Write an entry to the journal and give it to the other members; the token that both answer with."""
        token = self.keep(binding, now)
        if self._replica is not None:
            self._outbox.actions.append(Publish(token, to_global(binding, self._roster.locators, now)))
        return token

    def write(self, key: bytes, record: bytes | None) -> None:
        """Write something else than an entry to the journal, before all that is written later."""
        self._token += 1
        self._unwritten.pop(key, None)
        self._outbox.actions.append(Persist(self._token, key, record))

    def forget(self, binding: Binding) -> None:
        """Take an entry that is absent now out of the journal."""
        self._token += 1
        if self._replica is not None:
            self._replica.count(binding)
        self._outbox.actions.append(Persist(self._token, record_key(binding.home_address), None))

    def count(self, binding: Binding) -> None:
        """An entry came from the journal."""
        if self._replica is not None:
            self._replica.count(binding)

    # --- what waits ---

    def acknowledge(self, token: int, request: Request, answer: Send, binding: Binding, now: Now) -> None:
        """Send an acknowledgement as soon as ``token`` is where the policy wants it."""
        if not self._waiting:
            self._stalled_at = now.monotonic
        self.withdraw(binding.home_address)
        self._waiting[binding.home_address] = Waiting(token, request, answer, binding.version)
        if self._peers and not self._watched:
            self._watched = True
            self._agenda.at(now.monotonic + PATIENCE_S, self._watch)

    def withdraw(self, home_address: Address) -> Request | None:
        """Do not acknowledge any more; the request that was to be acknowledged."""
        self._refused.pop(home_address, None)
        waiting = self._waiting.pop(home_address, None) or self._short.pop(home_address, None)
        return None if waiting is None else waiting.request

    def confirm(self, member: int, position: int, refused: tuple[Address, ...]) -> None:
        """Tell a member that what it gave us is durable, but for what we refused, as soon as all that was written up to
        now is."""
        self._unconfirmed.append((self._token, BindingsKept(member, position, refused)))
        self._confirm()

    def __len__(self) -> int:
        """How many acknowledgements wait for anything."""
        return len(self._waiting) + len(self._short)

    def waiting_for_journal(self) -> int:
        """How many acknowledgements wait for our own journal."""
        return sum(waiting.token > self._persisted for waiting in self._waiting.values())

    def waiting_for_members(self) -> int:
        """How many acknowledgements wait for nothing but other members' journals."""
        return len(self) - self.waiting_for_journal()

    # --- answers ---

    def persisted(self, token: int, now: Now) -> None:
        """Our journal has everything up to ``token``."""
        self._persisted = max(self._persisted, token)
        self._confirm()
        self._release(now)

    def held(self, member: int, token: int, refused: frozenset[Address], now: Now) -> None:
        """That member has everything up to ``token``, but for what it refused."""
        for home_address in refused:
            if home_address in self._waiting or home_address in self._short:
                self._refused.setdefault(home_address, set()).add(member)
        if member in self._held and self._held[member] < token <= self._token:
            self._held[member] = token
            self._release(now)

    def not_persisted(self, failed: Persist, reason: str, now: Now) -> None:
        """The journal failed: what was not written is not acknowledged, the mobile node asks again. In a set, what is
        not ours to refuse is written later, and not confirmed before."""
        self._outbox.counters["journal_failures"] += 1
        self._outbox.notify("journal_failed", Level.ERROR, reason=reason)
        is_entry = is_binding_key(failed.key)
        if is_entry:
            home_address = home_address_of(failed.key)
            waiting = self._waiting.get(home_address)
            if waiting is not None and waiting.token == failed.token:
                del self._waiting[home_address]
        if self._replica is not None or not is_entry:
            if not self._unwritten:
                self._agenda.at(now.monotonic + RETRY_S, self._write_again)
            self._unwritten[failed.key] = failed.record

    def _write_again(self, now: Now) -> None:
        unwritten, self._unwritten = self._unwritten, {}
        for key, record in unwritten.items():
            binding = self._cache.get(home_address_of(key)) if is_binding_key(key) else None
            if binding is not None:
                self.keep(binding, now)
            else:
                self._token += 1
                self._outbox.actions.append(Persist(self._token, key, None if is_binding_key(key) else record))
        self._unconfirmed = deque((self._token, kept) for _, kept in self._unconfirmed)

    def _confirm(self) -> None:
        while self._unconfirmed and self._unconfirmed[0][0] <= self._persisted and not self._unwritten:
            self._outbox.actions.append(self._unconfirmed.popleft()[1])

    def _durable(self) -> int:
        """The greatest token that is where the policy wants it."""
        if not self._peers:
            return self._persisted
        held = sorted(self._held.values(), reverse=True)
        return min(self._persisted, held[self._peers - 1]) if self._peers <= len(held) else 0

    def _release(self, now: Now) -> None:
        """Send the acknowledgements that need not wait any more, unless the binding ended or became another's
        meanwhile."""
        durable, waiting = self._durable(), self._waiting
        while waiting and next(iter(waiting.values())).token <= durable:
            home_address, item = waiting.popitem(last=False)
            self._stalled_at = now.monotonic
            if home_address in self._refused:
                self._short[home_address] = item
                self._outbox.counters["acknowledgements_refused_by_members"] += 1
            else:
                self._send(home_address, item, now)
        for home_address, item in list(self._short.items()):
            refused = self._refused[home_address]
            holders = sum(token >= item.token and member not in refused for member, token in self._held.items())
            if holders >= self._peers:
                del self._short[home_address], self._refused[home_address]
                self._send(home_address, item, now)
        if self._told and not waiting:
            self._told = False
            self._outbox.notify("acknowledgements_go_on")

    def _send(self, home_address: Address, item: Waiting, now: Now) -> None:
        binding = self._cache.get(home_address)
        if item.request.update.lifetime_units and (
            binding is None or binding.state != State.BOUND or binding.version != item.version
        ):
            return
        self._outbox.actions.append(item.answer)
        self._outbox.counters["binding_updates_accepted"] += 1
        self.acknowledged(home_address, now)
        self.released(item.request, binding, now)

    def _watch(self, now: Now) -> None:
        """Tell a person when the other members keep acknowledgements waiting."""
        self._watched = bool(self._waiting)
        if not self._watched:
            return
        stalled_s = now.monotonic - self._stalled_at
        is_written = next(iter(self._waiting.values())).token <= self._persisted
        if not self._told and is_written and stalled_s >= PATIENCE_S:
            self._told = True
            self._outbox.notify(
                "acknowledgements_wait_for_members",
                Level.WARNING,
                durability=self._policy.value,
                members_needed=self._peers,
                waiting=len(self._waiting),
            )
        self._agenda.at(now.monotonic + PATIENCE_S, self._watch)


def peers_needed(policy: Durability, members: int) -> int:
    """In how many journals besides our own a binding must be, in a set of so many members."""
    if policy == Durability.LOCAL:
        return 0
    return 1 if policy == Durability.ONE_PEER else members // 2
