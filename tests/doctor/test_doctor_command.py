"""The command as a person or a program runs it: without root, in a container's conditions, its exit codes, its JSON."""

import json
import os
import subprocess
import tempfile
from pathlib import Path
from typing import Any

import pytest
from patient import Patient

from unwired.doctor.checks import CHECKS

pytestmark = pytest.mark.root

PYTHON = Path(__file__).parents[2] / ".venv" / "bin" / "python"
AS_NOBODY = (
    *("setpriv", "--reuid=65534", "--regid=65534", "--clear-groups"),
    # Not to act as root, but to read a checkout that is root's own.
    *("--inh-caps=-all,+dac_read_search", "--ambient-caps=-all,+dac_read_search"),
)

NO_REHEARSAL = {
    "kernel.attachment": "fail",
    "kernel.forwarding": "fail",
    "firewall.outgoing": "unknown",
    "firewall.incoming": "unknown",
}
"""What can't be tried out where nothing can be set up."""


def doctor(patient: Patient, *words: str, before: tuple[str, ...] = ()) -> subprocess.CompletedProcess[str]:
    command = ["nsenter", f"--net={patient.inside.path}", *before, str(PYTHON), "-m", "unwired", "doctor", *words]
    environment = {name: value for name, value in os.environ.items() if name != "UNWIRED_CONFIG"}
    return subprocess.run(command, capture_output=True, text=True, cwd="/", env=environment, timeout=60)


def findings(done: subprocess.CompletedProcess[str]) -> dict[str, str]:
    """The worst level of each code."""
    order = ("ok", "unknown", "warn", "fail")
    worst: dict[str, str] = {}
    for finding in json.loads(done.stdout)["findings"]:
        worst[finding["code"]] = max(worst.get(finding["code"], "ok"), finding["level"], key=order.index)
    return worst


def in_a_world_where(command: str) -> tuple[str, ...]:
    """With mounts of its own, changed by ``command`` first."""
    return ("unshare", "--mount", "sh", "-c", f'{command} && exec "$@"', "sh")


def test_json(patient: Patient) -> None:
    done = doctor(patient, "--json")
    answer: dict[str, Any] = json.loads(done.stdout)
    assert (done.returncode, done.stderr) == (0, "")
    assert answer["schema"] == "unwired.doctor/1"
    assert (answer["config"], answer["roles"], answer["ok"]) == (None, ["home_agent", "mobile_node"], True)
    assert {tuple(finding) for finding in answer["findings"]} == {
        ("code", "role", "level", "about", "found", "why", "fix")
    }
    assert list(findings(done)) == [check.code for check in CHECKS if not check.configured]


def test_words_and_exit_codes(patient: Patient) -> None:
    patient.home_agent()
    done = doctor(patient, "-c", str(patient.config))
    assert done.returncode == 0
    assert done.stdout.splitlines()[-1].startswith("Nothing fails: ")
    patient.inside.sysctl(eth1__disable_ipv6=1)
    done = doctor(patient, "-c", str(patient.config))
    assert done.returncode == 1
    lines = done.stdout.splitlines()
    place = lines.index("fail    network.ipv6 eth1: IPv6 is disabled on eth1")
    assert lines[place + 1].startswith("        why: ")
    assert lines[place + 2] == "        fix: sysctl -w net.ipv6.conf.eth1.disable_ipv6=0"
    assert lines[-1].startswith("Something fails: ") and "1 to put right (fail)" in lines[-1]
    assert "\x1b" not in done.stdout


@pytest.mark.parametrize(
    ("words", "code", "complaint"),
    [
        (("-c", "/nowhere.toml"), 2, "can't be read"),
        (("--peer", "nobody"), 2, "'nobody' does not appear to be"),
        (("--peer", "2001:db8::1", "--answer", "2001:db8::1"), 2, "one side asks"),
        (("--nothing",), 2, "No such option"),
        (("--peer", "2001:db8:dead::1"), 1, ""),
    ],
)
def test_wrong_use(patient: Patient, words: tuple[str, ...], code: int, complaint: str) -> None:
    done = doctor(patient, *words)
    assert done.returncode == code
    assert complaint in done.stderr


def test_without_root(patient: Patient) -> None:
    with tempfile.TemporaryDirectory() as readable:
        Path(readable).chmod(0o755)
        patient.directory = Path(readable)
        patient.home_agent()
        done = doctor(patient, "--json", "-c", str(patient.config), before=AS_NOBODY)
    assert (done.returncode, done.stderr) == (0, "")
    levels = findings(done)
    for check in CHECKS:
        if check.code in levels and check.root_for:
            assert levels[check.code] == "unknown", check.code
    assert levels["host.rights"] == "warn"
    assert levels["kernel.tun"] in ("ok", "unknown")
    assert levels["network.addresses"] == levels["network.mtu"] == levels["kernel.bpf"] == "ok"
    refused = doctor(patient, "--peer", "2001:db8:5::1", before=AS_NOBODY)
    assert refused.returncode == 4
    assert "root" in refused.stderr


def test_root_that_lacks_capabilities(patient: Patient) -> None:
    done = doctor(patient, "--json", before=("setpriv", "--bounding-set=-sys_admin", "--inh-caps=-sys_admin"))
    levels = findings(done)
    assert done.returncode == 1
    assert levels["host.rights"] == "fail"
    assert levels["kernel.forwarding"] == "unknown"


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        ("umount /sys/fs/bpf", {"kernel.bpf_file_system": "warn"}),
        ("mount -o bind,ro /proc/sys /proc/sys", {"host.settings": "fail"}),
        ("mount -t tmpfs none /sys/kernel/btf", {"kernel.bpf": "fail"}),
        (
            "mount -t tmpfs none /dev/net",
            {"kernel.tun": "fail", **NO_REHEARSAL},
        ),
    ],
)
def test_what_containers_lack(patient: Patient, change: str, expected: dict[str, str]) -> None:
    healthy = findings(doctor(patient, "--json"))
    done = doctor(patient, "--json", before=in_a_world_where(change))
    assert {code: level for code, level in findings(done).items() if level != healthy[code]} == expected, done.stdout
    assert done.returncode == ("fail" in expected.values())
