"""The documentation says what is there: configuration keys, events, drop reasons, and examples that can be copied."""

import ast
import re
import tomllib
from collections.abc import Iterator
from pathlib import Path

import pytest
from pydantic import BaseModel

from unwired.core.notices import Drop
from unwired.host.config_models import (
    DaemonSection,
    HomeAgentSection,
    KeySection,
    MobileNodeSection,
    SubscriberSection,
)
from unwired.host.config_set import HomeAgentSetSection, MemberSection

ROOT = Path(__file__).parents[2]
DOCS = ROOT / "docs"
SECTIONS: dict[str, type[BaseModel]] = {
    "[daemon]": DaemonSection,
    "[home_agent]": HomeAgentSection,
    "[[home_agent.subscriber]]": SubscriberSection,
    "[[home_agent.subscriber.key]]": KeySection,
    "[home_agent_set]": HomeAgentSetSection,
    "[[member]]": MemberSection,
    "[mobile_node]": MobileNodeSection,
}


def first_cells(text: str) -> set[str]:
    """The names in backquotes in the first column of the tables."""
    rows = re.findall(r"^\| (`[^|]*) \|", text, re.MULTILINE)
    return {name for row in rows for name in re.findall(r"`([a-z0-9_]+)`", row)}


@pytest.mark.parametrize("heading", SECTIONS)
def test_every_configuration_key_is_documented_and_no_other(heading: str) -> None:
    parts = re.split(r"^##+ (.*)$", (DOCS / "configuration.md").read_text(), flags=re.MULTILINE)
    texts = (text for title, text in zip(parts[1::2], parts[2::2], strict=True) if title.startswith(heading))
    (text,) = (text for text in texts if first_cells(text))
    assert first_cells(text) == set(SECTIONS[heading].model_fields) - {"subscriber"}


def notices() -> Iterator[str]:
    for path in [*(ROOT / "src/unwired/core").glob("*.py"), *(ROOT / "src/unwired/host").glob("*.py")]:
        for node in ast.walk(ast.parse(path.read_text())):
            match node:
                case ast.Assign(targets=[ast.Name(id="_NOTICES")], value=ast.Dict(values=values)):
                    yield from (value.value for value in values if isinstance(value, ast.Constant))
            if not isinstance(node, ast.Call):
                continue
            name = getattr(node.func, "attr", getattr(node.func, "id", ""))
            if name in ("notify", "_notify", "_tell", "say", "Notice") and node.args:
                first = node.args[0]
                if isinstance(first, ast.Constant) and isinstance(first.value, str):
                    yield first.value


def test_every_event_and_drop_reason_is_documented_and_no_other() -> None:
    text = (DOCS / "events.md").read_text()
    said = set(notices())
    assert len(said) > 30
    assert first_cells(text) == said | {reason.value for reason in Drop}


def blocks(path: Path, language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```", path.read_text(), re.MULTILINE | re.DOTALL)


def test_files_to_copy_are_the_examples() -> None:
    shown = blocks(DOCS / "deploy.md", "toml") + blocks(DOCS / "deploy.md", "ini")
    shown += blocks(DOCS / "home-agent-set.md", "toml")
    examples = {path.name: path.read_text() for path in (ROOT / "examples").glob("*.*")}
    copied = ("home-agent.toml", "mobile-node.toml", "home-agent-home-link.toml", "home-agent-set.toml")
    for name in (*copied, "unwired@.service"):
        assert examples[name] in shown, f"no page shows examples/{name} as it is"
    for text in blocks(DOCS / "deploy.md", "toml"):
        tomllib.loads(text)
