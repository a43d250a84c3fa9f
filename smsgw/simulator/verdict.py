"""What a message centre decides about a submit_sm: pure, given the behaviour, the dice and the moment.

Two questions, in this order: is the message taken or refused, and what becomes of the response.
"""

from __future__ import annotations

from typing import Literal, TypeAlias

import msgspec

from smsgw.simulator.behaviour import Behaviour, Disguise, longest_match, status_code
from smsgw.simulator.dice import Dice
from smsgw.simulator.spoil import FORMS
from smsgw.smpp.constants import CommandStatus

Ending: TypeAlias = Literal["sent", "never", "half", "cut"]
"""The response leaves; never does; half of it does before the link is cut; the link is cut instead."""


class Moment(msgspec.Struct, frozen=True, kw_only=True):
    """What the decision depends on besides the behaviour.

    `in_flight` counts the account's unanswered submits, this one included, `waiting` those of all
    accounts; `attempt` counts submits to this destination from 1.
    """

    destination: str
    in_flight: int = 1
    waiting: int = 1
    throttled: bool = False
    attempt: int = 1


class Verdict(msgspec.Struct, frozen=True, kw_only=True):
    """`taken` decides whether there will be receipts; `status` is that of the response."""

    taken: bool = True
    status: int = 0
    delay: float = 0.0
    ending: Ending = "sent"
    disguise: Disguise | None = None


def judge(behaviour: Behaviour, dice: Dice, moment: Moment) -> Verdict:
    """Decide."""
    delay = dice.delay("response", behaviour.response_delay, behaviour.response_jitter)
    status = refusal(behaviour, dice, moment)
    if status:
        return Verdict(taken=False, status=status, delay=delay)
    if dice.chance("late", behaviour.late_answer):
        delay += behaviour.late_delay
    ending = _ending(behaviour, dice)
    if ending == "sent" and dice.chance("malformed", behaviour.malformed):
        disguise = dice.choose("disguise", behaviour.malformed_forms)
        return Verdict(taken=FORMS[disguise].taken, delay=delay, disguise=disguise)
    return Verdict(delay=delay, ending=ending)


def refusal(behaviour: Behaviour, dice: Dice, moment: Moment) -> int:
    """The status that refuses the message; 0 takes it."""
    if not moment.destination or (behaviour.refuse_plus and "+" in moment.destination):
        return CommandStatus.ESME_RINVDSTADR
    if moment.waiting > behaviour.capacity:
        return CommandStatus.ESME_RMSGQFUL
    if moment.throttled:
        return CommandStatus.ESME_RTHROTTLED
    if behaviour.queue_full and moment.in_flight > behaviour.queue_full:
        return CommandStatus.ESME_RMSGQFUL
    key = longest_match(behaviour.destinations, moment.destination)
    if key is not None and moment.attempt <= behaviour.refuse_first.get(key, moment.attempt):
        return status_code(behaviour.destinations[key])
    return status_code(dice.share_of("status", behaviour.statuses) or "0x0")


def _ending(behaviour: Behaviour, dice: Dice) -> Ending:
    if dice.chance("never", behaviour.never_answer):
        return "never"
    if dice.chance("cut", behaviour.drop_instead_of_answer):
        return "cut"
    return "half" if dice.chance("half", behaviour.half_answer) else "sent"


class Bucket:
    """A rate with a burst, as tokens: pure, time is an argument."""

    def __init__(self, rate: float, burst: float = 0.0) -> None:
        self._rate = rate
        self._burst = max(1.0, burst or rate)
        self._tokens = self._burst
        self._at = 0.0

    def take(self, now: float) -> bool:
        """Take a token if there is one. A rate of 0 is no limit."""
        if not self._rate:
            return True
        self._tokens = min(self._burst, self._tokens + (now - self._at) * self._rate)
        self._at = now
        if self._tokens < 1:
            return False
        self._tokens -= 1
        return True
