"""What a member of a home agent set needs of the host: the carrier to the others, the HELLO socket, who announces the
prefix, and a look every second at whether this host can serve at all."""

import asyncio
from collections.abc import Callable, Iterable
from typing import Any, Final

from unwired.core.door import (
    Announce,
    BindingsKept,
    Event,
    Health,
    LeaveSet,
    Publish,
    SendHello,
    SetAction,
    ShareKey,
    Withdraw,
)
from unwired.core.global_binding import BindingStore
from unwired.core.notices import Level
from unwired.host.config_set import HomeAgentSetConfig
from unwired.host.hello_sockets import HelloSockets
from unwired.host.notice_board import NoticeBoard
from unwired.host.runtime import DaemonError
from unwired.plane.announcement import AnnouncementError, Announcer
from unwired.plane.bgp import Announcement
from unwired.plane.carrier import Carrier, CarrierError
from unwired.wire.address import format_address

HEALTH_INTERVAL_S = 1.0
PROBLEM_INTERVAL_S = 300.0
"""At most this often a problem of one member's stream is told: it may change with every attempt to connect."""


class SetHost:
    """Carries out a member's ``SetAction`` and tells its events to ``handle``. ``health()`` gives what is missing on
    this host, None when nothing is; ``leave()`` is called when draining is over. Without ``announcer`` nothing is
    announced."""

    def __init__(
        self,
        config: HomeAgentSetConfig,
        carrier: Carrier,
        announcer: Announcer | None,
        handle: Callable[[Iterable[Event]], None],
        health: Callable[[], str | None],
        leave: Callable[[], None],
        board: NoticeBoard,
    ) -> None:
        self._carrier = carrier
        self._announcer = announcer
        self._handle = handle
        self._health = health
        self._leave = leave
        self._board = board
        self._loop = asyncio.get_running_loop()
        own, others = config.settings.self, config.settings.members
        self._hellos = HelloSockets(
            own.locator, (member.locator for member in others if member != own), config.port, handle
        )
        self._started = False
        self._early: list[SetAction] = []
        self._handlers: Final[dict[type, Callable[[Any], None]]] = {
            Publish: lambda action: self._carrier.publish(action.token, action.record),
            BindingsKept: lambda action: self._carrier.kept(action.member, action.position, action.refused),
            ShareKey: lambda action: self._carrier.share_key(action.epoch, action.key),
            SendHello: self._send_hello,
            Announce: self._announce,
            Withdraw: self._withdraw,
            LeaveSet: lambda action: self._leave(),
        }
        self._renewal: asyncio.Task[None] | None = None
        self._health_timer: asyncio.TimerHandle | None = None
        self._healthy: str | None = ""
        """What was last told: None is healthy, the empty text is nothing yet."""
        self._members = config.settings.members
        self._locator = format_address(own.locator)
        self._told_problems: dict[int, tuple[str, float]] = {}
        """By member number, what was last told, empty once the stream is up again, and when."""
        self.counters: dict[str, int] = {"hello_send_failed": 0}

    async def start(self, store: BindingStore) -> None:
        """Reach for the others. Raises DaemonError."""
        self._hellos.start()
        try:
            await self._carrier.start(self._happened, store)
            self._started = True
            for action in self._early:
                self._handlers[type(action)](action)
            self._early.clear()
            if self._announcer is not None:
                await self._announcer.start()  # this may take seconds, in which the others hear of us
        except (AnnouncementError, CarrierError) as error:
            raise DaemonError(str(error)) from None
        self._look()

    async def stop_announcing(self) -> None:
        """Before the engine stops: nobody's packets may still be on their way here."""
        if self._health_timer is not None:
            self._health_timer.cancel()
        if self._announcer is not None:
            await self._announcer.stop()

    async def stop(self) -> None:
        """After the engine has said good-bye."""
        await self._carrier.stop()
        self._hellos.close()

    def announce_as(self, announcement: Announcement) -> None:
        """From now on as this says; what is wrong with it is said on the board."""
        if self._announcer is not None:
            self._renewal = self._loop.create_task(self._reconfigure(self._announcer, announcement))

    async def _reconfigure(self, announcer: Announcer, announcement: Announcement) -> None:
        try:
            await announcer.reconfigure(announcement)
        except AnnouncementError as error:
            self._board.say("announcement_problem", Level.WARNING, reason=str(error))

    def carry_out(self, action: SetAction) -> None:
        """What is asked before the start is done at the start."""
        if self._started:
            self._handlers[type(action)](action)
        else:
            self._early.append(action)

    def links(self) -> dict[int, dict[str, Any]]:
        """How it stands with the other members' streams, by member number, ready for JSON."""
        return {
            number: {
                "connected": link.connected,
                "waiting": link.waiting,
                "lag_ms": round(link.lag_ms, 3),
                **({"problem": link.problem} if link.problem else {}),
            }
            for number, link in self._carrier.links().items()
        }

    def status(self) -> dict[str, Any]:
        return {
            "carrier": self._carrier.counters() | self.counters,
            "announcement": None if self._announcer is None else self._announcer.status(),
        }

    # --- in ---

    def _happened(self, event: Event) -> None:
        self._handle((event,))

    def _look(self) -> None:
        self._health_timer = self._loop.call_later(HEALTH_INTERVAL_S, self._look)
        self._hellos.connect()
        missing = self._health()
        if missing is None and not self._hellos.are_here():
            missing = f"the locator {self._locator} is no address of this host: the other members can't be reached"
        if missing != self._healthy:
            self._healthy = missing
            self._handle((Health(missing is None, missing or ""),))
        self._tell_problems()

    def _tell_problems(self) -> None:
        now = self._loop.time()
        for number, link in self._carrier.links().items():
            told, at = self._told_problems.get(number, ("", float("-inf")))
            if link.problem and link.problem != told and now - at >= PROBLEM_INTERVAL_S:
                self._told_problems[number] = link.problem, now
                member = self._members[number - 1].name
                self._board.say("member_link_problem", Level.WARNING, member=member, reason=link.problem)
            elif not link.problem:
                self._told_problems[number] = "", at

    # --- out ---

    def _send_hello(self, action: SendHello) -> None:
        try:
            self._hellos.send(action.locator, action.data)
        except OSError:
            self.counters["hello_send_failed"] += 1  # no way to a dead site: its silence says the same

    def _announce(self, action: Announce) -> None:
        if self._announcer is not None:
            self._announcer.announce()

    def _withdraw(self, action: Withdraw) -> None:
        if self._announcer is not None:
            self._announcer.withdraw(action.graceful, action.reason)
