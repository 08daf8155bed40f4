"""A host to examine, in a network namespace: healthy, until a test breaks one thing."""

from collections.abc import Callable
from pathlib import Path

from unwired.bench.namespaces import Namespace, link
from unwired.doctor.checks import examine
from unwired.doctor.finding import Finding, Level
from unwired.doctor.host import Host
from unwired.host.config import load

KEY = 'spi = 256\nsecret = "hex:00112233445566778899aabbccddeeff"\n'
ALWAYS = {"clock.synchronized", "clock.home_agent"}
"""Of this machine, and of a daemon that does not run: no test breaks them."""


class Patient:
    """eth0 leads to a router in ``outside``; eth1 to nowhere."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self.inside, self.outside = Namespace(), Namespace()
        link(self.inside, "eth0", self.outside, "patient")
        link(self.inside, "eth1", self.outside, "other")
        self.inside.sysctl(eth0__accept_ra=1, eth1__accept_ra=1)
        self.outside.ip("address add 2001:db8:5::1/64 dev patient nodad")
        self.inside.ip(
            "address add 2001:db8:5::2/64 dev eth0 nodad",
            "address add 2001:db8:6::2/64 dev eth1 nodad",
            "route add default via 2001:db8:5::1 dev eth0",
        )
        self.config: Path | None = None

    def close(self) -> None:
        self.inside.close()
        self.outside.close()

    def run(self, command: str) -> None:
        self.inside.run(command)

    def nft(self, rules: str) -> None:
        file = self.directory / "rules.nft"
        file.write_text(rules)
        self.inside.run(f"nft -f {file}")

    def home_agent(self, sections: str = "", keys: str = "", daemon: str = "") -> None:
        """From here on it is to be a home agent."""
        self.config = self.directory / "home-agent.toml"
        self.config.write_text(
            f"""
[daemon]
name = "patient"
runtime_dir = "{self.directory}/run"
state_dir = "{self.directory}/state"
uplinks = ["eth0", "eth1"]
{daemon}
[home_agent]
address = "2001:db8:100::1"
home_prefixes = ["2001:db8:100::/64"]
{keys}
{sections}
"""
        )

    def mobile_node(self, keys: str = "") -> None:
        """From here on it is to be a mobile node."""
        self.config = self.directory / "mobile-node.toml"
        self.config.write_text(
            f"""
[daemon]
name = "patient"
runtime_dir = "{self.directory}/run"
state_dir = "{self.directory}/state"
[mobile_node]
identifier = "mn@example.org"
home_address = "2001:db8:100::1000/64"
home_agent = "2001:db8:100::1"
interfaces = ["eth0", "eth1"]
{keys}
[mobile_node.key]
{KEY}
"""
        )

    def findings(self) -> list[Finding]:
        with self.inside:
            return list(examine(Host(None if self.config is None else load(self.config))))

    def complaints(self) -> set[tuple[str, Level]]:
        """Codes and levels of all that is not well, but for what no test breaks."""
        return {(each.code, each.level) for each in self.findings() if each.level != Level.OK} - {
            (code, level) for code in ALWAYS for level in Level
        }


Harm = Callable[[Patient], object]
