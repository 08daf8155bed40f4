"""The configuration made for BIRD, and the client of its control protocol against answers that no BIRD would give."""

import asyncio
import stat
from collections.abc import Callable, Coroutine
from pathlib import Path
from typing import Any

import pytest

from unwired.plane import bird
from unwired.plane.bgp import Announcement, BgpConfig, BgpMode, BgpNeighbor
from unwired.wire.address import parse_address

PREFIXES = ((parse_address("2001:db8:100::"), 40), (parse_address("2001:db8:7::"), 48))
FIRST = BgpNeighbor(parse_address("2001:db8:1::1"), 2497)
SECOND = BgpNeighbor(parse_address("2001:db8:2::1"), 2500, bfd=False, ttl_security=True, password="as agreed")
BGP = BgpConfig(BgpMode.MANAGED, 4690, (FIRST, SECOND), ((4690, 100), (4690, 1, 2)), 0xC0000202)


def text(bgp: BgpConfig = BGP) -> str:
    return bird.configuration(Announcement(PREFIXES, bgp), Path("/run/unwired/tokyo/bgp"))


def test_the_configuration() -> None:
    made = text()
    for line in (
        "router id 192.0.2.2;",
        "if krt_source = 79 && krt_metric ~ [ 1000000, 1000001 ] && net ~ [ 2001:db8:100::/40, 2001:db8:7::/48 ] then",
        "ipv6 { import filter marked; export none; };",
        "bgp_community.add((4690, 100));",
        "bgp_large_community.add((4690, 1, 2));",
        "if krt_metric = 1000001 then bgp_community.add((65535, 0));",
        "neighbor 2001:db8:1::1 as 2497;",
        "bfd { min rx interval 50 ms; min tx interval 50 ms; multiplier 3; };",
        "neighbor 2001:db8:2::1 as 2500;",
        "ttl security on;",
        'password "as agreed";',
        "export limit 2 action block;",
    ):
        assert line in made, line
    for once in ("bfd {", "ttl security", "password"):
        assert made.count(f"  {once}") == 1
    assert made.count("import none;") == made.count("export filter to_site;") == 2
    assert made == text(), "the same every time"


def test_both_families() -> None:
    """Each session carries the prefixes of its own family."""
    prefixes = (*PREFIXES, (parse_address("203.0.113.0"), 96 + 24))
    neighbors = (FIRST, BgpNeighbor(parse_address("192.0.2.1"), 2497))
    made = bird.configuration(
        Announcement(prefixes, BgpConfig(BgpMode.MANAGED, 4690, neighbors, router_id=1)), Path("/run/bgp")
    )
    assert "filter marked {" in made and "net ~ [ 2001:db8:100::/40, 2001:db8:7::/48 ]" in made
    assert "filter marked_ipv4 {" in made and "net ~ [ 203.0.113.0/24 ]" in made
    assert "ipv4 { import filter marked_ipv4; export none; };" in made
    first, second = made.split("protocol bgp ")[1:]
    assert "  ipv6 {" in first and "ipv4" not in first and "export limit 2 action block;" in first
    assert "  ipv4 {" in second and "ipv6" not in second and "export limit 1 action block;" in second
    assert "neighbor 192.0.2.1 as 2497;" in second


def test_without_bfd_and_communities() -> None:
    made = text(BgpConfig(BgpMode.MANAGED, 4690, (SECOND,), router_id=1))
    assert "bfd" not in made.replace("BFD", "").lower() and "bgp_large_community" not in made


def test_bird_takes_it(tmp_path: Path) -> None:
    file = tmp_path / "bird.conf"
    both = Announcement((*PREFIXES, (parse_address("203.0.113.0"), 96 + 24)), BGP)
    for announcement in (Announcement(PREFIXES, BGP), both):
        file.write_text(bird.configuration(announcement, tmp_path))
        asyncio.run(bird.check(bird.find(), file))
    file.write_text("protocol nonsense {}")
    with pytest.raises(bird.BirdError, match=r"BIRD refuses the configuration made for it: .*syntax error"):
        asyncio.run(bird.check(bird.find(), file))


@pytest.mark.parametrize("version", ["1.6.8", "2.0.10", "2.0", "no number"])
def test_too_old(tmp_path: Path, version: str) -> None:
    program = tmp_path / "bird"
    program.write_text(f"#!/bin/sh\necho 'BIRD version {version}' >&2\n")
    program.chmod(program.stat().st_mode | stat.S_IXUSR)
    with pytest.raises(bird.BirdError, match=r"2\.0\.11 or later is needed.*apt install bird2.*external"):
        asyncio.run(bird.check(str(program), tmp_path / "bird.conf"))


@pytest.mark.parametrize("version", ["2.0.11", "2.13.1", "3.0.0"])
def test_new_enough(tmp_path: Path, version: str) -> None:
    program = tmp_path / "bird"
    program.write_text(f"#!/bin/sh\necho 'BIRD version {version}' >&2\n")
    program.chmod(program.stat().st_mode | stat.S_IXUSR)
    asyncio.run(bird.check(str(program), tmp_path / "bird.conf"))


def test_missing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("shutil.which", lambda *_, **__: None)
    with pytest.raises(bird.BirdError, match=r"BIRD is not installed: .*apt install bird2.*external"):
        bird.find()


# --- the control protocol ---------------------------------------------------------------------------------------------

Answer = Callable[[bytes], bytes]


def with_bird(path: Path, greeting: bytes, answer: bytes, ask: Callable[[], Coroutine[Any, Any, Any]]) -> Any:
    """What ``ask`` returns while somebody answers like this at the control socket."""

    async def client(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(greeting)
        if await reader.readline():
            writer.write(answer)
        writer.close()

    async def run() -> Any:
        server = await asyncio.start_unix_server(client, path)
        async with server:
            return await ask()

    return asyncio.run(run())


GREETING = b"0001 BIRD 2.0.12 ready.\n"
PROTOCOLS = b"""\
2002-Name       Proto      Table      State  Since         Info
1002-device1    Device     ---        up     1795446944    
 marked_routes Kernel     master6    up     1795446944    
 neighbor1  BGP        ---        up     1795446950    Established   
 neighbor2  BGP        ---        start  1795446951    Active        Socket: Connection refused
0000 
"""  # noqa: W291


def test_sessions(tmp_path: Path) -> None:
    control = tmp_path / "ctl"
    protocols = PROTOCOLS.replace(b"\n neighbor", b"\n1002-neighbor")
    found = with_bird(control, GREETING, protocols, lambda: bird.sessions(control, BGP))
    assert found == [
        bird.Session("2001:db8:1::1", 2497, "Established", 1795446950),
        bird.Session("2001:db8:2::1", 2500, "Active", 1795446951, "Socket: Connection refused"),
    ]
    assert with_bird(control, GREETING, PROTOCOLS, lambda: bird.sessions(control, BGP)) == found


def test_a_session_that_bird_does_not_know(tmp_path: Path) -> None:
    control = tmp_path / "ctl"
    (first, _) = with_bird(control, GREETING, b"0000 \n", lambda: bird.sessions(control, BGP))
    assert first == bird.Session("2001:db8:1::1", 2497, "unknown", 0)


@pytest.mark.parametrize(
    ("greeting", "answer"),
    [
        (b"", b""),
        (b"hello\n", b""),
        (GREETING, b""),
        (GREETING, b"1002-neighbor1"),
        (GREETING, b"\xff\xfe\xfd\xfc\xfb\n"),
        (GREETING, b"1002/neighbor1\n"),
        (GREETING, b"\n"),
        (GREETING, b"x" * (bird.ANSWER_MAX + 10)),
        (GREETING, b"1002-neighbor1 BGP --- up x y\n" * 60_000),
    ],
)
def test_what_is_no_answer(tmp_path: Path, greeting: bytes, answer: bytes) -> None:
    control = tmp_path / "ctl"
    with pytest.raises(OSError):
        with_bird(control, greeting, answer, lambda: bird.sessions(control, BGP))


def test_nobody_there(tmp_path: Path) -> None:
    with pytest.raises(OSError):
        asyncio.run(bird.sessions(tmp_path / "ctl", BGP))
