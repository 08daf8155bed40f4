"""What another member of the home agent set is to us, as a table: (state, input) -> (step, next state).

The documentation's diagram is drawn from it and a property test walks it in full. A HELLO is an input only when it is
authentic and nothing that was sent after it has come before.
"""

from enum import IntEnum, StrEnum


class State(IntEnum):
    UNKNOWN = 0
    """Not heard of since our start."""
    JOINING = 1
    """There, but without all bindings, or unable to serve."""
    SERVING = 2
    DRAINING = 3
    """Serves, and hands its mobile nodes over."""
    DEAD = 4
    """Silent for too long."""
    LEFT = 5
    """It said that it goes."""


class Input(IntEnum):
    """The first four have the numbers of ``wire.home_agent_hello.MemberState``."""

    HELLO_JOINING = 1
    HELLO_SERVING = 2
    HELLO_DRAINING = 3
    HELLO_LEAVING = 4
    SILENCE = 5
    """Nothing was heard for ``hello_misses`` of the member's intervals."""


class Step(StrEnum):
    """What is told of a transition; whether the member is up follows from the states alone."""

    APPEAR = "appear"
    """It is joining."""
    SERVE = "serve"
    DRAIN = "drain"
    LOSE = "lose"
    """It fell silent."""
    REVIVE = "revive"
    """It was taken for dead and is heard again: ``revival`` says as what."""
    LEAVE = "leave"
    STAY = "stay"


class Revival(StrEnum):
    """What a member was that is heard again after it was taken for dead."""

    FALSE_DETECTION = "false_detection"
    """Alive: its path or a process, its or ours, only stuttered."""
    BACK = "back"
    """Cut off."""
    RESTARTED = "restarted"


STUTTER_S = 1.0
"""How long after it was taken for dead a member that is heard again was none: what lasts longer is a failure."""

UP = frozenset({State.SERVING, State.DRAINING})
"""The states in which what is meant for a member goes to it; in all others we do its work."""

TRANSITIONS: dict[tuple[State, Input], tuple[Step, State]] = {
    (State.UNKNOWN, Input.HELLO_JOINING): (Step.APPEAR, State.JOINING),
    (State.UNKNOWN, Input.HELLO_SERVING): (Step.SERVE, State.SERVING),
    (State.UNKNOWN, Input.HELLO_DRAINING): (Step.DRAIN, State.DRAINING),
    (State.UNKNOWN, Input.HELLO_LEAVING): (Step.LEAVE, State.LEFT),
    (State.JOINING, Input.HELLO_SERVING): (Step.SERVE, State.SERVING),
    (State.JOINING, Input.HELLO_DRAINING): (Step.DRAIN, State.DRAINING),
    (State.JOINING, Input.HELLO_LEAVING): (Step.LEAVE, State.LEFT),
    (State.JOINING, Input.SILENCE): (Step.LOSE, State.DEAD),
    # It was started again before we missed it, or found that it can't serve.
    (State.SERVING, Input.HELLO_JOINING): (Step.APPEAR, State.JOINING),
    (State.SERVING, Input.HELLO_DRAINING): (Step.DRAIN, State.DRAINING),
    (State.SERVING, Input.HELLO_LEAVING): (Step.LEAVE, State.LEFT),
    (State.SERVING, Input.SILENCE): (Step.LOSE, State.DEAD),
    (State.DRAINING, Input.HELLO_JOINING): (Step.APPEAR, State.JOINING),
    (State.DRAINING, Input.HELLO_SERVING): (Step.SERVE, State.SERVING),
    (State.DRAINING, Input.HELLO_LEAVING): (Step.LEAVE, State.LEFT),
    (State.DRAINING, Input.SILENCE): (Step.LOSE, State.DEAD),
    (State.DEAD, Input.HELLO_JOINING): (Step.REVIVE, State.JOINING),
    (State.DEAD, Input.HELLO_SERVING): (Step.REVIVE, State.SERVING),
    (State.DEAD, Input.HELLO_DRAINING): (Step.REVIVE, State.DRAINING),
    (State.DEAD, Input.HELLO_LEAVING): (Step.LEAVE, State.LEFT),
    (State.LEFT, Input.HELLO_JOINING): (Step.APPEAR, State.JOINING),
    (State.LEFT, Input.HELLO_SERVING): (Step.SERVE, State.SERVING),
    (State.LEFT, Input.HELLO_DRAINING): (Step.DRAIN, State.DRAINING),
}
"""Only what changes something; every other pair is ``(Step.STAY, the same state)``."""


def revival(same_boot: bool, dead_s: float) -> Revival:
    """``dead_s``: for how long nothing was heard after it was taken for dead."""
    if not same_boot:
        return Revival.RESTARTED
    return Revival.FALSE_DETECTION if dead_s <= STUTTER_S else Revival.BACK


def transition(state: State, given: Input) -> tuple[Step, State]:
    return TRANSITIONS.get((state, given), (Step.STAY, state))
