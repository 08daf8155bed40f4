"""Who of the other members is up: the life of each (``member_states.py``), driven by its HELLOs and its silence, its
row in the forwarding table, and what people are told of it."""

import math
from collections.abc import Callable
from typing import Any

from unwired.core.door import Now
from unwired.core.forwarding import RemoveMember, RemoveTunnel, SetMember, SetTunnel
from unwired.core.intercept import PLANE
from unwired.core.member_states import UP, Input, Revival, State, Step, revival, transition
from unwired.core.notices import Level
from unwired.core.outbox import Outbox
from unwired.core.path_mtu import PATH_MTU_LIFETIME_S
from unwired.core.set_peer import Peer
from unwired.core.settings import HomeAgentSetSettings
from unwired.core.timers import Agenda
from unwired.wire.home_agent_hello import HomeAgentHello, MemberState, MemberStateOption

_NOTICES = {
    State.JOINING: "member_joining",
    State.SERVING: "member_up",
    State.DRAINING: "member_draining",
    State.LEFT: "member_left",
}

REVIVAL_S = 1.0
"""A member that was taken for dead and did not start again is up only when it has been heard for so long. Meanwhile we
do its work, which harms nobody; without this its packets would change their way with every gap of a bad path."""


class MemberWatch:
    """``changed(peer, now)`` is called when one goes up or down, after its row."""

    def __init__(
        self,
        settings: HomeAgentSetSettings,
        outbox: Outbox,
        agenda: Agenda,
        peers: list[Peer],
        changed: Callable[[Peer, Now], None],
    ) -> None:
        self._settings = settings
        self._outbox = outbox
        self._agenda = agenda
        self._peers = peers
        self._changed = changed
        self._running = False
        self._look_at = math.inf
        self.heard_at = -math.inf
        """When any member was last heard."""

    def start(self) -> None:
        """All are down until they are heard: what is meant for their mobile nodes goes directly, as it may."""
        self._running = True
        for peer in self._peers:
            self._set_tunnel(peer)
            self._set_row(peer)

    def stop(self) -> None:
        """Nothing of ours stays in the table."""
        self._running = False
        self._look_at = math.inf
        for peer in self._peers:
            self._outbox.actions.append(RemoveMember(PLANE, peer.number))
            self._outbox.actions.append(RemoveTunnel(peer.tunnel(self._settings.self).number))

    def lower_mtu(self, peer: Peer, mtu: int, now: Now) -> None:
        """The path to its locator carries packets of at most ``mtu`` bytes in our tunnel, until it is tried again."""
        if peer.mtu and peer.mtu <= mtu:
            return
        peer.mtu = mtu
        self._set_tunnel(peer)
        self._agenda.at(now.monotonic + PATH_MTU_LIFETIME_S, self._forget_mtu, peer, mtu)

    def _forget_mtu(self, peer: Peer, mtu: int, now: Now) -> None:
        if peer.mtu == mtu and self._running:
            peer.mtu = 0
            self._set_tunnel(peer)

    def _set_tunnel(self, peer: Peer) -> None:
        self._outbox.actions.append(SetTunnel(peer.tunnel(self._settings.self)))

    def _set_row(self, peer: Peer) -> None:
        member = peer.member
        tunnel = peer.tunnel(self._settings.self).number
        self._outbox.actions.append(SetMember(PLANE, peer.number, member.address, member.locator, tunnel, peer.is_up))

    def heard(self, peer: Peer, hello: HomeAgentHello, option: MemberStateOption, now: Now) -> None:
        """The latest HELLO of a member."""
        same_boot = option.boot == peer.boot
        if peer.boot and not same_boot:
            self._outbox.notify("member_restarted", **_fields(peer))
        peer.take(option, hello.options, now.monotonic)
        if peer.heard_since == math.inf:
            peer.heard_since, peer.silence_ms = now.monotonic, _silent_ms(peer, now)
        peer.interval_s = hello.interval_ms / 1000
        self.heard_at = peer.heard_at = now.monotonic
        peer.excused = False
        if option.state == MemberState.LEAVING:
            peer.silent_at = math.inf
        else:
            peer.silent_at = now.monotonic + self._settings.hello_misses * peer.interval_s
            self._look_from(peer.silent_at)
        would_revive = peer.state is State.DEAD and same_boot and transition(peer.state, Input(option.state))[1] in UP
        if not would_revive or now.monotonic - peer.heard_since >= REVIVAL_S:
            self._advance(peer, Input(option.state), now, peer.silence_ms, same_boot)

    def _look_from(self, when: float) -> None:
        if when < self._look_at:
            self._look_at = when
            self._agenda.at(when, self._look, when)

    def _look(self, when: float, now: Now) -> None:
        """One timer for all members: it comes at the earliest end of a silence, as that was when it was set."""
        if when != self._look_at:
            return
        self._look_at = math.inf
        for peer in self._peers:
            if peer.silent_at > now.monotonic:
                continue
            if now.monotonic - peer.silent_at > peer.interval_s and not peer.excused:
                # It was us who did not listen: what it sent meanwhile may be waiting to be read.
                peer.excused = True
                peer.silent_at = now.monotonic + peer.interval_s
                self._outbox.counters["member_silences_excused"] += 1
            else:
                peer.silent_at = peer.heard_since = math.inf
                peer.dead_at = now.monotonic
                self._advance(peer, Input.SILENCE, now, _silent_ms(peer, now), True)
        self._look_from(min((peer.silent_at for peer in self._peers), default=math.inf))

    def _advance(self, peer: Peer, given: Input, now: Now, silent_ms: float, same_boot: bool) -> None:
        step, after = transition(peer.state, given)
        if step is Step.STAY:
            return
        was_up = peer.is_up
        before, peer.state = peer.state, after
        was = revival(same_boot, peer.heard_since - peer.dead_at) if step is Step.REVIVE else None
        self._tell(peer, step, before, silent_ms, was)
        if peer.is_up is not was_up:
            self._set_row(peer)
            self._changed(peer, now)

    def _tell(self, peer: Peer, step: Step, before: State, silent_ms: float, was: Revival | None) -> None:
        fields = _fields(peer)
        if step is Step.LOSE:
            self._outbox.counters["members_lost"] += 1
            self._outbox.notify("member_down", Level.WARNING, was=before.name.lower(), silent_ms=silent_ms, **fields)
        elif was is Revival.FALSE_DETECTION:
            peer.false_detections += 1
            self._outbox.counters["false_detections"] += 1
            self._outbox.notify("member_false_detection", Level.WARNING, silent_ms=silent_ms, **fields)
        elif was is Revival.BACK:
            self._outbox.notify("member_back", silent_ms=silent_ms, **fields)
        else:
            self._outbox.notify(_NOTICES[peer.state], Level.INFO, was=before.name.lower(), **fields)


def _silent_ms(peer: Peer, now: Now) -> float:
    return round((now.monotonic - peer.heard_at) * 1000, 1)


def _fields(peer: Peer) -> dict[str, Any]:
    return {
        "member": peer.member.name,
        "state": peer.state.name.lower(),
        "address": peer.member.address,
        "locator": peer.member.locator,
    }
