"""Scenario files: the shipped ones, the schema, mistakes, and what is computed from them."""

import ipaddress
import itertools
import json
import tomllib
from collections.abc import Callable
from pathlib import Path

import jsonschema
import pytest
from small_lab import SMALL

from unwired.lab import agents, bird, graph, netem, scenario_file, toml
from unwired.lab.routes import static_routes
from unwired.lab.scenario import Routing, Scenario, Shape
from unwired.lab.scenario_file import ScenarioError

SCHEMA = Path(scenario_file.__file__).with_name("scenario.schema.json")
SHIPPED = scenario_file.shipped()


def _problems(path: Path) -> dict[str, str]:
    """Key to what is wrong."""
    with pytest.raises(ScenarioError) as caught:
        scenario_file.load(path)
    assert all(problem.what and problem.why and problem.fix for problem in caught.value.problems)
    return {problem.key: problem.what for problem in caught.value.problems}


def test_the_shipped_schema_is_that_of_the_model() -> None:
    assert json.loads(SCHEMA.read_text()) == scenario_file.schema(), "run: unwired lab schema > scenario.schema.json"


@pytest.mark.parametrize("name", SHIPPED)
def test_shipped_scenario_fits_model_schema_and_daemon(name: str) -> None:
    scenario = scenario_file.load(SHIPPED[name])
    assert scenario.name == name
    assert scenario.title
    agents.check(scenario, SHIPPED[name])
    raw = tomllib.loads(SHIPPED[name].read_text())
    if "base" not in raw:
        jsonschema.validate(raw, scenario_file.schema())


def test_every_mistake_is_told_at_once(write: Callable[[str], Path]) -> None:
    path = write("""
name = "Not A Name"
duration_s = -1
colour = "red"
[[node]]
name = "a"
rolle = "host"
role = "hst"
interfaces = { eth0 = ["2001:db8::1"], lo = [] }
[[link]]
between = ["a.eth0"]
[[expect]]
metric = "happiness"
exactly = 1
[[traffic]]
kind = "tcp"
between = ["a", "b"]
intervall = 3
""")
    found = _problems(path)
    assert {
        "name",
        "duration_s",
        "colour",
        "node[0].rolle",
        "node[0].role",
        "node[0].interfaces.eth0[0]",
        "node[0].interfaces.lo",
        "link[0].between[1]",
        "expect[0].metric",
        "traffic[0].intervall",
    } <= set(found)
    assert "prefix length" in found["node[0].interfaces.eth0[0]"]


def test_parts_must_fit_each_other(write: Callable[[str], Path]) -> None:
    path = write("""
name = "odd"
duration_s = 5
[[node]]
name = "a"
role = "host"
interfaces = { eth0 = ["2001:db8::1/64"], eth1 = [] }
attached = { eth1 = "nowhere", eth7 = "net" }
[[node]]
name = "a"
role = "home_agent"
interfaces = { eth0 = ["2001:db8::1/64"] }
[[network]]
name = "net"
members = ["a.eth0", "b.eth0"]
[[link]]
between = ["a.eth0", "a.eth9"]
[[move]]
at_s = 6
interface = "a.eth1"
to = "ent"
[[traffic]]
kind = "udp"
between = ["a", "c"]
stop_s = 9
""")
    found = _problems(path)
    assert {
        "node.name",
        "node[0].attached.eth1",
        "node[0].attached.eth7",
        "node[1].config",
        "network[0].members",
        "link[0].between",
        "move[0]",
        "move",
        "traffic[0].between",
        "traffic[0]",
    } <= set(found)


def test_a_mistake_in_a_daemons_configuration_is_told_with_its_place() -> None:
    scenario = scenario_file.load(SHIPPED["roaming"])
    raw = scenario.model_dump()
    raw["node"][0]["config"]["home_agent"]["adress"] = raw["node"][0]["config"]["home_agent"].pop("address")
    with pytest.raises(ScenarioError) as caught:
        agents.check(Scenario.model_validate(raw), Path("x.toml"))
    keys = {problem.key for problem in caught.value.problems}
    assert {"node[0].config.home_agent.adress", "node[0].config.home_agent.address"} <= keys


def test_a_scenario_keeps_what_its_base_says(write: Callable[[str], Path], tmp_path: Path) -> None:
    base = write(SMALL.format(duration_s=5, shape=""))
    path = write(f'base = "{base.name}"\nname = "longer"\nduration_s = 9\n')
    scenario = scenario_file.load(path)
    assert (scenario.name, scenario.duration_s, len(scenario.node)) == ("longer", 9, 3)


def test_a_base_that_leads_back_is_a_mistake(write: Callable[[str], Path], tmp_path: Path) -> None:
    path = write('base = "scenario0.toml"\n')
    assert "leads back" in _problems(path)["base"]


def test_nodes_of_a_base_are_replaced_and_added_by_name(write: Callable[[str], Path]) -> None:
    base = write(SMALL.format(duration_s=5, shape=""))
    path = write(f"""
base = "{base.name}"
[[node]]
name = "left"
role = "host"
interfaces = {{ eth0 = ["2001:db8:1::9/64"] }}
[[node]]
name = "new"
role = "host"
interfaces = {{ eth0 = ["2001:db8:9::1/64"] }}
""")
    scenario = scenario_file.load(path)
    assert [node.name for node in scenario.node] == ["left", "middle", "right", "new"]
    assert scenario.addresses("left.eth0") == ["2001:db8:1::9/64"]


def test_what_is_left_out_takes_along_what_hangs_on_it(write: Callable[[str], Path]) -> None:
    base = write(SMALL.format(duration_s=5, shape=""))
    fail = '[[fail]]\nat_s = 1\nwhat = "site"\nnode = "right"\n'
    scenario = scenario_file.load(write(f'base = "{base.name}"\nleave_out = ["right"]\n{fail}'))
    assert [node.name for node in scenario.node] == ["left", "middle"]
    assert [link.between for link in scenario.link] == [("left.eth0", "middle.eth0")]
    assert list(scenario.find_node("middle").interfaces) == ["eth0"]
    assert not scenario.traffic
    assert not scenario.fail
    assert set(_problems(write(f'base = "{base.name}"\nleave_out = ["rihgt"]\n'))) == {"leave_out"}


def test_failures_must_fit(write: Callable[[str], Path]) -> None:
    path = write(
        SMALL.format(duration_s=5, shape="")
        + """
[[fail]]
at_s = 1
what = "site"
node = "lefd"
[[fail]]
at_s = 1
what = "daemon"
node = "left"
[[fail]]
at_s = 1
what = "partition"
links = ["middle.eth7"]
[[fail]]
at_s = 4
what = "site"
node = "left"
until_s = 3
"""
    )
    assert set(_problems(path)) == {"fail[0].node", "fail[1].node", "fail[2].links", "fail[3]"}
    without_object = write(SMALL.format(duration_s=5, shape="") + '[[fail]]\nat_s = 1\nwhat = "partition"\n')
    assert "links" in _problems(without_object)["fail[0]"]


def test_systems_are_for_routers_that_speak_bgp(write: Callable[[str], Path]) -> None:
    text = SMALL.format(duration_s=5, shape="")
    assert set(_problems(write('routing = "bgp"\n' + text))) == {"node[1].as"}
    given = text.replace('role = "router"', 'role = "router"\nas = 64500\noriginates = ["2001:db8::/32"]')
    assert set(_problems(write(given))) == {"node[1].as", "node[1].originates"}


def test_a_nodes_own_configuration_comes_before_the_common_one() -> None:
    scenario = scenario_file.load(SHIPPED["global-2007"])
    korea = scenario.daemon_configuration(scenario.find_node("korea"))
    assert korea["home_agent"]["address"] == "2001:200:a000::4"
    assert korea["home_agent"]["home_prefixes"] == ["2001:200:a000::/35"]
    assert korea["bgp"]["as"] == 4690
    assert len(korea["member"]) == 4
    assert scenario.daemon_configuration(scenario.find_node("koren-seoul")) == {}


def test_unknown_name_and_broken_file_are_mistakes(write: Callable[[str], Path]) -> None:
    with pytest.raises(ScenarioError, match="roaming"):
        scenario_file.find("roamin")
    assert "no TOML" in _problems(write("name = "))[""]


def test_tours_become_moves_in_order() -> None:
    moves = scenario_file.load(SHIPPED["roaming-ten"]).moves()
    assert [move.to for move in moves[:4]] == ["cafe", "office", "train", "cafe"]
    assert moves[-1].to == "home"
    assert [move.at_s for move in moves] == sorted(move.at_s for move in moves)


def test_static_routes_take_the_shortest_delay() -> None:
    scenario = scenario_file.load(SHIPPED["roaming"])
    routes = {(route.node, route.prefix): route.via for route in static_routes(scenario)}
    assert routes["west", "2001:db8:c::/64"] == "2001:db8:f4::2"
    assert routes["east", "2001:db8:100::/64"] == "2001:db8:f0::1"
    assert routes["correspondent", "::/0"] == "2001:db8:200::1"
    assert not any(node == "mobile" for node, _ in routes)


def test_a_host_never_carries_others_traffic(write: Callable[[str], Path]) -> None:
    text = SMALL.format(duration_s=5, shape="").replace('role = "router"', 'role = "host"')
    assert static_routes(scenario_file.load(write(text))) == []


def test_routers_are_advertised_in_access_networks_only() -> None:
    scenario = scenario_file.load(SHIPPED["roaming"])
    advertised = {
        end for who in ("lab", "bird") for node in scenario.node for _, end in bird.advertised(scenario, node, who)
    }
    assert advertised == {"cafe-router.lan0", "office-router.lan0", "train-router.lan0"}


def test_bird_is_told_to_answer_solicitations_at_once() -> None:
    scenario = scenario_file.load(SHIPPED["roaming"])
    router = scenario.find_node("cafe-router")
    assert bird.needs_bird(scenario, router)
    text = bird.configuration(scenario, router, 6)
    assert 'interface "lan0"' in text
    assert "solicited ra unicast yes" in text
    assert "prefix 2001:db8:a::/64" in text
    assert not bird.needs_bird(scenario, scenario.find_node("home-agent"))


def test_graphs_show_every_node_and_network() -> None:
    scenario = scenario_file.load(SHIPPED["roaming"])
    for draw in graph.FORMATS.values():
        drawn = draw(scenario)
        for part in (*scenario.node, *scenario.network):
            assert part.name in drawn
    places = graph.layout(scenario)
    assert len(set(places.values())) == len(graph.vertices(scenario))


def test_home_network_is_where_the_home_prefix_is() -> None:
    scenario = scenario_file.load(SHIPPED["roaming"])
    assert scenario.home_network(scenario.find_node("mobile")) == "home"
    virtual = scenario_file.load(SHIPPED["two-links"])
    assert virtual.home_network(virtual.find_node("mobile")) is None


def test_netem_is_told_the_shape() -> None:
    assert netem.options(Shape(delay_ms=2.5)) == ["netem", "limit", "100000", "delay", "2500us"]
    told = " ".join(netem.options(Shape(rate_mbit=2.5, loss_percent=0.1, queue_ms=100)))
    assert told == "netem limit 21 delay 0us loss 0.1% rate 2500000bit"


def test_toml_is_written_as_it_is_read() -> None:
    document = {
        "daemon": {"name": 'a "b"\n\\', "on": True, "list": ["x", "ü"], "ratio": 0.5},
        "home_agent": {"subscriber": [{"identifier": "a", "key": [{"spi": 256}, {"spi": 257}]}, {"identifier": "b"}]},
        "dotted.key": {"deep": {"deeper": {"n": -1}}},
        "empty": {},
    }
    assert tomllib.loads(toml.dumps(document)) == document


def test_addresses_are_those_of_their_networks() -> None:
    """The shipped scenarios use addresses that nobody has: for documentation (RFC 3849, RFC 5737), benchmarks (RFC
    2544), private networks and carriers' NATs; but for those that show a real Internet."""
    nobodys = ["2001:db8::/32", "192.0.2.0/24", "198.51.100.0/24", "203.0.113.0/24"]
    nobodys += ["198.18.0.0/15", "192.168.0.0/16", "100.64.0.0/10"]
    prefixes = [ipaddress.ip_network(prefix) for prefix in nobodys]
    for path in SHIPPED.values():
        scenario = scenario_file.load(path)
        for node in () if scenario.routing is Routing.BGP else scenario.node:
            for address in itertools.chain.from_iterable(node.interfaces.values()):
                assert any(ipaddress.ip_interface(address).ip in prefix for prefix in prefixes), address
