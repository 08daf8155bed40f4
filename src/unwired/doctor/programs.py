"""Other programs that would undo what the daemon does, or do the same."""

import configparser
import fnmatch
from collections.abc import Iterator
from pathlib import Path

from unwired.doctor.finding import Result, ok, warn
from unwired.doctor.host import Host

_CONFIGURATION = [Path("/usr/lib"), Path("/usr/local/lib"), Path("/run"), Path("/etc")]
"""From what counts least to what counts most (systemd.conf(5), NetworkManager.conf(5))."""
_FOREIGN = ("ManageForeignRoutingPolicyRules", "ManageForeignRoutes")
_YES = ("1", "yes", "true", "on")
_NETWORKD_FIX = (
    "mkdir -p /etc/systemd/networkd.conf.d && printf '[Network]\\n{}' > /etc/systemd/networkd.conf.d/unwired.conf && "
    "systemctl restart systemd-networkd"
)
_NETWORK_MANAGER_FIX = (
    "printf '[keyfile]\\nunmanaged-devices+=interface-name:{}*\\n' > /etc/NetworkManager/conf.d/unwired.conf && "
    "nmcli general reload"
)


def networkd(host: Host) -> Iterator[Result]:
    """By default it removes routes and rules that it has not made, whenever it starts (networkd.conf(5))."""
    if "systemd-network" not in host.programs:
        yield ok("systemd-networkd does not run")
        return
    settings = _read(Path("systemd"), "networkd.conf").get("Network", {})
    foreign = [name for name in _FOREIGN if settings.get(name.lower(), "yes").lower() in _YES]
    if foreign:
        lines = "".join(f"{name}=no\\n" for name in foreign)
        yield warn(
            f"systemd-networkd runs with {' and '.join(foreign)}: it removes what the daemon made whenever it starts, "
            "and the daemon puts it back",
            _NETWORKD_FIX.format(lines),
        )
    else:
        yield ok("systemd-networkd runs and leaves foreign routes and rules alone")


def network_manager(host: Host) -> Iterator[Result]:
    if "NetworkManager" not in host.programs:
        yield ok("NetworkManager does not run")
        return
    device = host.tunnel_device
    unmanaged = _read(Path("NetworkManager"), "NetworkManager.conf").get("keyfile", {}).get("unmanaged-devices", "")
    patterns = [each.partition("interface-name:")[2] for each in unmanaged.replace(",", ";").split(";")]
    if any(pattern and fnmatch.fnmatch(device, pattern.lstrip("=")) for pattern in patterns):
        yield ok(f"NetworkManager runs and leaves {device} alone")
    else:
        yield warn(f"NetworkManager runs and may take {device} for its own", _NETWORK_MANAGER_FIX.format(device))


def mobility(host: Host) -> Iterator[Result]:
    if "mip6d" in host.programs:
        yield warn("mip6d (UMIP) runs: two programs can't both answer for the same addresses", "systemctl stop mip6d")
    else:
        yield ok("no other mobility daemon runs")


def advertising(host: Host) -> Iterator[Result]:
    """The daemon advertises the home link itself (RFC 6275 section 7)."""
    link = None if host.home_agent is None else host.home_agent.home_link
    if link is None:
        yield ok("not needed: the home link is virtual")
    elif "radvd" in host.programs:
        yield warn(
            f"radvd runs, and the daemon sends the router advertisements of {link} itself",
            f"take {link} out of /etc/radvd.conf, then: systemctl reload radvd",
            link,
        )
    else:
        yield ok(f"radvd does not run: the daemon advertises {link} alone", link)


def _read(directory: Path, name: str) -> dict[str, dict[str, str]]:
    """The settings of a main file and its drop-ins, keys in lower case; ``key+=`` adds to what was said before."""
    drop_ins = "conf.d" if directory.name == "NetworkManager" else f"{name}.d"
    files = [root / directory / name for root in _CONFIGURATION]
    named = {
        path.name: path for root in _CONFIGURATION for path in sorted((root / directory / drop_ins).glob("*.conf"))
    }
    files += [named[each] for each in sorted(named)]
    found: dict[str, dict[str, str]] = {}
    for path in files:
        parser = configparser.ConfigParser(strict=False, interpolation=None, delimiters=("=",), allow_no_value=True)
        try:
            parser.read_string(path.read_text(errors="replace"))
        except (OSError, configparser.Error):
            continue  # not there, or not to be understood
        for section in parser.sections():
            into = found.setdefault(section, {})
            for key, value in parser[section].items():
                adds = key.endswith("+")
                key = key.rstrip("+")
                into[key] = f"{into.get(key, '')};{value or ''}" if adds else value or ""
    return found
