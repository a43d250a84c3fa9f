"""The wall clock of one process, that can be set: libfaketime, which reads the time's offset from a file.

Only what tells the time of day jumps. The monotonic clock goes on as it does when somebody sets a
machine's clock.
"""

from __future__ import annotations

from pathlib import Path

LIBRARIES = ("/usr/lib/*/faketime/libfaketime.so.1", "/usr/lib/faketime/libfaketime.so.1")


class WallClock:
    """`environ` is for the process; `missing` says why its clock can't be set."""

    def __init__(self, folder: Path) -> None:
        self._file = folder / "clock"
        library = _library()
        self.missing = None if library else "libfaketime is not installed: apt-get install faketime"
        self.environ = {
            "LD_PRELOAD": str(library),
            "FAKETIME_TIMESTAMP_FILE": str(self._file),
            "FAKETIME_CACHE_DURATION": "1",
            "FAKETIME_DONT_FAKE_MONOTONIC": "1",
        }
        self.set(0)

    def set(self, ahead: float) -> None:
        """Seconds ahead of the true time; the process sees it within a second."""
        written = self._file.with_suffix(".new")
        written.write_text(f"{ahead:+.1f}\n")
        written.replace(self._file)


def _library() -> Path | None:
    found = [path for pattern in LIBRARIES for path in Path("/").glob(pattern.lstrip("/"))]
    return found[0] if found else None
