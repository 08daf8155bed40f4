"""Routers of several autonomous systems find their ways, and others when links are cut without anybody seeing it."""

import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from small_lab import UNWIRED, inside, lab_of, needs_root, wait_for

from unwired.lab import bird_bgp, cut, scenario_file
from unwired.lab.build import Lab
from unwired.lab.processes import LabError
from unwired.lab.walk import Walker

SYSTEMS = """
name = "systems"
duration_s = 5
routing = "bgp"

[[node]]
name = "left"
role = "host"
interfaces = { eth0 = ["2001:db8:1:1::2/64", "10.1.1.2/24"] }

[[node]]
name = "right"
role = "host"
takes = ["2001:db8:f00::/48", "10.15.0.0/16"]
interfaces = { eth0 = ["2001:db8:3:1::2/64", "10.3.1.2/24"] }

[[node]]
name = "a"
role = "router"
as = 64501
interfaces.host0 = ["2001:db8:1:1::1/64", "10.1.1.1/24"]
interfaces.b0 = ["2001:db8:a::1/64", "10.10.0.1/24"]
interfaces.c0 = ["2001:db8:b::1/64", "10.11.0.1/24"]

[[node]]
name = "b"
role = "router"
as = 64502
originates = ["2001:db8:2::/48", "10.2.0.0/16"]
interfaces = { a0 = ["2001:db8:a::2/64", "10.10.0.2/24"], c0 = ["2001:db8:c::1/64", "10.12.0.1/24"] }

[[node]]
name = "c1"
role = "router"
as = 64503
interfaces.c20 = ["2001:db8:3:2::1/64", "10.3.2.1/24"]
interfaces.a0 = ["2001:db8:b::2/64", "10.11.0.2/24"]
interfaces.b0 = ["2001:db8:c::2/64", "10.12.0.2/24"]

[[node]]
name = "c2"
role = "router"
as = 64503
interfaces = { c10 = ["2001:db8:3:2::2/64", "10.3.2.2/24"], host0 = ["2001:db8:3:1::1/64", "10.3.1.1/24"] }

[[link]]
between = ["left.eth0", "a.host0"]

[[link]]
between = ["a.b0", "b.a0"]
delay_ms = 1

[[link]]
between = ["b.c0", "c1.b0"]
delay_ms = 1

[[link]]
between = ["a.c0", "c1.a0"]
delay_ms = 10

[[link]]
between = ["c1.c20", "c2.c10"]
delay_ms = 2

[[link]]
between = ["c2.host0", "right.eth0"]

[[fail]]
at_s = 1
what = "site"
node = "right"
until_s = 2
"""
"""Three systems, the third with two routers. By the fewest systems, the way from left to right is the slower one."""
RIGHT = "2001:db8:3:1::2"
RIGHT_IPV4 = "10.3.1.2"


@pytest.fixture
def path(write: Callable[[str], Path]) -> Path:
    return write(SYSTEMS)


def test_neighbours_and_origins_are_derived(path: Path) -> None:
    scenario = scenario_file.load(path)
    routers = {name: scenario.find_node(name) for name in ("a", "b", "c1", "c2")}
    found = [(one.node, one.version) for one in bird_bgp.neighbours(scenario, routers["c1"])]
    assert found == [("b", 6), ("b", 4), ("a", 6), ("a", 4)]
    assert [node.name for node in bird_bgp.companions(scenario, routers["c1"])] == ["c2"]
    assert bird_bgp.originated(scenario, routers["a"]) == ["2001:db8:1:1::/64", "10.1.1.0/24"]
    assert bird_bgp.originated(scenario, routers["b"]) == ["2001:db8:2::/48", "10.2.0.0/16"]
    assert bird_bgp.originated(scenario, routers["c2"]) == [
        "2001:db8:3:2::/64", "10.3.2.0/24", "2001:db8:3:1::/64", "10.3.1.0/24", "2001:db8:f00::/48", "10.15.0.0/16"
    ]  # fmt: skip


def test_a_home_agent_is_heard_for_its_home_prefixes_only() -> None:
    scenario = scenario_file.load(scenario_file.shipped()["global-2007"])
    text = "\n".join(bird_bgp.configuration(scenario, scenario.find_node("koren-seoul")))
    session = text[text.index("protocol bgp to_korea ") :].partition("\n}")[0]
    assert "neighbor 2001:320:100::10 as 4690;" in session
    assert "if net ~ [ 2001:200:a000::/35 ]" in session
    assert "export none" in session


@pytest.fixture(scope="module")
def systems(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Lab]:
    path = tmp_path_factory.mktemp("scenario") / "systems.toml"
    path.write_text(SYSTEMS)
    with lab_of(path) as lab:
        yield lab


def way(lab: Lab, destination: str = RIGHT) -> tuple[str, ...]:
    with Walker({node.name: lab.namespaces[node.name] for node in lab.scenario.node}) as walker:
        return walker.walk("left", destination)


@pytest.mark.root
@needs_root
def test_fewest_systems_win_and_a_cut_link_is_gone_around(systems: Lab) -> None:
    for address in (RIGHT, RIGHT_IPV4):
        assert way(systems, address) == ("left", "a", "c1", "c2", "right")
        inside(systems, "left", "ping", "-c", "1", "-W", "5", address)
    wires = cut.wires_of(systems.directory, ["a.c0"])
    cut.set_cut(systems.directory, wires, True)
    for address in (RIGHT, RIGHT_IPV4):
        wait_for(lambda: way(systems, address) == ("left", "a", "b", "c1", "c2", "right"))  # noqa: B023
        inside(systems, "left", "ping", "-c", "1", "-W", "5", address)
    cut.set_cut(systems.directory, wires, False)
    wait_for(lambda: way(systems) == ("left", "a", "c1", "c2", "right"))


@pytest.mark.root
@needs_root
def test_what_a_host_takes_is_routed_to_it(systems: Lab) -> None:
    for address in ("2001:db8:f00::1", "10.15.0.1"):
        assert way(systems, address)[:5] == ("left", "a", "c1", "c2", "right")


@pytest.mark.root
@needs_root
def test_a_wire_without_delay_that_may_fail_can_be_cut(systems: Lab) -> None:
    run = ["--run", systems.directory.name]
    subprocess.run([*UNWIRED, "lab", "cut", "right", *run], check=True, timeout=30)
    with systems.namespaces["left"].inside():
        lost = subprocess.run(["ping", "-6", "-c", "2", "-i", "0.1", "-W", "1", RIGHT], capture_output=True, timeout=30)
    assert lost.returncode == 1
    with systems.namespaces["right"].inside():
        shown = subprocess.run(["ip", "link", "show", "eth0"], capture_output=True, text=True, timeout=30)
    assert "LOWER_UP" in shown.stdout, "nobody sees a carrier go"
    subprocess.run([*UNWIRED, "lab", "heal", "right", *run], check=True, timeout=30)
    wait_for(lambda: subprocess.run(_ping(systems), capture_output=True, timeout=30).returncode == 0)


def _ping(lab: Lab) -> list[str]:
    return ["nsenter", f"--net={lab.namespaces['left'].path}", "ping", "-6", "-c", "1", "-W", "1", RIGHT]


@pytest.mark.root
@needs_root
def test_what_cannot_be_cut_is_told(systems: Lab) -> None:
    with pytest.raises(LabError, match=r"a\.b0"):
        cut.wires_of(systems.directory, ["left"])
