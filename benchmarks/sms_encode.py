"""How many texts a second become parts, and parts a text again, on one core.

    python benchmarks/sms_encode.py [TEXTS]

Each text is another one. `encode` is the choice of an encoding and all parts with their headers,
`decode` is reading the user data off the wire and joining it. CPU time, the best of five rounds.
"""

from __future__ import annotations

import platform
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TypeVar

from smsgw.sms.coding import Coding, choose
from smsgw.sms.join import join, read
from smsgw.sms.split import Part, split

Thing = TypeVar("Thing")

ROUNDS = 5
LANGUAGES = (1,)
KINDS = {
    "short, ASCII": "Your parcel {n} has come. Fetch it before Friday, please.",
    "short, Latin letters": "Ditt paket {n} är här. Hämta det före fredag, är du snäll.",
    "short, with an escape": "Your bill {n} is 25 €. Pay it before Friday, please.",
    "short, UCS-2": "Ваша посылка {n} прибыла. Заберите её до пятницы.",
    "short, Turkish tables": "Paketiniz {n} geldi, lütfen cuma gününden önce şubemizden alınız; teşekkürler.",
    "two parts, GSM": "Your parcel {n} has come. Fetch it before Friday, please. " * 4,
    "three parts, UCS-2": "Ваша посылка {n} прибыла. Заберите её до пятницы. " * 3,
    "three parts, emoji": "Your parcel {n} 👍🏽 has come 📦. Fetch it before Friday! " * 3,
}


def encode(text: str) -> tuple[Part, ...]:
    coding = choose(text, languages=LANGUAGES)
    assert isinstance(coding, Coding)  # noqa: S101
    return split(coding, reference=1)


def decode(parts: tuple[Part, ...]) -> str | None:
    return join(
        [read(part.udh + part.payload, part.encoding, has_header=bool(part.udh)) for part in parts]
    ).text


def rate(things: list[Thing], do: Callable[[Thing], object]) -> float:
    """Things a second of CPU."""
    best = float("inf")
    for _ in range(ROUNDS):
        began = time.process_time()
        for thing in things:
            do(thing)
        best = min(best, time.process_time() - began)
    return len(things) / best


def machine() -> str:
    cpuinfo = Path("/proc/cpuinfo")
    lines = cpuinfo.read_text().splitlines() if cpuinfo.exists() else []
    models = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return f"{models[0] if models else platform.machine()}, {len(models)} cores"


def report(count: int) -> Iterator[str]:
    yield f"machine: {machine()}; {platform.python_implementation()} {platform.python_version()}"
    yield f"command: python benchmarks/sms_encode.py {count}"
    yield f"{'texts a second':24}{'parts':>6}{'encode':>12}{'decode':>12}"
    for kind, pattern in KINDS.items():
        texts = [pattern.replace("{n}", str(number)) for number in range(count)]
        parts = [encode(text) for text in texts]
        yield f"{kind:24}{len(parts[0]):6}{rate(texts, encode):12,.0f}{rate(parts, decode):12,.0f}"


def main() -> None:
    for line in report(int(sys.argv[1]) if len(sys.argv) > 1 else 20_000):
        print(line)


if __name__ == "__main__":
    main()
