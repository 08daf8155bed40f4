"""What the mesh makes of strangers, wrong certificates, garbage and members that misbehave: counted, named, closed; and
the set goes on."""

import asyncio
import os
import socket
import ssl
from collections.abc import Awaitable, Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from pathlib import Path

import pytest
from participant import Participant, binding, settings_of, until

from unwired.core import mesh as core_mesh
from unwired.core.settings import Member
from unwired.plane import mesh
from unwired.plane.carrier import PORT, CarrierError
from unwired.plane.certificates import Credentials, create_authority, create_member
from unwired.plane.mesh import HANDSHAKES_MAX, MeshCarrier
from unwired.wire.address import format_address
from unwired.wire.state_synchronization import FRAME_SIZE_MAX, Kind, StreamOpening, encode_frame

MakeCredentials = Callable[[Member], Credentials]
MakeMembers = Callable[[int], tuple[Member, ...]]


def run(test: Awaitable[None]) -> None:
    async def whole() -> None:
        async with asyncio.timeout(30):
            await test

    asyncio.run(whole())


class Rogue:
    """Connects to a member from a locator, with whatever it has."""

    def __init__(self, source: Member, target: Member) -> None:
        self.source, self.target = format_address(source.locator), format_address(target.locator)

    async def tcp(self) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        return await asyncio.open_connection(self.target, PORT, local_addr=(self.source, 0))

    async def tls(
        self, credentials: Credentials | None, most: ssl.TLSVersion = ssl.TLSVersion.TLSv1_3
    ) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
        context.maximum_version = most
        if credentials is not None:
            context.load_cert_chain(credentials.certificate, credentials.private_key)
        return await asyncio.open_connection(self.target, PORT, ssl=context, local_addr=(self.source, 0))


async def over(reader: asyncio.StreamReader) -> bytes:
    """What comes until the other end closes."""
    try:
        async with asyncio.timeout(10):
            return await reader.read(-1)
    except OSError:
        return b""


@pytest.fixture
def three(members: MakeMembers) -> tuple[Member, ...]:
    return members(3)


async def lone(three: tuple[Member, ...], credentials: MakeCredentials, own: int = 3) -> Participant:
    """A member whose others are not there: the last one listens for both."""
    participant = Participant(MeshCarrier(settings_of(own, three), credentials(three[own - 1])))
    await participant.start()
    return participant


def opening(member: Member, group_id: int = 7, version: int = core_mesh.PROTOCOL_VERSION) -> bytes:
    return encode_frame(Kind.LINK, 0, StreamOpening(version, group_id, member.locator))


def test_a_stranger_is_turned_away_before_tls(
    three: tuple[Member, ...], members: MakeMembers, credentials: MakeCredentials
) -> None:
    async def test() -> None:
        own = await lone(three, credentials)
        stranger = replace(three[0], locator=three[0].locator[:15] + b"\xc8")
        reader, writer = await Rogue(stranger, three[2]).tcp()
        assert await over(reader) == b""
        writer.close()
        assert own.carrier.counters()["refused_stranger"] == 1
        await own.carrier.stop()

    run(test())


def test_a_crowd_of_strangers_leaves_everybody_a_turn(three: tuple[Member, ...], credentials: MakeCredentials) -> None:
    """The event loop goes round between two of them, however many wait: HELLOs must not be late."""

    async def test() -> None:
        own = await lone(three, credentials)
        target = (format_address(three[2].locator), PORT)
        source = (format_address(three[0].locator[:15] + b"\xc8"), 0)
        crowd = [socket.create_connection(target, source_address=source) for _ in range(6)]
        seen = [0]
        while seen[-1] < len(crowd):
            await asyncio.sleep(0)
            seen.append(own.carrier.counters().get("refused_stranger", 0))
        assert max(after - before for before, after in pairwise(seen)) == 1
        for one in crowd:
            one.close()
        await own.carrier.stop()

    run(test())


@pytest.mark.parametrize(
    "garbage", [b"GET / HTTP/1.0\r\n\r\n", bytes(1000), b"\x16\x03\x01\x00\x05\x01\x00\x00\x01\x00"]
)
def test_garbage_instead_of_tls(three: tuple[Member, ...], credentials: MakeCredentials, garbage: bytes) -> None:
    async def test() -> None:
        own = await lone(three, credentials)
        reader, writer = await Rogue(three[0], three[2]).tcp()
        writer.write(garbage)
        await over(reader)
        await until(lambda: own.carrier.counters().get("refused_handshake", 0) == 1, "it is counted")
        assert "TLS failed" in own.carrier.links()[1].problem
        assert not own.carrier.links()[1].connected
        writer.close()
        await own.carrier.stop()

    run(test())


def test_handshakes_that_do_not_go_on_are_bounded(three: tuple[Member, ...], credentials: MakeCredentials) -> None:
    async def test() -> None:
        own = await lone(three, credentials)
        opened = [await Rogue(three[0], three[2]).tcp() for _ in range(HANDSHAKES_MAX + 3)]
        await until(lambda: own.carrier.counters().get("refused_handshakes_too_many", 0) == 3, "three are refused")
        for _, writer in opened:
            writer.close()
        await own.carrier.stop()

    run(test())


def test_a_handshake_that_does_not_go_on_is_given_up(
    three: tuple[Member, ...], credentials: MakeCredentials, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(mesh, "HANDSHAKE_TIMEOUT_S", 0.2)

    async def test() -> None:
        own = await lone(three, credentials)
        reader, writer = await Rogue(three[0], three[2]).tcp()
        assert await over(reader) == b""
        await until(lambda: own.carrier.counters().get("refused_handshake", 0) == 1, "it is counted")
        writer.close()
        await own.carrier.stop()

    run(test())


def test_an_older_tls_is_refused(three: tuple[Member, ...], credentials: MakeCredentials) -> None:
    async def test() -> None:
        own = await lone(three, credentials)
        with pytest.raises(OSError):
            await Rogue(three[0], three[2]).tls(credentials(three[0]), most=ssl.TLSVersion.TLSv1_2)
        await until(lambda: own.carrier.counters().get("refused_handshake", 0) == 1, "it is counted")
        assert "version" in own.carrier.links()[1].problem or "protocol" in own.carrier.links()[1].problem
        await own.carrier.stop()

    run(test())


def certificate_of(
    kind: str, tmp_path: Path, authority: tuple[Path, Path], three: tuple[Member, ...]
) -> Credentials | None:
    """A certificate that member 1 must not get in with."""
    own = tmp_path / kind
    own.mkdir()
    if kind == "none":
        return None
    if kind == "foreign":
        authority = create_authority(own, "other-ca")
    locator = three[1].locator if kind == "another's locator" else three[0].locator
    now = datetime.now(UTC) - timedelta(days=3000) if kind == "expired" else None
    made = create_member(own, *authority, "rogue", locator, now)
    return Credentials(*made, authority[0])


@pytest.mark.parametrize("kind", ["none", "foreign", "expired", "another's locator"])
def test_a_wrong_certificate_does_not_get_in(
    kind: str, three: tuple[Member, ...], credentials: MakeCredentials, tmp_path: Path, authority: tuple[Path, Path]
) -> None:
    async def test() -> None:
        own = await lone(three, credentials)
        try:
            reader, writer = await Rogue(three[0], three[2]).tls(certificate_of(kind, tmp_path, authority, three))
            writer.write(opening(three[0]))
            assert await over(reader) == b"", "nothing is told to it"
            writer.close()
        except OSError:
            pass
        counters = own.carrier.counters
        await until(
            lambda: counters().get("refused_certificate", 0) + counters().get("refused_handshake", 0) == 1, "said"
        )
        assert own.carrier.links()[1].problem != "" and not own.carrier.links()[1].connected
        assert "connections" not in own.carrier.counters()
        await own.carrier.stop()

    run(test())


@pytest.mark.parametrize("kind", ["foreign", "expired", "another's locator"])
def test_a_listener_with_a_wrong_certificate_is_not_told_anything(
    kind: str, three: tuple[Member, ...], credentials: MakeCredentials, tmp_path: Path, authority: tuple[Path, Path]
) -> None:
    """The other direction: we connect to something at a member's locator."""

    async def test() -> None:
        told: list[bytes] = []

        async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            told.append(await over(reader))
            writer.close()

        found = certificate_of(kind, tmp_path, authority, (three[1], three[0]))
        assert found is not None
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(found.certificate, found.private_key)
        server = await asyncio.start_server(answer, format_address(three[1].locator), PORT, ssl=context)
        own = await lone(three, credentials, 1)
        own.carrier.share_key(1, b"secret" * 4)
        await until(lambda: own.carrier.counters().get("refused_certificate", 0) >= 2, "refused again and again")
        assert "certificate" in own.carrier.links()[2].problem
        assert not any(told)
        await own.carrier.stop()
        server.close()

    run(test())


async def admitted(
    three: tuple[Member, ...], credentials: MakeCredentials
) -> tuple[Participant, asyncio.StreamReader, asyncio.StreamWriter]:
    """A member with a true certificate that has not said anything."""
    own = await lone(three, credentials)
    reader, writer = await Rogue(three[0], three[2]).tls(credentials(three[0]))
    await until(lambda: own.carrier.counters().get("connections", 0) >= 1, "admitted")
    return own, reader, writer


MISBEHAVIOUR: dict[str, tuple[str, bytes]] = {
    "malformed": ("refused_malformed", b"\x00\x00\x00\x05\x01\xc0\x00\x02\xff"),
    "unknown type": ("refused_malformed", b"\x00\x00\x00\x04\x77\xc0\x00\x02"),
    "empty frame": ("refused_malformed", bytes(4)),
    "oversized": ("refused_oversized", (FRAME_SIZE_MAX + 1).to_bytes(4)),
    "a text": ("refused_oversized", b"GET / HTTP/1.0\r\n\r\n"),
}


async def misbehave(three: tuple[Member, ...], credentials: MakeCredentials, data: bytes, name: str) -> None:
    own, reader, writer = await admitted(three, credentials)
    writer.write(data)
    await over(reader)
    assert own.carrier.counters()[name] == 1
    assert own.carrier.links()[1].problem != "" and not own.carrier.links()[1].connected
    assert not own.records and not own.held
    writer.close()
    await own.carrier.stop()


@pytest.mark.parametrize("kind", MISBEHAVIOUR)
def test_a_member_that_speaks_wrongly_is_closed_by_name(
    kind: str, three: tuple[Member, ...], credentials: MakeCredentials
) -> None:
    name, data = MISBEHAVIOUR[kind]
    run(misbehave(three, credentials, opening(three[0]) + data, name))


def test_a_member_of_another_group_is_closed_by_name(three: tuple[Member, ...], credentials: MakeCredentials) -> None:
    run(misbehave(three, credentials, opening(three[0], group_id=8), "refused_other_group"))


def test_another_release_is_closed_by_name(three: tuple[Member, ...], credentials: MakeCredentials) -> None:
    run(misbehave(three, credentials, opening(three[0], version=9), "refused_other_protocol_version"))


def test_a_member_that_calls_itself_another_is_closed_by_name(
    three: tuple[Member, ...], credentials: MakeCredentials
) -> None:
    run(misbehave(three, credentials, opening(three[1]), "refused_other_member"))


def test_a_stream_without_opening_is_closed_by_name(three: tuple[Member, ...], credentials: MakeCredentials) -> None:
    run(misbehave(three, credentials, encode_frame(Kind.LINK), "refused_malformed"))


def test_a_half_open_connection_is_noticed(
    three: tuple[Member, ...], credentials: MakeCredentials, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The other end's host is gone, or the path swallows everything: no word comes, and no end."""
    monkeypatch.setattr(core_mesh, "SILENCE_MAX_S", 0.5)

    async def test() -> None:
        own, reader, writer = await admitted(three, credentials)
        writer.write(opening(three[0]))
        await until(lambda: own.carrier.links()[1].connected, "connected")
        await until(lambda: own.carrier.counters().get("refused_silent", 0) == 1, "given up")
        assert not own.carrier.links()[1].connected and "nothing was heard" in own.carrier.links()[1].problem
        await over(reader)
        writer.close()
        await own.carrier.stop()

    run(test())


def test_a_member_that_comes_again_takes_the_place_of_its_old_stream(
    three: tuple[Member, ...], credentials: MakeCredentials
) -> None:
    async def test() -> None:
        own, reader, writer = await admitted(three, credentials)
        writer.write(opening(three[0]))
        await until(lambda: own.carrier.links()[1].connected, "connected")
        _, other_writer = await Rogue(three[0], three[2]).tls(credentials(three[0]))
        await over(reader)
        other_writer.write(opening(three[0]))
        await until(lambda: own.carrier.links()[1].connected, "connected again")
        assert own.carrier.counters()["connections"] == 2
        for one in (writer, other_writer):
            one.close()
        await own.carrier.stop()

    run(test())


def test_a_member_that_never_reads_costs_bounded_memory(
    three: tuple[Member, ...], credentials: MakeCredentials
) -> None:
    async def test() -> None:
        own, _, writer = await admitted(three, credentials)
        writer.transport.pause_reading()
        writer.write(opening(three[0]))
        await until(lambda: own.carrier.links()[1].connected, "connected")
        for version in range(1, 60):
            for number in range(1000):
                own.publish(binding(number, version, three[2].locator))
            writer.write(encode_frame(Kind.LINK))
            await asyncio.sleep(0.005)
        assert own.carrier.links()[1].waiting <= 10_000
        assert own.carrier.links()[1].connected
        writer.close()
        await own.carrier.stop()

    run(test())


def test_the_set_goes_on_beside_all_that(three: tuple[Member, ...], credentials: MakeCredentials) -> None:
    async def test() -> None:
        own, reader, writer = await admitted(three, credentials)
        two = await lone(three, credentials, 2)
        writer.write(opening(three[0]) + b"\x00\x00\x01\x00" + os.urandom(256))
        await over(reader)
        token = own.publish(binding(1, 1, three[2].locator))
        await until(lambda: own.held.get(2) == token and two.records == own.records, "held by the honest member")
        writer.close()
        await own.carrier.stop()
        await two.carrier.stop()

    run(test())


# --- what can't work here ---


def test_files_that_can_not_be_used_are_said(
    three: tuple[Member, ...], credentials: MakeCredentials, tmp_path: Path
) -> None:
    async def test() -> None:
        good = credentials(three[0])
        (tmp_path / "empty").write_text("")
        for wrong in (
            replace(good, certificate=tmp_path / "none"),
            replace(good, authority=tmp_path / "empty"),
            replace(good, private_key=credentials(three[1]).private_key),
        ):
            carrier = MeshCarrier(settings_of(1, three), wrong)
            with pytest.raises(CarrierError, match="certificates can't be used"):
                await carrier.start(lambda event: None, Participant(carrier))

    run(test())


def test_a_port_that_is_taken_is_said(three: tuple[Member, ...], credentials: MakeCredentials) -> None:
    async def test() -> None:
        taken = socket.create_server((format_address(three[2].locator), PORT))
        carrier = MeshCarrier(settings_of(3, three), credentials(three[2]))
        with pytest.raises(CarrierError, match=r"port 7691.*in use"):
            await carrier.start(lambda event: None, Participant(carrier))
        taken.close()

    run(test())
