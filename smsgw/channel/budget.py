"""How much a SIM may send, and when: minutes, hours, days and months of the calendar, and quiet hours. Pure.

Periods are those of local time, as networks and their contracts count them. The time is an argument, in
seconds since the epoch.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime, timedelta

import msgspec

from smsgw.channel_settings import Budget

_FORMATS = {"minute": "%Y-%m-%dT%H:%M", "hour": "%Y-%m-%dT%H", "day": "%Y-%m-%d", "month": "%Y-%m"}
"""What names a period; its beginning is what a format says of any moment in it."""


class Hold(msgspec.Struct, frozen=True):
    """No message is taken until then."""

    reason: str
    until: float


class Spending:
    """Parts sent in the running period of each kind that has a limit. `spent` is what `saved` gave before."""

    def __init__(self, budget: Budget, spent: Mapping[str, tuple[str, int]] | None = None) -> None:
        limits = msgspec.structs.asdict(budget)
        self.limits: dict[str, int] = {name: most for name, most in limits.items() if most is not None}
        self._spent = {name: (spent or {}).get(name, ("", 0)) for name in self.limits}

    def saved(self) -> dict[str, tuple[str, int]]:
        """The name of each period and what was sent in it."""
        return dict(self._spent)

    def spend(self, now: float) -> None:
        """A part leaves."""
        for name in self.limits:
            self._spent[name] = (_period(name, now), self.count(name, now) + 1)

    def count(self, name: str, now: float) -> int:
        """What was sent in the running period."""
        period, count = self._spent[name]
        return count if period == _period(name, now) else 0

    def left(self, now: float) -> dict[str, int]:
        """For operators: what may still be sent, by period."""
        return {name: max(0, most - self.count(name, now)) for name, most in self.limits.items()}

    def hold(self, now: float) -> Hold | None:
        """The longest of the periods whose limit is reached."""
        used_up = [name for name, left in self.left(now).items() if not left]
        if not used_up:
            return None
        name = used_up[-1]
        return Hold(f"its budget of {self.limits[name]} a {name} is used up", _end(name, now))


def _period(name: str, now: float) -> str:
    return datetime.fromtimestamp(now).strftime(_FORMATS[name])


def _end(name: str, now: float) -> float:
    """When the next period begins."""
    at = datetime.fromtimestamp(now)
    start = datetime.strptime(at.strftime(_FORMATS[name]), _FORMATS[name])
    if name == "month":
        return (start + timedelta(days=32)).replace(day=1).timestamp()
    return (start + timedelta(**{f"{name}s": 1})).timestamp()


def quiet_hold(quiet: str | None, now: float) -> Hold | None:
    """Within hours such as `22:00-07:00`; the same time twice is the whole day."""
    if quiet is None:
        return None
    at = datetime.fromtimestamp(now)
    begin, end = (datetime.strptime(time, "%H:%M").time() for time in quiet.split("-"))
    time = at.time()
    inside = begin <= time < end if begin < end else time >= begin or time < end
    if not inside:
        return None
    until = at.replace(hour=end.hour, minute=end.minute, second=0, microsecond=0)
    if until <= at:
        until += timedelta(days=1)
    return Hold(f"quiet hours, {quiet}", until.timestamp())
