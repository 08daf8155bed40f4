"""A home agent that is killed in a burst of registrations: every binding it had acknowledged is there afterwards."""

import subprocess
from pathlib import Path

import pytest
from host_network import PYTHON, ask, eventually, home_agent_file, roaming, run, stop

pytestmark = pytest.mark.root

COUNT = 3000
REGISTER = f"""
import ipaddress, select, socket, sys, time
from unwired.core.authentication import sign
from unwired.core.settings import SecurityAssociation
from unwired.wire.address import parse_address
from unwired.wire.ipv6 import Packet, decode_packet, encode_packet
from unwired.wire.rfc4283 import MobileNodeIdentifier
from unwired.wire.rfc4285 import MessageId, ntp_timestamp
from unwired.wire.rfc6275 import BindingAcknowledgement, BindingUpdate

agent, care_of = parse_address("2001:db8:100::1"), parse_address("2001:db8:1::1")
key = SecurityAssociation(256, bytes.fromhex("00112233445566778899aabbccddeeff"))
sender = socket.socket(socket.AF_INET6, socket.SOCK_RAW, socket.IPPROTO_RAW)
taps = socket.socket(socket.AF_PACKET, socket.SOCK_DGRAM, socket.htons(0x86DD))
taps.setsockopt(socket.SOL_SOCKET, 33, 32 << 20)
taps.bind(("agent0", 0x86DD))
def answers(wait):
    while select.select([taps], [], [], wait)[0]:
        data, come = taps.recvfrom(4096)
        packet = decode_packet(data)
        if come[2] != 4 and isinstance(packet.payload, BindingAcknowledgement) and packet.payload.status == 0:
            print(ipaddress.IPv6Address(packet.routing_home_address), flush=True)
for number in range({COUNT}):
    home = parse_address(f"2001:db8:100::1:{{number:x}}")
    options = (MobileNodeIdentifier(b"n%d@x" % number), MessageId(ntp_timestamp(time.time())))
    update, data = sign(BindingUpdate(1, 100, True, True, options=options), key, care_of, home)
    sender.sendto(encode_packet(Packet(care_of, agent, update, home_address=home, data=data)), ("2001:db8:100::1", 0))
    answers(0)
answers(1)
"""


def subscribers() -> str:
    return "".join(
        f'[[subscriber]]\nidentifier = "n{number}@x"\nhome_address = "2001:db8:100::1:{number:x}"\n[[subscriber.key]]\n'
        'spi = 256\nsecret = "hex:00112233445566778899aabbccddeeff"\n'
        for number in range(COUNT)
    )


@pytest.mark.parametrize("after", [1, 700])
def test_killed_while_registering(tmp_path: Path, after: int) -> None:
    with roaming(tmp_path) as network:
        (tmp_path / "subscribers").write_text(subscribers())
        agent_file = home_agent_file(tmp_path, 'subscribers = "subscribers"')
        agent = network.daemon("agent", agent_file)
        eventually(lambda: ask(agent_file, "bindings"))
        command = network.command("router", str(PYTHON), "-c", REGISTER)
        registering = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
        assert registering.stdout is not None
        acknowledged = {registering.stdout.readline().strip() for _ in range(after)}
        agent.kill()
        agent.wait()
        acknowledged |= set(registering.stdout.read().split())
        assert registering.wait() == 0
        assert after <= len(acknowledged) < COUNT, "killed too late to say anything"
        network.daemon("agent", agent_file)
        bindings = eventually(lambda: ask(agent_file, "bindings"))
        assert acknowledged <= {binding["home_address"] for binding in bindings["bindings"]}


def test_a_full_disk_ends_the_daemon_and_not_its_promises(tmp_path: Path) -> None:
    with roaming(tmp_path) as network:
        (tmp_path / "subscribers").write_text(subscribers())
        agent_file = home_agent_file(tmp_path, 'subscribers = "subscribers"')
        state = tmp_path / "state"
        state.mkdir()
        run("mount", "-t", "tmpfs", "-o", "size=256k", "tmpfs", str(state))
        try:
            agent = network.daemon("agent", agent_file)
            eventually(lambda: ask(agent_file, "bindings"))
            command = network.command("router", str(PYTHON), "-c", REGISTER)
            acknowledged = set(subprocess.run(command, stdout=subprocess.PIPE, text=True).stdout.split())
            assert agent.wait(10) == 1
            assert "can't be written" in (tmp_path / "home-agent.log").read_text()
            assert 0 < len(acknowledged) < COUNT
            run("mount", "-o", "remount,size=64m", str(state))
            agent = network.daemon("agent", agent_file)
            bindings = eventually(lambda: ask(agent_file, "bindings"))
            assert acknowledged <= {binding["home_address"] for binding in bindings["bindings"]}
            assert stop(agent) == 0
        finally:
            run("umount", "-l", str(state))
