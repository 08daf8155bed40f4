"""A path between two members of a home agent set that carries 1400 bytes: large packets must not vanish in their
tunnel."""

from pathlib import Path

import pytest
from host_network import ask, eventually, transfer
from set_network import HOME, certificates, member_file, node_file, two_sites

pytestmark = pytest.mark.root

PEER_1 = "2001:db8:1:b::2"


@pytest.mark.parametrize("where", ["on the way", "at the member"])
def test_large_packets_between_members(tmp_path: Path, where: str) -> None:
    """The mobile node is at site 1 and so is its correspondent node; its primary home agent is at site 2."""
    with two_sites(tmp_path) as network:
        certificates(tmp_path)
        files = {site: member_file(tmp_path, site) for site in (1, 2)}
        for site, file in files.items():
            network.daemon(f"agent{site}", file)

        def members(at: int) -> list[dict[str, object]]:
            found: list[dict[str, object]] = (ask(files[at], "members") or {"members": []})["members"]
            return found

        def both_serve() -> bool:
            return all([one["state"] for one in members(at)] == ["serving"] * 2 for at in files)

        eventually(both_serve, 20, "both serve")
        node = node_file(tmp_path)
        network.inside("node", "ip", "link", "set", "wlan0", "down")
        network.inside("node", "ip", "link", "set", "wwan0", "up")
        network.daemon("node", node)

        def primaries() -> list[str]:
            answers = [ask(file, "bindings") or {"bindings": []} for file in files.values()]
            return [one["primary"] for answer in answers for one in answer["bindings"]]

        eventually(lambda: primaries() == ["agent2"] * 2, 20, "agent 2 is the primary everywhere")
        if where == "on the way":
            narrow = (("router1", "across0"), ("router2", "across0"))
        else:
            narrow = (("agent1", "up0"), ("router1", "agent0"))
        for name, device in narrow:
            network.inside(name, "ip", "link", "set", device, "mtu", "1400")
        assert transfer(network, "peer1", PEER_1, "node", HOME)
        assert transfer(network, "node", HOME, "peer1", PEER_1)
        assert [one.get("tunnel_mtu") for one in members(1)] == [None, 1360]
