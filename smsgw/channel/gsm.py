"""The GSM channel: one modem, which sends one message at a time.

`GsmSession` is the application of the modem's protocol, and lives over all openings of its port
(`smsgw.channel.openings`). Messages are taken only while the modem is ready and nothing holds the channel:
quiet hours, a budget that is used up, or a network that refuses whatever is sent.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import msgspec
from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IDelayedCall, IReactorTime, IStreamClientEndpoint
from twisted.logger import Logger

from smsgw.channel import statefile
from smsgw.channel.base import Tell, Upstream
from smsgw.channel.budget import Hold, Spending, quiet_hold
from smsgw.channel.cut import Cut, GsmCutter
from smsgw.channel.late import Interrupted
from smsgw.channel.link import Backoff, Link
from smsgw.channel.loops import Loops
from smsgw.channel.modem_answers import outcome_of, smsc_id
from smsgw.channel.modem_receiving import ModemReceiving
from smsgw.channel.modem_told import Telling, facts
from smsgw.channel.openings import Openings
from smsgw.channel.pace import Pace
from smsgw.channel.pins import RememberedPins
from smsgw.channel.reset import Reset, Run
from smsgw.channel.taking import Taking
from smsgw.channel_settings import GsmSettings, account_of, queue_of
from smsgw.clock import Seldom
from smsgw.errors import SmsgwError
from smsgw.gsm import events as told
from smsgw.gsm.events import (
    Answer,
    Event,
    MessageReceived,
    ReportReceived,
    SentLate,
    SubmitAnswered,
    Undeciphered,
    UssdAnswered,
)
from smsgw.gsm.octets import EncodeError
from smsgw.gsm.protocol import ModemFactory, ModemProtocol
from smsgw.gsm.settings import Settings
from smsgw.gsm.shapes import Submit
from smsgw.message import Submission
from smsgw.metrics import Metrics
from smsgw.outcome import Accepted, Broken, Expired, Later, Outcome, Part, Refused, Unknown, Unsent
from smsgw.sms import split

LOOK_AGAIN = 30.0
"""Seconds between two looks at holds, at most: they are told by a clock that people set."""

FIRST_HOLD, LONGEST_HOLD = 5.0, 300.0
"""Seconds without messages after a refusal that every message would get; doubled while they go on."""

NOT_READY = "the modem is not ready"


class NotReady(SmsgwError):
    """The modem can't be asked now, for the reason given."""


class GsmSession:
    """One modem, over all openings of its port."""

    width = 1

    def __init__(self, channel: GsmChannel, name: str) -> None:
        self.channel = channel
        self.name = name
        self.open = False
        backoff = Backoff(dial=channel.settings.reconnect, refused=channel.settings.recover)
        errors = channel.metrics.errors.labels("link")
        self._taking = Taking(channel.clock)
        self._openings = Openings(
            channel.name,
            channel.settings.modem,
            lambda settings: channel.connect(self, settings),
            reset=channel.reset,
            taking=self._taking,
            metrics=channel.metrics,
            clock=channel.clock,
        )
        serve = self._openings.serve
        self.link = Link(name, serve, channel.clock, backoff=backoff, now=channel.now, errors=errors)
        self._telling = Telling(name, channel.name, channel.metrics, channel.clock)
        self._leaving = False
        self._draining = False
        self._midway = False
        self._timer: IDelayedCall | None = None
        self._refused: Hold | None = None
        self._hold_for = FIRST_HOLD
        self._unanswered: Interrupted | None = None
        self._asked: list[Deferred[None]] = []

    def __repr__(self) -> str:
        modem = f" {self._openings.protocol!r}" if self._openings.protocol else ""
        hold = self.hold()
        held = f", takes no messages: {hold.reason}" if hold else ""
        return f"<session {self.name} {self.link.state}{modem}{held}>"

    # -- whether messages are taken -------------------------------------------------------------

    @property
    def ready(self) -> bool:
        """Whether the modem would take a message, whatever holds the channel."""
        return self._openings.ready

    @property
    def hopeless(self) -> bool:
        """Whether the last try has failed, and the next one is a while away."""
        return self.link.state.name == "waiting"

    def hold(self) -> Hold | None:
        """Why a modem that is ready takes no messages: the reason that lasts longest."""
        now = self.channel.now()
        holds = (
            quiet_hold(self.channel.settings.quiet, now),
            self.channel.spending.hold(now),
            self._refused if self._refused and self._refused.until > now else None,
        )
        return max((hold for hold in holds if hold), key=lambda hold: hold.until, default=None)

    def _review(self) -> None:
        """Take messages, or take none, as things are now; and look again when they may have changed."""
        hold = self.hold()
        may = self.ready and hold is None
        if not self.ready:
            self.channel.pace.release(self)
        if may and not self.open and not self._draining:
            self._leaving = False
            self.open = True
            self.channel.came_up(self)
        elif self.open and not may:
            self._close(hold)
        self._look_again(hold)

    def _close(self, hold: Hold | None) -> None:
        self.open = False
        if hold is not None and self.ready:
            self.channel.log.info(
                "{session}: takes no messages: {reason}", session=self.name, reason=hold.reason
            )
        if not self._midway:
            self.channel.pace.release(self)
        self._draining = True
        self.channel.went_down(self).addBoth(self._drained)

    def _drained(self, _: object) -> None:
        """Only now may it take messages again: it sends one at a time."""
        self._draining = False
        self._review()

    def _look_again(self, hold: Hold | None) -> None:
        timer, self._timer = self._timer, None
        if timer is not None and timer.active():
            timer.cancel()
        if self.ready:
            wait = LOOK_AGAIN if hold is None else max(0.1, hold.until - self.channel.now())
            self._timer = self.channel.clock.callLater(min(wait, LOOK_AGAIN), self._review)

    # -- outgoing -------------------------------------------------------------------------------

    def deliver(self, submission: Submission, tell: Tell) -> None:
        """See `smsgw.channel.base.Session.deliver`."""
        Deferred.fromCoroutine(self._deliver(submission)).addBoth(tell)

    async def _deliver(self, submission: Submission) -> Outcome:
        """The parts of a message leave in one run, whatever the rate: the radio link stays open between them,
        and the first one's report finds its message. The next message waits for all their tokens.
        """
        channel = self.channel
        if channel.loops.looping(submission.message.to, channel.now()):
            return Later(f"a loop: {channel.loops.limit} messages from this number within a minute")
        cut = channel.cutter.cut(submission)
        if not isinstance(cut, Cut):
            return cut
        taken = list(map(Part, cut.taken))
        self._midway = False
        self._review()
        if not self.open:
            return cut.broken_off(Unsent(NOT_READY), channel.account, taken)
        while len(taken) < len(cut.parts):
            if self._midway:
                channel.pace.owe()
            elif not (channel.pace.take() or await channel.pace.wait(self)):
                return cut.broken_off(Unsent(NOT_READY), channel.account, taken)
            if self._leaving:
                return cut.broken_off(Unsent(NOT_READY), channel.account, taken)
            answered: Deferred[Answer] = Deferred()
            tpdu = self._send(submission, cut.parts[len(taken)], answered)
            if not isinstance(tpdu, Submit):
                return cut.broken_off(tpdu, channel.account, taken)
            self._midway = True
            outcome = self._heed(await answered, submission.message.to)
            if not isinstance(outcome, Part):
                if isinstance(outcome, Unknown):
                    self._unanswered = Interrupted(tpdu, submission, cut, tuple(taken))
                return cut.broken_off(outcome, channel.account, taken)
            taken.append(outcome)
        return Accepted(tuple(taken), None, cut.on_air, cut.transliterated)

    def _send(self, submission: Submission, part: split.Part, answered: Deferred[Answer]) -> Submit | Broken:
        """The TPDU of a part, which is on its way, or why it is not: then `answered` will not fire."""
        protocol, now = self._openings.protocol, self.channel.now()
        if protocol is None or not protocol.connection.can_send:
            return Unsent(NOT_READY)
        if submission.deadline is not None and now >= submission.deadline:
            return Expired()
        tpdu = self.channel.cutter.submit(submission, part, now)
        if isinstance(tpdu, Submit):
            try:
                protocol.send(tpdu, answered)
            except EncodeError as error:
                return Refused(str(error))
            self.channel.spend()
        return tpdu

    def _heed(self, answer: Answer, recipient: str) -> Part | Broken:
        """What an answer means. What every message would hear holds the channel for a while."""
        outcome = outcome_of(answer, recipient)
        if isinstance(answer, told.Sent):
            self._refused, self._hold_for = None, FIRST_HOLD
        elif isinstance(answer, told.Refused) and isinstance(outcome, Unsent):
            self._refused = Hold(outcome.error, self.channel.now() + self._hold_for)
            self._hold_for = min(2 * self._hold_for, LONGEST_HOLD)
            self._review()
        return outcome

    def yield_waiting(self) -> None:
        """See `smsgw.channel.base.Session.yield_waiting`."""
        self._leaving = True
        self.channel.pace.release(self)

    # -- what the protocol tells its application --------------------------------------------------

    def connected(self, protocol: ModemProtocol) -> None:
        self._openings.connected(protocol)

    def heard(self, event: Event) -> None:
        self._telling.told(event)
        self._openings.heard(event)
        match event:
            case told.StateChanged():
                self._review()
            case SubmitAnswered(context, answer):
                # the modem's state first: what goes back to its queue must not come here again
                self._review()
                context.callback(answer)
            case SentLate(reference):
                self._sent_late(reference)
            case MessageReceived() | ReportReceived() | Undeciphered():
                self._take(event)
            case UssdAnswered(context):
                context.callback(event)
            case told.Looked():
                self._answer_asked()

    def _take(self, event: MessageReceived | ReportReceived | Undeciphered) -> None:
        protocol = self._openings.protocol
        if protocol is None:
            return
        if self._taking.over:
            protocol.settle(event.handle, safe=False)
            return
        taken = self.channel.receiving.took(event)
        self._taking.add(taken.addCallback(lambda safe: protocol.settle(event.handle, safe=safe)))

    def _sent_late(self, reference: int) -> None:
        self.channel.metrics.late_responses.labels(self.channel.name).inc()
        part, self._unanswered = self._unanswered, None
        if part is not None:
            taken = smsc_id(reference, part.submission.message.to)
            outcome = part.taken_after_all(taken, self.channel.account)
            self.channel.taken_late(part.submission, outcome)

    def lost(self, reason: str) -> None:
        self._openings.lost(reason)
        self._unanswered = None
        self._answer_asked()
        self._review()

    def _answer_asked(self) -> None:
        asked, self._asked = self._asked, []
        for waiting in asked:
            waiting.callback(None)

    # -- what operators ask -----------------------------------------------------------------------

    def info(self) -> dict[str, object]:
        """What is known of the modem; nothing is asked of it."""
        hold, protocol = self.hold(), self._openings.protocol
        found: dict[str, object] = {
            "session": self.name,
            "link": str(self.link.state),
            "state": protocol.connection.state if protocol else "closed",
            "takes messages": self.open,
            "held": hold.reason if hold else None,
            "budget left": self.channel.spending.left(self.channel.now()),
        }
        return found | (facts(protocol) if protocol else {})

    async def probe(self) -> dict[str, object]:
        """Ask the modem for its signal and its registration now. Raises `NotReady`."""
        asked: Deferred[None] = Deferred()
        protocol = self._ready_protocol()
        self._asked.append(asked)
        protocol.look()
        await asked
        return self.info()

    async def ussd(self, code: str) -> dict[str, object]:
        """Such as `*100#`. Raises `NotReady`, `Misuse` where another one is unanswered, `EncodeError`."""
        answered: Deferred[UssdAnswered] = Deferred()
        self._ready_protocol().ask_ussd(code, answered)
        answer = await answered
        return {"text": answer.text, "more": answer.more, "problem": answer.problem}

    def _ready_protocol(self) -> ModemProtocol:
        protocol = self._openings.protocol
        if protocol is None or not self.ready:
            raise NotReady(f"{self.name} is {protocol.connection.state if protocol else self.link.state}")
        return protocol


class GsmChannel:
    """One modem. `state` is the folder for what it must remember over restarts."""

    log = Logger()

    def __init__(
        self,
        name: str,
        settings: GsmSettings,
        endpoint: IStreamClientEndpoint,
        *,
        state: Path,
        run: Run,
        upstream: Upstream,
        metrics: Metrics,
        clock: IReactorTime,
        now: Callable[[], float],
    ) -> None:
        self.name = name
        self.settings = settings
        self.queue = queue_of(name, settings)
        self.account = account_of(name, settings)
        self.retry: Sequence[float] = settings.retry
        self.cutter = GsmCutter(settings, self.account)
        self.pace = Pace(settings.rate, clock)
        self.metrics = metrics
        self.clock = clock
        self.now = now
        self.reset = Reset(name, settings.reset_command, run, clock)
        self._endpoint = endpoint
        self._upstream = upstream
        self._pins = RememberedPins(state, name)
        self._spent = state / f"{name}.budget"
        self._unsaved = Seldom(clock, 600.0)
        self.spending = Spending(settings.budget)
        self.loops = Loops(settings.loop)
        self.receiving = ModemReceiving(self, settings.from_ or "", upstream, metrics, self._heard)
        self.session = GsmSession(self, f"{name}#1")
        self.sessions = [self.session]

    def __repr__(self) -> str:
        return (
            f"<gsm channel {self.name}: {'ready' if self.sessions_up else 'takes no messages'}, "
            f"queue {self.queue}, {self.pace}>"
        )

    @property
    def sessions_up(self) -> int:
        return 1 if self.session.open else 0

    def _heard(self, source: str) -> None:
        self.loops.came(source, self.now())

    def receipted(self, parts: int) -> Sequence[int]:
        return range(1, parts + 1)

    def index_key(self, smsc_id: str) -> str:
        return smsc_id

    def start(self) -> None:
        """Only now: another channel of this name may have worked until a moment ago."""
        self.spending = Spending(self.settings.budget, self._saved())
        self.metrics.pace.labels(self.name).set_function(lambda: self.pace.rate)
        self.metrics.paused.labels(self.name).set_function(self._paused)
        self.session.link.start()

    def stop(self) -> Deferred[None]:
        return self.session.link.stop()

    def _paused(self) -> float:
        hold = self.session.hold()
        return hold.until - self.now() if hold else 0.0

    # -- for its session ------------------------------------------------------------------------

    def connect(self, session: GsmSession, settings: Settings) -> Deferred[Any]:
        """Fires with the `ModemProtocol` once the port is open."""
        errors = self.metrics.errors.labels("gsm")
        factory = ModemFactory(settings, self._pins, session, self.clock, errors)
        connected: Deferred[Any] = self._endpoint.connect(factory)
        return connected

    def came_up(self, session: GsmSession) -> None:
        self.metrics.sessions_up.labels(self.name).set(1)
        self._upstream.opened(session)

    def went_down(self, session: GsmSession) -> Deferred[None]:
        self.metrics.sessions_up.labels(self.name).set(0)
        return self._upstream.closed(session)

    def taken_late(self, submission: Submission, outcome: Outcome) -> None:
        self._upstream.taken_late(self, submission, outcome)

    def spend(self) -> None:
        """A part has left; the count survives a dying process."""
        self.spending.spend(self.now())
        if not self.spending.limits:
            return
        try:
            statefile.write(self._spent, msgspec.json.encode(self.spending.saved()).decode(), sync=False)
        except OSError as error:
            if self._unsaved.due() is not None:
                self.log.error("{path}: {problem}", path=str(self._spent), problem=error.strerror)

    def _saved(self) -> dict[str, tuple[str, int]]:
        try:
            text = statefile.read(self._spent)
            return msgspec.json.decode(text or "{}", type=dict[str, tuple[str, int]])
        except (OSError, msgspec.DecodeError) as error:
            problem = getattr(error, "strerror", None) or str(error)
            self.log.error("{path}: {problem}; counts from zero", path=str(self._spent), problem=problem)
            return {}
