"""References that tell apart the long messages to one recipient: pure, given a source of chance.

A phone joins parts by sender, reference and number of parts. A reference of 8 bits that counts for
the whole gateway comes round within seconds; one that counts for each recipient comes round after
256 messages to that phone (3GPP TS 23.040, clause 9.2.3.24.1).

A message that is sent again keeps its reference: where the answer to its first part was lost, the phone
may have that part already, and would wait in vain for the others under another reference.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable

RECIPIENTS = 50_000
"""Recipients whose count is remembered; the count of one that was forgotten begins anywhere."""


class References:
    """The next reference for each recipient, 0 to 65535; 8-bit references are its low octet."""

    def __init__(self, chance: Callable[[], float], recipients: int = RECIPIENTS) -> None:
        """`chance` gives numbers from 0 up to, not including, 1 as `random.random` does."""
        self._chance = chance
        self._recipients = recipients
        self._last: OrderedDict[str, tuple[str, int]] = OrderedDict()

    def __len__(self) -> int:
        return len(self._last)

    def next(self, recipient: str, message_id: str) -> int:
        """A reference that no recent long message to this recipient had, but for this one itself."""
        before, last = self._last.pop(recipient, (None, None))
        if last is None:
            found = int(self._chance() * 0x10000)
        else:
            found = last if before == message_id else (last + 1) & 0xFFFF
        self._last[recipient] = message_id, found
        if len(self._last) > self._recipients:
            self._last.popitem(last=False)
        return found
