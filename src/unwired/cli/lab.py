"""``unwired lab``: an emulated Internet in network namespaces, from a scenario file."""

import json
import os
import signal
import sys
from pathlib import Path
from types import FrameType, TracebackType
from typing import Annotated, Any, NoReturn

import typer
from rich import box
from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn
from rich.table import Table

from unwired.cli.daemon_client import CONFIG_VARIABLE
from unwired.lab import agents, cut, graph, ledger, namespace, plug, scenario_file
from unwired.lab.processes import LabError
from unwired.lab.result import Result
from unwired.lab.scenario import Scenario
from unwired.lab.scenario_file import ScenarioError

FAILED = 1
CANNOT_RUN = 2
_WIDTH_IN_FILES = 140
_messages = Console(stderr=True, highlight=False)

lab = typer.Typer(no_args_is_help=False, invoke_without_command=True, help=__doc__)

Name = Annotated[str, typer.Argument(metavar="SCENARIO", help="A shipped scenario's name, or the path of a file.")]
AsJson = Annotated[bool, typer.Option("--json", help="Print a JSON object.")]


def register(app: typer.Typer) -> None:
    app.add_typer(lab, name="lab", help="An emulated Internet in network namespaces, from a scenario file.")


@lab.callback()
def _bare(context: typer.Context) -> None:
    """An emulated Internet in network namespaces, from a scenario file. A bare ``lab`` lists."""
    if context.invoked_subcommand is None:
        list_scenarios()


@lab.command("list")
def list_scenarios(as_json: AsJson = False) -> None:
    """The shipped scenarios, and the runs on this host."""
    shipped = {name: _load(str(path)) for name, path in scenario_file.shipped().items()}
    runs = ledger.runs()
    if as_json:
        scenarios = [
            {"name": name, "title": one.title, "duration_s": one.duration_s, "path": str(scenario_file.find(name))}
            for name, one in shipped.items()
        ]
        states = [{"name": run.name, "scenario": run.scenario, "state": run.state} for run in runs]
        _print_json({"schema": "unwired.lab.list/1", "scenarios": scenarios, "runs": states})
        return
    for name, one in shipped.items():
        print(f"{name:<16} {one.duration_s:4g} s  {one.title}")
    for run in runs:
        print(f"{run.name:<24} {run.state}")


@lab.command("run")
def run_scenario(
    name: Name,
    as_json: AsJson = False,
    report: Annotated[Path | None, typer.Option(help="Write an HTML page about the run into this directory.")] = None,
    pcap: Annotated[Path | None, typer.Option(help="Capture every interface into this directory.")] = None,
    keep: Annotated[Path | None, typer.Option(help="Copy logs and configurations into this directory.")] = None,
    baseline: Annotated[
        str | None, typer.Option(metavar="SCENARIO", help="Run this one first, and compare with it.")
    ] = None,
) -> None:
    """Run a scenario and judge it. Exit status: 0 all expectations hold, 1 one does not, 2 it could not be run."""
    from unwired.lab import report as lab_report  # only here: it draws, and reads captures
    from unwired.lab import report_story
    from unwired.lab import run as lab_run  # only where it is needed: a daemon's start would wait for NumPy, too
    from unwired.lab.analysis import analyse

    scenario = _load(name)
    compared = _load(baseline) if baseline is not None else None
    _stop_on_signal()
    try:
        with _Screen() as screen:
            other = _run_baseline(compared, screen) if compared is not None else None
            with lab_run.built(scenario, screen) as built:
                record = lab_run.run(built, screen, pcap)
                result = analyse(record)
                screen.rule(f"what happened in {scenario.name}")
                for at_s, sentence in report_story.tell(result, record, other):
                    screen.say(at_s, sentence)
                if report is not None:
                    lab_report.write(result, record, report, other)
                if keep is not None:
                    lab_run.copy_logs(built, keep)
    except LabError as error:
        _fail(str(error))
    if as_json:
        _print_json(lab_report.as_json(result, other))
    else:
        _print_result(result)
    if report is not None:
        _messages.print(f"report: {report / 'index.html'}")
    raise typer.Exit(0 if result.passed else FAILED)


def _run_baseline(scenario: Scenario, screen: "_Screen") -> Result:
    """Its own expectations are not judged: what counts is what was measured."""
    from unwired.lab import run as lab_run
    from unwired.lab.analysis import analyse

    screen.rule(f"the baseline: {scenario.name}")
    with lab_run.built(scenario, screen) as built:
        result = analyse(lab_run.run(built, screen))
    for problem in result.problems:
        screen.say(None, f"{scenario.name}: {problem}")
    return result


@lab.command()
def up(name: Name, as_json: AsJson = False) -> None:
    """Build a scenario with its daemons and leave it running; `unwired lab down` removes it."""
    from unwired.lab import run as lab_run

    scenario = _load(name)
    _stop_on_signal()
    try:
        with _Screen() as screen:
            directory = lab_run.keep(scenario, screen)
    except LabError as error:
        _fail(str(error))
    configurations = {
        node.name: str(agents.configuration_path(directory, node.name)) for node in agents.daemons(scenario)
    }
    if as_json:
        names = [node.name for node in scenario.node]
        _print_json(
            {"schema": "unwired.lab.up/1", "run": directory.name, "nodes": names, "configurations": configurations}
        )
        return
    print(directory.name)
    for node in configurations:
        print(f"  unwired lab exec --run {directory.name} {node} -- unwired status")


@lab.command(
    "exec",
    context_settings={"ignore_unknown_options": True, "allow_interspersed_args": False},
)
def execute(
    node: Annotated[str, typer.Argument(metavar="NODE", help="The node to be in.")],
    command: Annotated[list[str] | None, typer.Argument(metavar="COMMAND", help="After --; left out: a shell.")] = None,
    run: Annotated[str | None, typer.Option("--run", help="Which run, when there are several.")] = None,
) -> None:
    """Run a command inside a node. Where the node has a daemon, `unwired status` and the like ask that one."""
    chosen = _choose(run)
    path = next((path for path in chosen.namespaces if path.name == node), None)
    if path is None:
        _fail(f"{chosen.name} has no node {node!r}; it has {', '.join(_nodes(chosen))}")
    given = command or []
    given = given[1:] if given[:1] == ["--"] else given
    command = given or [os.environ.get("SHELL", "/bin/sh")]
    configuration = agents.configuration_path(chosen.directory, node)
    if configuration.exists():
        os.environ[CONFIG_VARIABLE] = str(configuration)
    try:
        namespace.enter(path)
        os.execvp(command[0], command)
    except FileNotFoundError:
        _fail(f"there is no command {command[0]!r}")
    except PermissionError:
        _fail("entering a network namespace takes root: run it with sudo")


@lab.command()
def move(
    interface: Annotated[str, typer.Argument(metavar="NODE.INTERFACE", help="What to move.")],
    network: Annotated[str | None, typer.Argument(metavar="NETWORK", help="Where to; left out: nowhere.")] = None,
    run: Annotated[str | None, typer.Option("--run", help="Which run, when there are several.")] = None,
) -> None:
    """Move an interface of what is up to another network."""
    try:
        plug.move(_choose(run).directory, interface, network)
    except LabError as error:
        _fail(str(error))
    except PermissionError:
        _fail("entering a network namespace takes root: run it with sudo")


Parts = Annotated[list[str], typer.Argument(metavar="NODE|NODE.INTERFACE...", help="All links of a node, or one.")]
RunName = Annotated[str | None, typer.Option("--run", help="Which run, when there are several.")]


@lab.command("cut")
def cut_wires(parts: Parts, run: RunName = None) -> None:
    """Let every frame on links of what is up disappear; nobody sees a carrier go."""
    _set_cut(parts, run, True)


@lab.command("heal")
def heal_wires(parts: Parts, run: RunName = None) -> None:
    """Undo `cut`."""
    _set_cut(parts, run, False)


def _set_cut(parts: list[str], run: str | None, is_cut: bool) -> None:
    directory = _choose(run).directory
    try:
        cut.set_cut(directory, cut.wires_of(directory, parts), is_cut)
    except LabError as error:
        _fail(str(error))
    except PermissionError:
        _fail("a run belongs to root: use sudo")


@lab.command()
def down(
    names: Annotated[list[str] | None, typer.Argument(metavar="RUN", help="Runs to end, as `list` names them.")] = None,
    killed_only: Annotated[bool, typer.Option("--killed", help="Leave what `up` left running.")] = False,
    as_json: AsJson = False,
) -> None:
    """Remove what killed runs left behind, and what `up` left running. A `run` that is under way is not touched."""
    runs = ledger.runs()
    unknown = set(names or ()) - {run.name for run in runs}
    if unknown:
        _fail(
            f"there is no run {', '.join(sorted(unknown))}; there are: {', '.join(run.name for run in runs) or 'none'}"
        )
    removed = []
    for run in runs:
        if run.state == "running":
            if run.name in (names or ()):
                _fail(f"{run.name} is under way: interrupt the command that runs it (process {_owner(run)})")
            continue
        if (names and run.name not in names) or (killed_only and run.state != "killed"):
            continue
        if os.geteuid() != 0:
            _fail("removing network namespaces takes root: run it with sudo")
        run.clean_up()
        removed.append(run.name)
        _messages.print(f"removed {run.name}")
    if as_json:
        _print_json({"schema": "unwired.lab.down/1", "removed": removed})


@lab.command("graph")
def draw(
    name: Name,
    form: Annotated[str, typer.Option("--format", help="text, dot or svg.")] = "text",
    as_json: AsJson = False,
) -> None:
    """Draw a scenario's topology."""
    scenario = _load(name)
    if as_json:
        _print_json({"schema": "unwired.lab.graph/1", **graph.as_json(scenario)})
        return
    if form not in graph.FORMATS:
        _fail(f"there is no format {form!r}; there are {', '.join(graph.FORMATS)}")
    print(graph.FORMATS[form](scenario), end="")


@lab.command("schema")
def print_schema() -> None:
    """Print the JSON schema of scenario files."""
    _print_json(scenario_file.schema())


def _load(name: str) -> Scenario:
    try:
        path = scenario_file.find(name)
        scenario = scenario_file.load(path)
        agents.check(scenario, path)
    except ScenarioError as error:
        for problem in error.problems:
            print(problem.sentence(), file=sys.stderr)
        raise typer.Exit(CANNOT_RUN) from None
    return scenario


def _choose(name: str | None) -> ledger.Run:
    runs = [run for run in ledger.runs() if run.state != "killed"]
    if name is not None:
        runs = [run for run in runs if run.name == name]
    if not runs:
        _fail(f"there is no run {name}" if name else "nothing is up: build something with `unwired lab up SCENARIO`")
    if len(runs) > 1:
        _fail(f"there are several runs: choose one with --run ({', '.join(run.name for run in runs)})")
    return runs[0]


def _nodes(run: ledger.Run) -> list[str]:
    return [path.name for path in run.namespaces if not path.name.startswith("_")]


def _owner(run: ledger.Run) -> int | None:
    return run.owner.pid if run.owner is not None else None


def _stop_on_signal() -> None:
    """SIGTERM, Ctrl-C and a terminal that goes away end the run with its clean-up."""

    def stop(number: int, frame: FrameType | None) -> None:
        _messages.print("interrupted: cleaning up")
        raise SystemExit(128 + number)

    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, stop)


class _Screen:
    """Tells on stderr what happens; on a terminal with a bar below that shows how far the run is."""

    def __init__(self) -> None:
        columns = (TextColumn("[dim]{task.description}"), BarColumn(), TextColumn("{task.completed:.0f} s"))
        self._progress = Progress(*columns, console=_messages, transient=True, disable=not _messages.is_terminal)
        self._task = self._progress.add_task("running", visible=False)

    def __enter__(self) -> "_Screen":
        self._progress.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._progress.stop()

    def say(self, at_s: float | None, sentence: str) -> None:
        stamp = "       -" if at_s is None else f"{at_s:8.3f}"
        _messages.print(f"[dim]{stamp}[/dim]  {_plain(sentence)}", soft_wrap=True)

    def rule(self, words: str) -> None:
        """A heading between two parts of what is told."""
        _messages.print(f"[bold]{_plain(words)}[/bold]")

    def advance(self, elapsed_s: float, duration_s: float) -> None:
        self._progress.update(self._task, completed=elapsed_s, total=duration_s, visible=elapsed_s < duration_s)


def _plain(text: str) -> str:
    return text.replace("[", r"\[")


def _print_result(result: Result) -> None:
    output = Console(highlight=False)
    if not output.is_terminal:
        output = Console(highlight=False, width=_WIDTH_IN_FILES)
    moves = Table(title="moves", title_justify="left", box=box.SIMPLE_HEAD, padding=(0, 1, 0, 0))
    for heading, justify in (("at", "right"), ("node", "left"), ("from", "left"), ("to", "left"), ("kind", "left")):
        moves.add_column(heading, justify=justify)  # type: ignore[arg-type]
    for heading in ("interruption", "lost", "signalling"):
        moves.add_column(heading, justify="right", no_wrap=True, min_width=len(heading))
    for move in result.handovers:
        ends = (move.node, move.source or "nowhere", move.destination or "nowhere", move.kind)
        figures = (_ms(move.interruption_ms), str(move.packets_lost), _ms(move.signalling_ms))
        moves.add_row(f"{move.at_s:.1f} s", *ends, *figures)
    if result.handovers:
        output.print(moves)
    expectations = Table(title="expectations", title_justify="left", box=box.SIMPLE_HEAD, padding=(0, 1, 0, 0))
    for heading in ("expectation", "measured", "limit", ""):
        expectations.add_column(heading, justify="right" if heading in ("measured", "limit") else "left")
    for one in result.expectations:
        measured = "nothing" if one.measured is None else _figure(one.measured, one.unit)
        verdict = "[green]holds[/green]" if one.passed else "[bold red]fails[/bold red]"
        limit = f"{one.comparison} {_figure(one.limit, one.unit)}"
        expectations.add_row(_plain(one.name), measured, limit, verdict)
    output.print(expectations)
    for problem in result.problems:
        output.print(f"[red]problem:[/red] {_plain(problem)}")
    output.print("[green]passed[/green]" if result.passed else "[bold red]failed[/bold red]")


def _ms(value: float | None) -> str:
    return "-" if value is None else f"{value:,.1f} ms"


def _figure(value: float, unit: str) -> str:
    digits = f"{value:,.1f}" if abs(value) >= 10 else f"{value:.3g}"
    return f"{digits.removesuffix('.0')} {unit}".rstrip()


def _print_json(value: Any) -> None:
    print(json.dumps(value, indent=2, ensure_ascii=False))


def _fail(sentence: str) -> NoReturn:
    print(f"unwired lab: {sentence}", file=sys.stderr)
    raise typer.Exit(CANNOT_RUN)
