"""The watchdog's ladder: what is done to a modem that does not answer, from mild to harsh.

Behind the last rung the port is closed and opened again, and behind that may be a command of the
operator's that cuts the power; both are the business of whoever owns the port.
"""

from __future__ import annotations

from smsgw.gsm.at import Command
from smsgw.gsm.events import Rung
from smsgw.gsm.scripts import Script, Stuck, ask, rest
from smsgw.gsm.settings import Settings

RUNGS: tuple[Rung, ...] = ("escape", "reset", "restart")

_COMMANDS: dict[Rung, Command] = {
    "escape": Command(line="AT", timeout=5.0),
    "reset": Command(line="ATZ", timeout=10.0),
    "restart": Command(line="AT+CFUN=1,1", timeout=15.0),
}


def climb(rung: Rung, settings: Settings) -> Script[None]:
    """The ESC before it ends a prompt, wherever the modem stands; the rest lets late answers pass by."""
    completed = yield from ask(_COMMANDS[rung])
    if not completed.ok:
        raise Stuck(f"{_COMMANDS[rung].name} was refused")
    yield from rest(settings.restart if rung == "restart" else settings.quiet)
