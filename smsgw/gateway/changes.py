"""What a new configuration changes in a running gateway: pure.

Some settings can change while messages flow, the others wait for the next start. `live` takes over
the former and keeps the latter, so its result is what the gateway has after a reload, and what the
next reload is compared with. Whatever `live` does not name needs a restart; a new setting does, until
somebody teaches it otherwise here.
"""

from __future__ import annotations

from collections.abc import Container, Iterable, Iterator
from typing import TypeVar

import msgspec

from smsgw.channel_settings import queue_of
from smsgw.config import Configuration, QueueSettings

T = TypeVar("T")


class Changes(msgspec.Struct, frozen=True, kw_only=True):
    """Names of channels, short names of queues, seconds of delay steps, paths of settings.

    `queues` and `steps` are to be declared before anything else; `unfed` are queues that no channel
    takes from any more; `settings` changes at once, `restart` at the next start.
    """

    added: tuple[str, ...] = ()
    removed: tuple[str, ...] = ()
    changed: tuple[str, ...] = ()
    queues: tuple[str, ...] = ()
    steps: tuple[float, ...] = ()
    unfed: tuple[str, ...] = ()
    settings: tuple[str, ...] = ()
    restart: tuple[str, ...] = ()

    def __str__(self) -> str:
        """In words: `added a, b; changed c; stop_timeout changed`."""
        channels = (("added", self.added), ("removed", self.removed), ("changed", self.changed))
        words = [f"{what} {', '.join(names)}" for what, names in channels if names]
        words += [f"{path} changed" for path in self.settings]
        return "; ".join(words) or "nothing has changed"


def live(old: Configuration, new: Configuration) -> Configuration:
    """`new` as far as it can be had without a restart, `old` for the rest.

    An existing queue keeps its settings: a broker does not change those of a queue that it has.
    """
    known = set(old.queue_names)
    return msgspec.structs.replace(
        old,
        stop_timeout=new.stop_timeout,
        ledger=msgspec.structs.replace(old.ledger, keep=new.ledger.keep),
        receipts=msgspec.structs.replace(old.receipts, park=new.receipts.park),
        inbound=new.inbound,
        queues={name: _queue(old if name in known else new, name) for name in new.queue_names},
        channels=new.channels,
        routes=new.routes,
    )


def compare(old: Configuration, new: Configuration) -> Changes:
    """What is to be done to get from `old`, which the gateway has, to `new`."""
    after = live(old, new)
    both = [name for name in new.channels if name in old.channels]
    return Changes(
        added=_without(new.channels, old.channels),
        removed=_without(old.channels, new.channels),
        changed=tuple(name for name in both if new.channels[name] != old.channels[name]),
        queues=_without(new.queue_names, old.queue_names),
        steps=_without(new.retry_steps, old.retry_steps),
        unfed=_without(_fed(old), _fed(new)),
        settings=tuple(
            path for path in _differing(old, after) if not path.startswith(("queues", "channels"))
        ),
        restart=tuple(_differing(_whole(after), _whole(new))),
    )


def _whole(configuration: Configuration) -> Configuration:
    """With the settings of every queue, also of those that have none of their own."""
    queues = {name: _queue(configuration, name) for name in configuration.queue_names}
    return msgspec.structs.replace(configuration, queues=queues)


def _queue(configuration: Configuration, name: str) -> QueueSettings:
    return configuration.queues.get(name, QueueSettings())


def _fed(configuration: Configuration) -> list[str]:
    return [queue_of(name, channel) for name, channel in configuration.channels.items()]


def _differing(one: object, other: object, path: str = "") -> Iterator[str]:
    """The paths of what differs: into tables, and not into lists, whose places say little."""
    if one == other:
        return
    mine, others = _members(one), _members(other)
    if not mine or mine.keys() != others.keys():
        yield path
        return
    for name in mine:
        yield from _differing(mine[name], others[name], f"{path}.{name}".lstrip("."))


def _members(value: object) -> dict[str, object]:
    if isinstance(value, msgspec.Struct):
        return msgspec.structs.asdict(value)
    return value if isinstance(value, dict) else {}


def _without(values: Iterable[T], others: Container[T]) -> tuple[T, ...]:
    return tuple(dict.fromkeys(value for value in values if value not in others))
