"""The sections [bgp] and [[bgp.neighbor]]: what they turn into, and every mistake with what, why and fix."""

import tomllib
from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

from unwired.host import config_bgp
from unwired.host.config_bgp import BgpSection
from unwired.host.config_models import HomeAgentSection
from unwired.plane.bgp import Announcement, BgpConfig, BgpMode, BgpNeighbor, derived_router_id, from_json, to_json
from unwired.wire.address import parse_address

AGENT = HomeAgentSection(address="2001:db8:100::1", home_prefixes=["2001:db8:100::/40"])  # type: ignore[arg-type, list-item]
NEIGHBOR = '[[neighbor]]\naddress = "2001:db8:1::1"\nas = 2497\n'


def section(text: str, directory: Path = Path("/nowhere")) -> BgpSection:
    return BgpSection.model_validate(tomllib.loads(text), context={"directory": directory})


def refused(text: str, directory: Path = Path("/nowhere")) -> dict[str, Any]:
    """The first mistake: its key and whatever is said about it."""
    with pytest.raises(ValidationError) as caught:
        section(text, directory)
    error = caught.value.errors(include_input=False)[0]
    return {"key": ".".join(map(str, error["loc"])), "type": error["type"], **error.get("ctx", {})}


def found(text: str, agent: HomeAgentSection = AGENT) -> dict[str, str]:
    return {key: what for key, what, _, _ in config_bgp.check(section(text), agent)}


def test_managed() -> None:
    it = section("as = 4690\n" + NEIGHBOR)
    assert list(config_bgp.check(it, AGENT)) == []
    assert config_bgp.settings(it, AGENT.address) == BgpConfig(
        BgpMode.MANAGED,
        4690,
        (BgpNeighbor(parse_address("2001:db8:1::1"), 2497),),
        router_id=derived_router_id(AGENT.address),
    )


BOTH = HomeAgentSection(
    address="2001:db8:100::1",  # type: ignore[arg-type]
    home_prefixes=["2001:db8:100::/40"],  # type: ignore[list-item]
    home_prefixes_ipv4=["203.0.113.0/24"],  # type: ignore[list-item]
)
NEIGHBOR_IPV4 = '[[neighbor]]\naddress = "192.0.2.1"\nas = 2497\n'


def test_a_neighbor_for_each_family() -> None:
    it = section("as = 4690\n" + NEIGHBOR + NEIGHBOR_IPV4)
    assert list(config_bgp.check(it, BOTH)) == []
    assert [one.address for one in config_bgp.settings(it, BOTH.address).neighbors] == [
        parse_address("2001:db8:1::1"),
        parse_address("192.0.2.1"),
    ]
    assert found("as = 4690\n" + NEIGHBOR, BOTH) == {"bgp.neighbor": "has no IPv4 address"}
    assert "there is no IPv4 prefix" in found("as = 4690\n" + NEIGHBOR + NEIGHBOR_IPV4)["bgp.neighbor"]
    inside = NEIGHBOR_IPV4.replace("192.0.2.1", "203.0.113.9")
    assert found("as = 4690\n" + NEIGHBOR + inside, BOTH) == {
        "bgp.neighbor[1].address": '"203.0.113.9" is in a home prefix'
    }
    anycast = BOTH.model_copy(update={"address_ipv4": parse_address("198.51.100.1")})
    assert "no IPv4 home prefix" in found("as = 4690\n" + NEIGHBOR + NEIGHBOR_IPV4, anycast)["home_agent.address_ipv4"]
    for wrong in ("127.0.0.1", "224.0.0.5", "0.0.0.0", "fe80::1", "router"):
        text = "as = 4690\n" + NEIGHBOR_IPV4.replace("192.0.2.1", wrong)
        assert refused(text)["what"] == f"'{wrong}' is no router's address"


def test_managed_with_everything(tmp_path: Path) -> None:
    (tmp_path / "password").write_text("as the router has it\n")
    it = section(
        """
        as = 4200000000
        router_id = "192.0.2.2"
        communities = ["4690:100", "4690:1:4200000000"]
        bfd_interval_ms = 100
        bfd_multiplier = 5
        drain_time_s = 10
        hold_time_s = 60
        """
        + NEIGHBOR
        + 'bfd = false\nttl_security = true\npassword = "file:password"\n',
        tmp_path,
    )
    made = config_bgp.settings(it, AGENT.address)
    assert made == BgpConfig(
        BgpMode.MANAGED,
        4_200_000_000,
        (BgpNeighbor(parse_address("2001:db8:1::1"), 2497, False, True, "as the router has it"),),
        ((4690, 100), (4690, 1, 4_200_000_000)),
        0xC0000202,
        100,
        5,
        10.0,
        60.0,
    )
    announcement = Announcement(((parse_address("2001:db8:100::"), 40),), made)
    assert from_json(to_json(announcement)) == announcement


def test_external() -> None:
    it = section('mode = "external"\nhold_time_s = 10')
    assert list(config_bgp.check(it, AGENT)) == []
    made = config_bgp.settings(it, AGENT.address)
    assert (made.mode, made.neighbors, made.hold_time_s) == (BgpMode.EXTERNAL, (), 10.0)


@pytest.mark.parametrize(
    ("text", "key", "word"),
    [
        ("as = 0", "as", "can't be used"),
        ("as = 23456", "as", "can't be used"),
        ('as = "4690"', "as", "is no AS number"),
        ("as = true", "as", "is no AS number"),
        ('communities = ["4690"]', "communities.0", "is no community"),
        ('communities = ["4690:-1"]', "communities.0", "is no community"),
        ('communities = ["70000:1"]', "communities.0", "is too large"),
        ("communities = [1]", "communities.0", "is not text"),
        ('router_id = "0.0.0.0"', "router_id", "is no router id"),
        ("router_id = 5", "router_id", "is no router id"),
        ("hold_time_s = 1", "hold_time_s", ""),
        ("drain_time_s = -1", "drain_time_s", ""),
        ("bfd_interval_ms = 1", "bfd_interval_ms", ""),
        ('mode = "both"', "mode", ""),
        ('colour = "red"', "colour", ""),
        ('[[neighbor]]\naddress = "fe80::1"\nas = 1', "neighbor.0.address", "is no router's address"),
        ('[[neighbor]]\naddress = "2001:db8:1::1"', "neighbor.0.as", ""),
        (NEIGHBOR + 'password = "secret"', "neighbor.0.password", "what kind of secret"),
        (NEIGHBOR + 'password = "file:missing"', "neighbor.0.password", "can't be read"),
        (NEIGHBOR + "password = 'text:a\"b'", "neighbor.0.password", "is no password"),
        (NEIGHBOR + f'password = "text:{"x" * 81}"', "neighbor.0.password", "is no password"),
        (NEIGHBOR + 'password = "text:"', "neighbor.0.password", "is no password"),
    ],
)
def test_a_wrong_value(text: str, key: str, word: str) -> None:
    error = refused(text)
    assert error["key"].startswith(key), error
    assert not word or (error["type"] == "unwired" and word in error["what"] and error["why"] and error["fix"])


def test_a_password_is_never_repeated() -> None:
    for text in ("password = 'text:hush\"hush'", 'password = "hush"'):
        assert "hush" not in str(refused(NEIGHBOR + text))


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", {"bgp.as": "is missing", "bgp.neighbor": "is missing"}),
        ("as = 2497\n" + NEIGHBOR, {"bgp.neighbor[0].as": "is our own AS"}),
        ("as = 4690\n" + 2 * NEIGHBOR, {"bgp.neighbor[1].address": '"2001:db8:1::1" is given twice'}),
        (
            'as = 4690\n[[neighbor]]\naddress = "2001:db8:100::5"\nas = 2497',
            {"bgp.neighbor[0].address": '"2001:db8:100::5" is in a home prefix'},
        ),
        (
            'mode = "external"\nas = 4690\n' + NEIGHBOR,
            dict.fromkeys(("bgp.as", "bgp.neighbor"), 'has no effect where bgp.mode is "external"'),
        ),
    ],
)
def test_what_is_wrong_between_keys(text: str, expected: dict[str, str]) -> None:
    assert found(text) == expected


def test_a_real_home_link_is_not_announced() -> None:
    agent = AGENT.model_copy(update={"home_link": "eth1"})
    assert list(found('mode = "external"', agent)) == ["home_agent.home_link"]


def test_router_ids_of_members_differ() -> None:
    addresses = [parse_address(f"2001:db8:100::{number:x}") for number in range(1, 200)]
    assert len({derived_router_id(address) for address in addresses}) == len(addresses)
