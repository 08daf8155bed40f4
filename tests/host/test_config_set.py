"""The sections of a home agent set: read as a whole, every mistake with what, why and fix."""

from pathlib import Path

import pytest

from unwired.core.settings import Durability
from unwired.host.config import ConfigError, HomeAgentConfig, Problem, load
from unwired.plane.certificates import create_authority, create_member
from unwired.wire.address import parse_address

AGENT = """
[home_agent]
address = "2001:db8:100::1"
home_prefixes = ["2001:db8:100::/48"]
[[home_agent.subscriber]]
identifier = "mn@example.org"
home_address = "2001:db8:100::1000"
[[home_agent.subscriber.key]]
spi = 256
secret = "hex:00112233445566778899aabbccddeeff"
"""
SET = """
[home_agent_set]
member = "tokyo"
group_id = 100
certificate = "tokyo.crt"
private_key = "tokyo.key"
authority = "authority.crt"
"""
MEMBERS = """
[[member]]
name = "tokyo"
address = "2001:db8:100::1"
locator = "2001:db8:a::10"
[[member]]
name = "los-angeles"
address = "2001:db8:100::2"
locator = "2001:db8:b::10"
"""


@pytest.fixture
def directory(tmp_path: Path) -> Path:
    create_member(tmp_path, *create_authority(tmp_path, "authority"), "tokyo", parse_address("2001:db8:a::10"))
    return tmp_path


def problems(directory: Path, text: str) -> dict[str, Problem]:
    path = directory / "it.toml"
    path.write_text(text)
    with pytest.raises(ConfigError) as caught:
        load(path)
    return {problem.key: problem for problem in caught.value.problems}


def test_a_member(directory: Path) -> None:
    path = directory / "it.toml"
    path.write_text(AGENT + SET + MEMBERS)
    role = load(path).role
    assert isinstance(role, HomeAgentConfig)
    assert role.home_agent_set is not None
    settings = role.settings.home_agent_set
    assert settings is not None
    assert settings.self.name == "tokyo"
    assert settings.own == 1
    assert [member.locator for member in settings.members] == [
        parse_address("2001:db8:a::10"),
        parse_address("2001:db8:b::10"),
    ]
    assert settings.durability is Durability.ONE_PEER
    assert (settings.hello_interval_s, settings.hello_misses) == (0.05, 3)
    assert role.home_agent_set.credentials.certificate == directory / "tokyo.crt"


@pytest.mark.parametrize(
    ("change", "key", "word"),
    [
        (('member = "tokyo"', 'member = "kyoto"'), "home_agent_set.member", "no member"),
        (('address = "2001:db8:100::2"', 'address = "2001:db8:101::2"'), "member[1].address", "is in none of"),
        (('locator = "2001:db8:b::10"', 'locator = "2001:db8:100::3"'), "member[1].locator", "is in a home prefix"),
        (('locator = "2001:db8:b::10"', 'locator = "2001:db8:a::10"'), "member[1].locator", "given twice"),
        (('name = "los-angeles"', 'name = "tokyo"'), "member[1].name", "given twice"),
        (('name = "los-angeles"', 'name = "los angeles"'), "member[1].name", "can't name a member"),
        (('address = "2001:db8:100::2"', 'address = "2001:db8:100::1000"'), "member[1].address", "home address"),
        (('address = "2001:db8:100::2"', 'address = "2001:db8:100::"'), "member[1].address", "anycast"),
        (("group_id = 100", "group_id = 0"), "home_agent_set.group_id", "out of range"),
        (("group_id = 100", 'group_id = 100\ndurability = "all"'), "home_agent_set.durability", "choices"),
        (("group_id = 100", "group_id = 100\nhello_interval = 5"), "home_agent_set.hello_interval", "not a key"),
        (('"tokyo.key"', '"elsewhere.key"'), "home_agent_set.private_key", "can't be read"),
    ],
)  # fmt: skip
def test_mistakes(directory: Path, change: tuple[str, str], key: str, word: str) -> None:
    text = (SET + MEMBERS).replace(*change)
    assert text != SET + MEMBERS
    found = problems(directory, AGENT + text)
    assert word in found[key].what, found
    assert found[key].why
    assert found[key].fix


def test_a_certificate_for_another_locator(directory: Path) -> None:
    found = problems(directory, AGENT + SET + MEMBERS.replace("2001:db8:a::10", "2001:db8:a::11"))
    assert "must name the locator" in found["home_agent_set.certificate"].what


def test_a_key_that_others_may_read_is_a_warning(directory: Path) -> None:
    (directory / "tokyo.key").chmod(0o644)
    path = directory / "it.toml"
    path.write_text(AGENT + SET + MEMBERS)
    (warning,) = load(path).warnings()
    assert "chmod 600" in warning


def test_another_address_than_the_home_agents(directory: Path) -> None:
    found = problems(directory, AGENT.replace('100::1"', '100::9"') + SET + MEMBERS)
    assert "another address" in found["home_agent_set.member"].what


def test_a_set_of_one_has_nobody_to_hold_a_binding(directory: Path) -> None:
    alone = MEMBERS.split("[[member]]")[1]
    found = problems(directory, AGENT + SET + "[[member]]" + alone)
    assert "needs other members" in found["home_agent_set.durability"].what
    path = directory / "it.toml"
    path.write_text(AGENT + SET.replace("group_id", 'durability = "local"\ngroup_id') + "[[member]]" + alone)
    assert load(path).role_name == "home_agent"


def test_a_real_home_link_is_refused(directory: Path) -> None:
    found = problems(directory, AGENT.replace("[[home", 'home_link = "eth9"\n[[home', 1) + SET + MEMBERS)
    assert "can't be real" in found["home_agent.home_link"].what


def test_members_without_a_set_and_a_set_without_a_home_agent(directory: Path) -> None:
    assert "needs [home_agent_set]" in problems(directory, AGENT + MEMBERS)["member"].what
    node = '[mobile_node]\nidentifier = "a"\nhome_address = "2001:db8:100::1000"\ninsecure = true\n'
    assert "needs [home_agent]" in problems(directory, node + SET + MEMBERS)["home_agent_set"].what
