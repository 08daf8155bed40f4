"""The HELLO datagrams between us and every other member: sent on a fixed beat, received, our key renewed."""

import math
from collections.abc import Callable

from unwired.core.door import HelloReceived, KeyShared, Now, SendHello, ShareKey
from unwired.core.hello import OwnKeys
from unwired.core.member_states import State
from unwired.core.member_watch import MemberWatch
from unwired.core.notices import Drop
from unwired.core.outbox import Outbox
from unwired.core.set_peer import Peer, microseconds
from unwired.core.settings import HomeAgentSetSettings
from unwired.core.timers import Agenda
from unwired.wire.home_agent_hello import (
    HelloOption,
    HomeAgentHello,
    KeyHeld,
    MemberState,
    MemberStateOption,
    TimeSent,
    encode_hello,
)

HELLO_INTERVAL_MAX_MS = 10_000
"""A longer one is not believed: such a member's death would be noticed by nobody."""
KEY_LIFETIME_S = 3600.0
KEY_RENEWAL_LEAST_S = 10.0
"""The least time from one key of ours to the next, and from one attempt to renew it to the next."""
_STATES = frozenset(MemberState)


class HelloExchange:
    """``describe()`` is what we say of ourselves; ``on_beat(now)`` is called with each round of HELLOs that is due,
    ``on_heard(peer, now)`` after each that was heard. ``entropy(size)`` gives secret random bytes."""

    def __init__(
        self,
        settings: HomeAgentSetSettings,
        outbox: Outbox,
        agenda: Agenda,
        entropy: Callable[[int], bytes],
        peers: list[Peer],
        watch: MemberWatch,
        describe: Callable[[], MemberStateOption],
    ) -> None:
        self._settings = settings
        self._outbox = outbox
        self._agenda = agenda
        self._keys = OwnKeys(entropy)
        self._peers = peers
        self._by_locator = {peer.member.locator: peer for peer in peers}
        self._watch = watch
        self._describe = describe
        self._locator = settings.self.locator
        self._running = False
        self._beat_at = 0.0
        self._renewed_at = 0.0
        self._renew_at = math.inf
        self.on_beat: Callable[[Now], None] = lambda now: None
        self.on_heard: Callable[[Peer, Now], None] = lambda peer, now: None

    def start(self, now: Now) -> None:
        self._running = True
        self._renewed_at = self._beat_at = now.monotonic
        self._outbox.actions.append(ShareKey(*self._keys.newest))
        self._renew_later(now.monotonic + KEY_LIFETIME_S)
        self._beat(now)

    def stop(self) -> None:
        """Nothing is sent any more by itself, and nothing is heard."""
        self._running = False

    # --- sending (draft-wakikawa-mext-global-haha-spec section 5.2.3) ---

    def _beat(self, now: Now) -> None:
        if not self._running:
            return
        self.send_to_all(now)
        self.on_beat(now)
        # A fixed beat, unless we were away for longer than one.
        self._beat_at = max(self._beat_at + self._settings.hello_interval_s, now.monotonic)
        self._agenda.at(self._beat_at, self._beat)

    def send_to_all(self, now: Now) -> None:
        option = self._describe()
        for peer in self._peers:
            self._send(peer, option, now)

    def _send(self, peer: Peer, option: MemberStateOption, now: Now) -> None:
        options: list[HelloOption] = [option, TimeSent(microseconds(now.monotonic))]
        echo = peer.echo(now.monotonic)
        if echo is not None:
            options.append(echo)
        if peer.keys.epoch is not None:
            options.append(KeyHeld(peer.keys.epoch))
        settings = self._settings
        leaving = option.state == MemberState.LEAVING
        sequence = self._keys.next_sequence()
        hello = HomeAgentHello(
            settings.group_id,
            sequence & 0xFFFF,
            active=option.state in (MemberState.SERVING, MemberState.DRAINING),
            request=peer.state is State.UNKNOWN and not leaving,
            lifetime_s=0 if leaving else max(1, math.ceil(settings.hello_interval_s * settings.hello_misses)),
            interval_ms=max(1, round(settings.hello_interval_s * 1000)),
            options=tuple(options),
        )
        data = self._keys.seal(sequence, encode_hello(hello), peer.held, self._locator, peer.member.locator)
        self._outbox.actions.append(SendHello(peer.member.locator, data))

    # --- keys ---

    def _renew_later(self, when: float) -> None:
        if when < self._renew_at:
            self._renew_at = when
            self._agenda.at(when, self._renew, when)

    def _renew(self, when: float, now: Now) -> None:
        """A new key, once every member that is up has the one before."""
        if when != self._renew_at or not self._running:
            return
        self._renew_at = math.inf
        former = self._keys.former_epoch
        if former is not None and any(peer.is_up and peer.held == former for peer in self._peers):
            self._renew_later(now.monotonic + KEY_RENEWAL_LEAST_S)
            return
        self._keys.renew()
        self._renewed_at = now.monotonic
        self._outbox.actions.append(ShareKey(*self._keys.newest))
        self._outbox.counters["hello_keys_renewed"] += 1
        self._renew_later(now.monotonic + KEY_LIFETIME_S)

    def learn(self, event: KeyShared) -> None:
        """Another member's key."""
        for peer in self._peers:
            if peer.number == event.member:
                reason = peer.keys.learn(event.epoch, event.key)
                if reason is not None:
                    self._refuse(peer, reason)

    # --- receiving (section 5.2.4) ---

    def receive(self, event: HelloReceived, now: Now) -> None:
        if not self._running:
            return
        peer = self._by_locator.get(event.source)
        if peer is None:
            self._outbox.drop(Drop.HELLO_NOT_A_MEMBER)
            return
        opened = peer.keys.open(event.data, event.source, self._locator, self._settings.group_id, now.monotonic)
        if isinstance(opened, Drop):
            self._refuse(peer, opened)
            return
        hello = opened.hello
        option = hello.option(MemberStateOption)
        if (
            option is None
            or option.state not in _STATES
            or not hello.global_set
            or not 1 <= hello.interval_ms <= HELLO_INTERVAL_MAX_MS
            or (option.state == MemberState.LEAVING) != (hello.lifetime_s == 0)
        ):
            self._refuse(peer, Drop.HELLO_ABSURD)
            return
        peer.hellos_received += 1
        if not opened.is_latest:
            return
        if peer.boot and option.boot != peer.boot:
            # What was recorded under our present key could be played to it, which remembers nothing any more.
            self._renew_later(max(now.monotonic, self._renewed_at + KEY_RENEWAL_LEAST_S))
        self._watch.heard(peer, hello, option, now)
        if hello.request:
            self._send(peer, self._describe(), now)
        self.on_heard(peer, now)

    def _refuse(self, peer: Peer, reason: Drop) -> None:
        self._outbox.drop(reason)
        peer.refuse(reason)
