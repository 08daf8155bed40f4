"""The life of a binding at the home agent, as a table: (state, input) -> (step, next state).

The documentation's diagram is drawn from it and a property test walks it in full. Checks that do not depend on
the state (authentication, sequence number, home prefix) come before it: see ``admission.py``.
"""

from enum import IntEnum, StrEnum


class State(IntEnum):
    """Numbers are part of the journal's record format."""

    ABSENT = 0
    """Nothing is known of this home address."""
    DETECTING = 1
    """A registration waits for duplicate address detection on the home link (RFC 6275 section 10.3.1)."""
    BOUND = 2
    """Packets for the home address go to the care-of address."""
    DELETED = 3
    """De-registered: kept for a while so that a delayed binding update is refused by its sequence number
    (RFC 6275 section 10.3.2, MAX_DELETE_BCE_TIMEOUT) and by its timestamp."""
    REMEMBERED = 4
    """No binding; only the last timestamp is kept, until an update that carries it would be too old anyway."""


class Input(IntEnum):
    REGISTER = 0
    """A valid binding update with a lifetime, where the home link is virtual."""
    REGISTER_ON_LINK = 1
    """The same where the home link is real, and the home address may be in use there."""
    DEREGISTER = 2
    """A valid binding update with lifetime zero."""
    UNIQUE = 3
    """Duplicate address detection heard nobody."""
    DUPLICATE = 4
    """Another node on the home link has the home address."""
    EXPIRED = 5
    """The lifetime is over."""
    FAILED = 6
    """The host could not do what the binding needs."""
    FORGET = 7
    """What was kept after the end of the binding is no longer needed."""
    DEREGISTER_ELSEWHERE = 8
    """A valid binding update with lifetime zero, sent to a member of the set that is not the primary home agent."""
    LEARN = 9
    """Another member of the set has a newer binding."""
    LEARN_OVER = 10
    """The same, but its lifetime is over."""
    LEARN_DELETED = 11
    """Another member of the set has the tombstone of this binding, or a newer one."""


class Step(StrEnum):
    """What is done on a transition; each is a method of the registrar, or of the merger where it is learnt."""

    BIND = "bind"
    UPDATE = "update"
    DETECT = "detect"
    TAKE_NEWER = "take_newer"
    ACKNOWLEDGE_AGAIN = "acknowledge_again"
    UNBIND = "unbind"
    EXPIRE = "expire"
    GIVE_UP = "give_up"
    FORGET = "forget"
    REFUSE_UNKNOWN = "refuse_unknown"
    REFUSE_DUPLICATE = "refuse_duplicate"
    ABANDON = "abandon"
    ACKNOWLEDGE_ONLY = "acknowledge_only"
    ADOPT = "adopt"
    FOLLOW = "follow"
    BURY = "bury"
    IGNORE = "ignore"


TRANSITIONS: dict[tuple[State, Input], tuple[Step, State]] = {
    (State.ABSENT, Input.REGISTER): (Step.BIND, State.BOUND),
    (State.ABSENT, Input.REGISTER_ON_LINK): (Step.DETECT, State.DETECTING),
    (State.ABSENT, Input.DEREGISTER): (Step.REFUSE_UNKNOWN, State.ABSENT),
    (State.ABSENT, Input.DEREGISTER_ELSEWHERE): (Step.REFUSE_UNKNOWN, State.ABSENT),
    (State.ABSENT, Input.LEARN): (Step.ADOPT, State.BOUND),
    (State.ABSENT, Input.LEARN_OVER): (Step.BURY, State.REMEMBERED),
    (State.ABSENT, Input.LEARN_DELETED): (Step.BURY, State.DELETED),
    # A mobile node that hears nothing for a second sends again: the newest update is the one that is answered.
    (State.DETECTING, Input.REGISTER): (Step.TAKE_NEWER, State.DETECTING),
    (State.DETECTING, Input.REGISTER_ON_LINK): (Step.TAKE_NEWER, State.DETECTING),
    (State.DETECTING, Input.DEREGISTER): (Step.ABANDON, State.REMEMBERED),
    (State.DETECTING, Input.UNIQUE): (Step.BIND, State.BOUND),
    (State.DETECTING, Input.DUPLICATE): (Step.REFUSE_DUPLICATE, State.REMEMBERED),
    (State.BOUND, Input.REGISTER): (Step.UPDATE, State.BOUND),
    # "Unless this home agent already has a binding": no detection again (RFC 6275 section 10.3.1).
    (State.BOUND, Input.REGISTER_ON_LINK): (Step.UPDATE, State.BOUND),
    (State.BOUND, Input.DEREGISTER): (Step.UNBIND, State.DELETED),
    (State.BOUND, Input.EXPIRED): (Step.EXPIRE, State.REMEMBERED),
    (State.BOUND, Input.FAILED): (Step.GIVE_UP, State.REMEMBERED),
    # A strict node leaves its former home agent after it has registered with another: that must not end the binding.
    (State.BOUND, Input.DEREGISTER_ELSEWHERE): (Step.ACKNOWLEDGE_ONLY, State.BOUND),
    (State.BOUND, Input.LEARN): (Step.FOLLOW, State.BOUND),
    (State.BOUND, Input.LEARN_OVER): (Step.BURY, State.REMEMBERED),
    (State.BOUND, Input.LEARN_DELETED): (Step.BURY, State.DELETED),
    (State.DELETED, Input.REGISTER): (Step.BIND, State.BOUND),
    (State.DELETED, Input.REGISTER_ON_LINK): (Step.DETECT, State.DETECTING),
    # The acknowledgement was lost: the entry is still there, so it is acknowledged again and not refused with 133.
    (State.DELETED, Input.DEREGISTER): (Step.ACKNOWLEDGE_AGAIN, State.DELETED),
    (State.DELETED, Input.FORGET): (Step.FORGET, State.ABSENT),
    (State.DELETED, Input.DEREGISTER_ELSEWHERE): (Step.ACKNOWLEDGE_ONLY, State.DELETED),
    (State.DELETED, Input.LEARN): (Step.ADOPT, State.BOUND),
    (State.DELETED, Input.LEARN_OVER): (Step.BURY, State.REMEMBERED),
    (State.DELETED, Input.LEARN_DELETED): (Step.BURY, State.DELETED),
    (State.REMEMBERED, Input.REGISTER): (Step.BIND, State.BOUND),
    (State.REMEMBERED, Input.REGISTER_ON_LINK): (Step.DETECT, State.DETECTING),
    (State.REMEMBERED, Input.DEREGISTER): (Step.REFUSE_UNKNOWN, State.REMEMBERED),
    (State.REMEMBERED, Input.DEREGISTER_ELSEWHERE): (Step.REFUSE_UNKNOWN, State.REMEMBERED),
    (State.REMEMBERED, Input.LEARN): (Step.ADOPT, State.BOUND),
    (State.REMEMBERED, Input.LEARN_OVER): (Step.BURY, State.REMEMBERED),
    (State.REMEMBERED, Input.LEARN_DELETED): (Step.BURY, State.DELETED),
    (State.REMEMBERED, Input.FORGET): (Step.FORGET, State.ABSENT),
}
"""Only what changes or answers something; every other pair is ``(Step.IGNORE, the same state)``."""

HAS_SEQUENCE = frozenset({State.DETECTING, State.BOUND, State.DELETED})
"""The states in which a binding cache entry exists, so that a sequence number must be greater than the last one."""

TABLE: tuple[tuple[tuple[Step, State], ...], ...] = tuple(
    tuple(TRANSITIONS.get((state, event), (Step.IGNORE, state)) for event in Input) for state in State
)
"""The same as ``TABLE[state][input]``, complete."""
