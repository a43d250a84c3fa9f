"""What each message met, counted where it can be seen: at the producer, at the SMSC, in the events.

The three are files that grow during a run; `read` takes what is new in them.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

OURS = "message "
"""With what the texts begin; `number/copy` follows."""


class Growing:
    """The lines of a file that were not there the last time."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._offset = 0

    def __iter__(self) -> Iterator[str]:
        if not self._path.exists():
            return
        with self._path.open("rb") as file:
            file.seek(self._offset)
            whole, _, _ = file.read().rpartition(b"\n")
        if whole:
            self._offset += len(whole) + 1
            yield from whole.decode().splitlines()


class Tally:
    """Messages by their number."""

    def __init__(self, journal: Path, publishes: Path, events: Path) -> None:
        self.confirmed: set[int] = set()
        self.doubted: set[int] = set()
        """A publish failed, and may have been stored all the same: there may be two of this message."""
        self.taken: set[int] = set()
        """The SMSC took it."""
        self.texts: Counter[str] = Counter()
        """How often the SMSC took each text; each publish has its own."""
        self.told: set[int] = set()
        """An event says that it was accepted, or its end."""
        self.finals: dict[int, dict[str, str]] = {}
        """Of each message the final events: event_id and what it says. Repeats of one id are one event."""
        self._journal = Growing(journal)
        self._publishes = Growing(publishes)
        self._events = Growing(events)

    def read(self) -> None:
        for line in self._publishes:
            word, number = line.split()
            self._published(word, int(number))
        for line in self._journal:
            self._noted(line)
        for line in self._events:
            self._heard(json.loads(line))

    @property
    def missing(self) -> list[int]:
        """Confirmed messages without a final event."""
        return sorted(self.confirmed - self.finals.keys())

    @property
    def twofold(self) -> list[int]:
        """Messages that ended in more than one way. Where there may be two, each has an end of its own."""
        return sorted(
            number for number, events in self.finals.items() if len(events) > 1 and number not in self.doubted
        )

    @property
    def never_taken(self) -> list[int]:
        """Messages that the SMSC has not seen, although no event says that they could not be sent."""
        excused = {"rejected", "expired", "no answer"}
        sent = {number for number, events in self.finals.items() if not excused & set(events.values())}
        return sorted(sent - self.taken)

    @property
    def repeats(self) -> int:
        """How often a text was taken that had been taken before."""
        return self.texts.total() - len(self.texts)

    @property
    def ends(self) -> Counter[str]:
        """The final events by kind."""
        return Counter(kind for events in self.finals.values() for kind in events.values())

    def _published(self, word: str, number: int) -> None:
        if word == "confirmed":
            self.confirmed.add(number)
        else:
            self.doubted.add(number)

    def _noted(self, line: str) -> None:
        # The first half of a line may be all that a killed SMSC wrote; the next one's follows it.
        entry = json.loads(line[line.rindex('{"at":') :])
        if entry["event"] == "accepted" and entry["text"].startswith(OURS):
            self.texts[entry["text"]] += 1
            self.taken.add(int(entry["text"].removeprefix(OURS).partition("/")[0]))

    def _heard(self, event: dict[str, str]) -> None:
        if not event["id"].startswith("m-"):
            return  # an orphan: of a receipt for a message that was taken twice
        number = int(event["id"].removeprefix("m-"))
        if event["final"] or event["event"] == "accepted":
            self.told.add(number)
        if event["final"]:
            self.finals.setdefault(number, {})[event["event_id"]] = _kind(event)


def _kind(event: dict[str, str]) -> str:
    if event["event"] == "unknown" and event.get("error") != "no receipt":
        return "no answer"
    return event["event"]
