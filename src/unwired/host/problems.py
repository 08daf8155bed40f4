"""What is wrong with a configuration, said so that a person can put it right."""

from dataclasses import asdict, dataclass


@dataclass(frozen=True, slots=True)
class Problem:
    """One mistake. ``key`` is the dotted path in the file (``home_agent.subscriber[2].home_address``), empty for the
    file as a whole; no field ever holds a secret."""

    file: str
    key: str
    what: str
    why: str
    fix: str

    def sentence(self) -> str:
        where = f"{self.file}: {self.key}" if self.key else self.file
        return f"{where}: {self.what}\n  why: {self.why}\n  fix: {self.fix}"

    def as_json(self) -> dict[str, str]:
        return asdict(self)


class ConfigError(Exception):
    """A configuration that can't be used, with every problem found in it."""

    def __init__(self, problems: list[Problem]) -> None:
        super().__init__("\n".join(problem.sentence() for problem in problems))
        self.problems = problems
