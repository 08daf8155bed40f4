"""The mobile node's state machine, as data: (state, input) -> (what to do, next state).

The documentation's diagram is drawn from ``TABLE``; a property test walks every state with every input. A pair that is
not in the table changes nothing (``transition`` says so). Every ``Do`` is a method of ``MobileNode`` of the same name.
"""

from enum import StrEnum


class State(StrEnum):
    OFF = "off"
    """Before ``start`` and after ``stop``."""
    DETACHED = "detached"
    """No usable link, and no home agent has a binding of ours."""
    DISCOVERING = "discovering"
    """Away, and asking for the address of a home agent (RFC 6275 section 11.4.1)."""
    REGISTERING = "registering"
    """A binding update is outstanding and the home agent may have no binding yet."""
    REGISTERED = "registered"
    """The home agent has acknowledged our care-of address."""
    HANDOVER = "handover"
    """A binding update for a new care-of address is outstanding; the home agent still has the previous one."""
    REFRESHING = "refreshing"
    """A binding update for the care-of address that is registered is outstanding."""
    SWITCHING = "switching"
    """A binding update to another home agent is outstanding; the present one goes on serving us (RFC 5142)."""
    REFUSED = "refused"
    """The home agent said no; waiting before the next try."""
    STRANDED = "stranded"
    """No usable link, while the home agent may have a binding of ours."""
    RETURNING = "returning"
    """On the home link; the de-registration is outstanding (section 11.5.5)."""
    HOME = "home"
    """On the home link without a binding."""


class Input(StrEnum):
    START = "start"
    RESTORED = "restored"
    """Start with a binding that an earlier run left in the journal."""
    AWAY = "away"
    """There is a care-of address to register."""
    BACK = "back"
    """The link is back with the care-of address that the home agent has acknowledged: nothing moved."""
    HOME_LINK = "home_link"
    """The home prefix is on-link."""
    LOST = "lost"
    """No link is usable any more."""
    ACCEPTED = "accepted"
    """The outstanding binding update was accepted."""
    RUNNER_UP = "runner_up"
    """One for another care-of address, sent at the same time, was accepted: by another family."""
    CORRECTED = "corrected"
    """It was refused for a reason that is put right by now: sequence number, clock."""
    REFUSED = "refused"
    """It was refused for any other reason."""
    TIMER = "timer"
    """The retransmission or waiting time is over."""
    REFRESH = "refresh"
    """The binding should be renewed: its time has come, or somebody asked."""
    EXPIRED = "expired"
    """The binding's lifetime is over, also at the home agent."""
    AGENT_FOUND = "agent_found"
    """There is a home agent to try (another one)."""
    AGENT_WANTED = "agent_wanted"
    """There is no home agent left to try."""
    SWITCH = "switch"
    """There is a home agent to change to."""
    STILL_BOUND = "still_bound"
    """The present home agent accepted what was outstanding when the change to another began."""
    SWITCH_FAILED = "switch_failed"
    """No other home agent serves us, and the present one has the care-of address in use."""
    STOP = "stop"


class Do(StrEnum):
    NOTHING = "nothing"
    HOLD = "hold"
    """Put the home address on this host."""
    ADOPT = "adopt"
    """Hold, and take up the tunnel that an earlier run left."""
    REGISTER = "register"
    """Start a fresh attempt to register the care-of address in use."""
    SEND_AGAIN = "send_again"
    """Send the binding update again, backing off."""
    SEND_CORRECTED = "send_corrected"
    BOUND = "bound"
    """Take up what the home agent granted."""
    RUNNER_UP = "runner_up"
    """Take up what the home agent granted, until the care-of address that is wanted is acknowledged too."""
    SWITCH = "switch"
    """Ask another home agent, without a word to the present one."""
    SWITCHED = "switched"
    """Take up what the other home agent granted: it is the present one from now on."""
    RESUME = "resume"
    REFRESH = "refresh"
    WAIT = "wait"
    PAUSE = "pause"
    """Keep everything, send nothing."""
    FORGET = "forget"
    """The binding is gone: take the tunnel down."""
    EXPIRE = "expire"
    """The home agent has dropped the binding by now; go on trying."""
    DISCOVER = "discover"
    ASK_AGAIN = "ask_again"
    DEREGISTER = "deregister"
    SETTLE = "settle"
    """The home address answers on the home link; nothing was or is registered."""
    ARRIVE = "arrive"
    """De-registered: the home address answers on the home link and every neighbour is told."""
    FAREWELL = "farewell"
    """Undo what start set up; one de-registration when away."""


_S, _I, _D = State, Input, Do

_OUTSTANDING = {
    _I.AWAY: (_D.REGISTER, _S.HANDOVER),
    _I.HOME_LINK: (_D.DEREGISTER, _S.RETURNING),
    _I.LOST: (_D.PAUSE, _S.STRANDED),
    _I.ACCEPTED: (_D.BOUND, _S.REGISTERED),
    _I.RUNNER_UP: (_D.RUNNER_UP, _S.HANDOVER),
    _I.REFUSED: (_D.WAIT, _S.REFUSED),
    _I.EXPIRED: (_D.EXPIRE, _S.REGISTERING),
    _I.AGENT_FOUND: (_D.REGISTER, _S.REGISTERING),
    _I.AGENT_WANTED: (_D.DISCOVER, _S.DISCOVERING),
    _I.SWITCH: (_D.SWITCH, _S.SWITCHING),
}

_ROWS: dict[State, dict[Input, tuple[Do, State]]] = {
    _S.OFF: {
        _I.START: (_D.HOLD, _S.DETACHED),
        _I.RESTORED: (_D.ADOPT, _S.STRANDED),
    },
    _S.DETACHED: {
        _I.AWAY: (_D.REGISTER, _S.REGISTERING),
        _I.HOME_LINK: (_D.SETTLE, _S.HOME),
    },
    _S.DISCOVERING: {
        _I.AWAY: (_D.DISCOVER, _S.DISCOVERING),
        _I.HOME_LINK: (_D.DEREGISTER, _S.RETURNING),
        _I.LOST: (_D.PAUSE, _S.STRANDED),
        _I.TIMER: (_D.ASK_AGAIN, _S.DISCOVERING),
        _I.AGENT_FOUND: (_D.REGISTER, _S.REGISTERING),
    },
    _S.REGISTERING: _OUTSTANDING
    | {
        _I.AWAY: (_D.REGISTER, _S.REGISTERING),
        _I.CORRECTED: (_D.SEND_CORRECTED, _S.REGISTERING),
        _I.TIMER: (_D.SEND_AGAIN, _S.REGISTERING),
    },
    _S.REGISTERED: {
        _I.AWAY: (_D.REGISTER, _S.HANDOVER),
        _I.HOME_LINK: (_D.DEREGISTER, _S.RETURNING),
        _I.LOST: (_D.PAUSE, _S.STRANDED),
        _I.REFRESH: (_D.REFRESH, _S.REFRESHING),
        _I.EXPIRED: (_D.REGISTER, _S.REGISTERING),
        _I.SWITCH: (_D.SWITCH, _S.SWITCHING),
    },
    _S.HANDOVER: _OUTSTANDING
    | {
        _I.CORRECTED: (_D.SEND_CORRECTED, _S.HANDOVER),
        _I.TIMER: (_D.SEND_AGAIN, _S.HANDOVER),
    },
    _S.REFRESHING: _OUTSTANDING
    | {
        _I.CORRECTED: (_D.SEND_CORRECTED, _S.REFRESHING),
        _I.TIMER: (_D.SEND_AGAIN, _S.REFRESHING),
    },
    _S.SWITCHING: {
        _I.AWAY: (_D.REGISTER, _S.HANDOVER),
        _I.HOME_LINK: (_D.DEREGISTER, _S.RETURNING),
        _I.LOST: (_D.PAUSE, _S.STRANDED),
        _I.ACCEPTED: (_D.SWITCHED, _S.REGISTERED),
        _I.STILL_BOUND: (_D.BOUND, _S.SWITCHING),
        _I.CORRECTED: (_D.SEND_CORRECTED, _S.SWITCHING),
        _I.TIMER: (_D.SEND_AGAIN, _S.SWITCHING),
        _I.EXPIRED: (_D.EXPIRE, _S.SWITCHING),
        _I.SWITCH: (_D.SWITCH, _S.SWITCHING),
        _I.SWITCH_FAILED: (_D.REFRESH, _S.REFRESHING),
        _I.AGENT_FOUND: (_D.REGISTER, _S.REGISTERING),
    },
    _S.REFUSED: {
        _I.AWAY: (_D.REGISTER, _S.REGISTERING),
        _I.HOME_LINK: (_D.DEREGISTER, _S.RETURNING),
        _I.LOST: (_D.PAUSE, _S.STRANDED),
        _I.TIMER: (_D.REGISTER, _S.REGISTERING),
        _I.SWITCH: (_D.SWITCH, _S.SWITCHING),
    },
    _S.STRANDED: {
        _I.AWAY: (_D.REGISTER, _S.HANDOVER),
        _I.BACK: (_D.RESUME, _S.REGISTERED),
        _I.HOME_LINK: (_D.DEREGISTER, _S.RETURNING),
        _I.EXPIRED: (_D.FORGET, _S.DETACHED),
    },
    _S.RETURNING: {
        _I.AWAY: (_D.REGISTER, _S.REGISTERING),
        _I.HOME_LINK: (_D.DEREGISTER, _S.RETURNING),
        _I.LOST: (_D.PAUSE, _S.STRANDED),
        _I.ACCEPTED: (_D.ARRIVE, _S.HOME),
        _I.CORRECTED: (_D.SEND_CORRECTED, _S.RETURNING),
        _I.REFUSED: (_D.WAIT, _S.RETURNING),
        _I.TIMER: (_D.SEND_AGAIN, _S.RETURNING),
        _I.EXPIRED: (_D.ARRIVE, _S.HOME),
        _I.AGENT_WANTED: (_D.ARRIVE, _S.HOME),
    },
    _S.HOME: {
        _I.AWAY: (_D.REGISTER, _S.REGISTERING),
        _I.HOME_LINK: (_D.SETTLE, _S.HOME),
        _I.LOST: (_D.PAUSE, _S.DETACHED),
    },
}

TABLE: dict[tuple[State, Input], tuple[Do, State]] = {
    (state, given): step for state, row in _ROWS.items() for given, step in row.items()
} | {(state, _I.STOP): (_D.FAREWELL, _S.OFF) for state in State if state is not _S.OFF}


def transition(state: State, given: Input) -> tuple[Do, State]:
    """What to do and the next state; nothing and the same state for a pair that the table leaves out."""
    return TABLE.get((state, given), (Do.NOTHING, state))
