"""What a member's host tells of its streams, and the order in which it starts."""

import asyncio
import socket
from collections.abc import Awaitable, Callable, Iterable
from pathlib import Path
from typing import Any, cast

import pytest

from unwired.core.door import Event, Health, SendHello
from unwired.core.global_binding import BindingStore
from unwired.core.notices import Level
from unwired.core.settings import Durability, HomeAgentSetSettings, Member
from unwired.host import set_host
from unwired.host.config_set import HomeAgentSetConfig
from unwired.host.notice_board import NoticeBoard
from unwired.host.set_host import SetHost
from unwired.plane.announcement import Announcer
from unwired.plane.carrier import Carrier, LinkStatus
from unwired.plane.certificates import Credentials
from unwired.wire.address import Address, parse_address

LOOPBACK = parse_address("::1")
STORE = cast(BindingStore, None)


class Links:
    """A carrier of which only the state of its links counts."""

    def __init__(self) -> None:
        self.problem = ""
        self.looks = 0

    async def start(self, listener: object, store: BindingStore) -> None: ...

    async def stop(self) -> None: ...

    def links(self) -> dict[int, LinkStatus]:
        self.looks += 1
        return {2: LinkStatus(not self.problem, problem=self.problem)}


def make_host(
    links: Links,
    board: NoticeBoard,
    announcer: Announcer | None = None,
    locator: Address = LOOPBACK,
    handle: Callable[[Iterable[Event]], None] = lambda events: None,
) -> SetHost:
    with socket.socket(socket.AF_INET6, socket.SOCK_DGRAM) as probe:
        probe.bind(("::1", 0))
        port = probe.getsockname()[1]
    members = (Member("tokyo", LOOPBACK, locator), Member("paris", LOOPBACK, parse_address("::2")))
    settings = HomeAgentSetSettings(own=1, members=members, group_id=7, durability=Durability.LOCAL)
    config = HomeAgentSetConfig(settings, port, Credentials(Path(), Path(), Path()))
    carrier = cast(Carrier, links)
    return SetHost(config, carrier, announcer, handle, lambda: None, lambda: None, board)


def run(test: Awaitable[None]) -> None:
    async def whole() -> None:
        async with asyncio.timeout(20):
            await test

    asyncio.run(whole())


async def until(condition: Callable[[], bool]) -> None:
    while not condition():
        await asyncio.sleep(0.01)


async def looks(links: Links) -> None:
    """Until what is so now has been seen."""
    end = links.looks + 2
    await until(lambda: links.looks >= end)


def told(board: NoticeBoard) -> list[dict[str, Any]]:
    return [event["fields"] for event in board.kept() if event["name"] == "member_link_problem"]


def test_a_problem_is_told_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(set_host, "HEALTH_INTERVAL_S", 0.01)

    async def test() -> None:
        links, board = Links(), NoticeBoard(Level.ERROR)
        host = make_host(links, board)
        await host.start(STORE)
        links.problem = "its certificate is not accepted"
        await until(lambda: bool(told(board)))
        links.problem = "it can't be reached"
        await looks(links)
        assert told(board) == [{"member": "paris", "reason": "its certificate is not accepted"}]
        monkeypatch.setattr(set_host, "PROBLEM_INTERVAL_S", 0.0)
        await until(lambda: len(told(board)) == 2)
        assert told(board)[1]["reason"] == "it can't be reached"
        await looks(links)
        assert len(told(board)) == 2, "the same is not told again"
        links.problem = ""
        await looks(links)
        links.problem = "it can't be reached"
        await until(lambda: len(told(board)) == 3)
        await host.stop_announcing()
        await host.stop()

    run(test())


@pytest.mark.parametrize(("locator", "serving"), [("::1", True), ("2001:db8:77::1", False)])
def test_a_host_without_its_locator_can_not_serve(locator: str, serving: bool) -> None:
    async def test() -> None:
        events: list[Event] = []
        host = make_host(Links(), NoticeBoard(Level.ERROR), locator=parse_address(locator), handle=events.extend)
        await host.start(STORE)
        assert isinstance(events[0], Health)
        assert events[0].serving == serving and (serving or locator in events[0].reason)
        await host.stop_announcing()
        await host.stop()

    run(test())


def test_the_others_hear_of_us_while_the_announcer_starts() -> None:
    class Slow:
        def __init__(self) -> None:
            self.may_go_on = asyncio.Event()

        async def start(self) -> None:
            await self.may_go_on.wait()

        async def stop(self) -> None: ...

    async def test() -> None:
        announcer = Slow()
        host = make_host(Links(), NoticeBoard(Level.ERROR), cast(Announcer, announcer))
        with socket.socket(socket.AF_INET6, socket.SOCK_DGRAM) as other:
            other.bind(("::1", 0))
            other.setblocking(False)
            host._hellos._port = other.getsockname()[1]
            host.carry_out(SendHello(LOOPBACK, b"before"))
            starting = asyncio.create_task(host.start(STORE))
            loop = asyncio.get_running_loop()
            assert await loop.sock_recv(other, 100) == b"before"
            host.carry_out(SendHello(LOOPBACK, b"meanwhile"))
            assert await loop.sock_recv(other, 100) == b"meanwhile"
            announcer.may_go_on.set()
            await starting
        await host.stop_announcing()
        await host.stop()

    run(test())
