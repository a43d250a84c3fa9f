"""The benchmarks' own arithmetic, their pages, and their peers in C."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
sys.path.append(str(ROOT))

from benchmarks import bed, native, pages  # noqa: E402
from benchmarks.figures import figure, percentile, table  # noqa: E402
from benchmarks.peers import contest  # noqa: E402
from benchmarks.peers import page as peers_page  # noqa: E402
from benchmarks.peers import sink as peers_sink  # noqa: E402
from benchmarks.peers.load import Load, shares  # noqa: E402


def test_a_figure_is_told_with_its_spread() -> None:
    assert figure([3.0, 1.0, 2.0]).told() == "2 (1-3)"


def test_percentiles() -> None:
    assert [percentile([3, 1, 2], share) for share in (0.0, 0.5, 0.99, 1.0)] == [1, 2, 3, 3]


def test_a_table() -> None:
    assert table(["a", "b"], [["c", "1"]]) == "| a | b |\n| --- | --: |\n| c | 1 |"


def test_rates_are_counted_between_submits_and_cpu_between_samples() -> None:
    """100 a second in bursts of 10, on a gateway that uses half of a core, a tenth of it in threads."""
    lines = [bed.Line(at / 100, 10 * (at // 10), (at // 10) / 10, 0) for at in range(300)]
    spent = [bed.Spent(at / 10, at / 10 * 0.4, at / 10 * 0.1) for at in range(31)]
    run = bed._run([0.5, 1.05, 1.55], lines, spent)
    assert run.rate.values == pytest.approx((100, 100))
    assert run.cpu.values == pytest.approx((5000, 5000))
    assert run.others.values == pytest.approx((1000, 1000))


def test_pages_index_and_readme_are_written_together(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pages, "ROOT", tmp_path)
    monkeypatch.setattr(pages, "FOLDER", tmp_path)
    monkeypatch.setattr(pages, "HEADLINES", tmp_path / "headlines.json")
    (tmp_path / "README.md").write_text("a\n<!-- figures: make bench -->\nold\n<!-- figures end -->\nb\n")
    monkeypatch.setattr(pages, "_index", lambda known: None)
    for name in ("one", "two"):
        headline = pages.Headline(f"what {name}", "7", readme=True)
        pages.write(
            pages.Page(name, "Title", "Text", [headline]), ["now", "a machine; idle", "python"], "make bench"
        )
    readme = (tmp_path / "README.md").read_text()
    assert "old" not in readme
    assert "On a machine:" in readme
    assert readme.index("what one") < readme.index("what two")
    assert "- a machine; idle\n" in (tmp_path / "one.md").read_text()


def test_the_readme_has_a_place_for_the_figures() -> None:
    assert len(pages.BLOCK.findall((ROOT / "README.md").read_text())) == 1


@pytest.mark.integration
@pytest.mark.skipif(native.compiler() is None, reason="no C compiler: apt-get install gcc libc6-dev")
@pytest.mark.parametrize("receipts", [False, True])
def test_a_gateway_between_the_two_peers(tmp_path: Path, receipts: bool) -> None:
    """What the source hands out reaches the sink and is settled, but for the last, put back at the stop."""
    width = 20
    with bed.Bed(tmp_path, native.build(tmp_path), None, 1.0, tmp_path).place() as place:
        place.configure("source", width=width, receipts=receipts)
        gateway = place.gateway()
        source, sink = place.source, place.sink
        assert source is not None
        assert sink is not None
        bed._until(lambda: sink.lines()[-1].count > 500, "500 submits")
        gateway.end()
        assert gateway.troubles == []
        source.end()
        sink.end()
        handed_out, submitted = source.lines()[-1], sink.lines()[-1]
        assert handed_out.count - width <= submitted.count <= handed_out.count
        assert handed_out.count - width <= handed_out.also <= handed_out.count
        assert submitted.responses >= submitted.count - width
        assert (submitted.also > 0) is receipts
        assert sorted(place.submits())[:500] == list(range(1, 501))


HEADERS = [Path("/usr/include/amqp.h"), Path("/usr/include/rabbitmq-c/amqp.h")]


@pytest.mark.parametrize(("name", "libraries"), [("sink", []), ("source", []), ("client", ["-lrabbitmq"])])
def test_the_peers_compile_without_a_warning(tmp_path: Path, name: str, libraries: list[str]) -> None:
    if native.compiler() is None:
        pytest.skip("no C compiler")
    if libraries and not any(header.exists() for header in HEADERS):
        pytest.skip("no librabbitmq-dev")
    source = ROOT / f"benchmarks/native/{name}.c"
    command = [native.compiler(), "-O2", "-Wall", "-Wextra", "-o", tmp_path / name, source, *libraries]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    assert done.stderr == ""
    if libraries:
        assert native.client(tmp_path) == tmp_path / name


@pytest.mark.parametrize(("receipts", "rate"), [(False, 90 / 0.9), (True, 90 / 1.9)])
def test_a_peers_rate_ends_with_its_last_submit_or_its_last_receipt(receipts: bool, rate: float) -> None:
    lines = [
        peers_sink.Line(now=0, submits=0, last_submit=0, receipts=0, responses=0),
        peers_sink.Line(now=150_000, submits=10, last_submit=100_000, receipts=0, responses=0),
        peers_sink.Line(now=1_200_000, submits=100, last_submit=1_000_000, receipts=0, responses=100),
        peers_sink.Line(now=2_000_000, submits=100, last_submit=1_000_000, receipts=100, responses=100),
        peers_sink.Line(now=3_000_000, submits=100, last_submit=1_000_000, receipts=100, responses=100),
    ]
    load = Load(count=100, window=10, receipts=receipts)
    assert peers_sink.rate(lines, load) == pytest.approx(rate)


def test_clients_that_fill_share_all_numbers() -> None:
    assert shares(10, 3) == [range(3), range(3, 6), range(6, 10)]


def test_the_peers_page_tells_who_is_absent_and_which_targets_are_met() -> None:
    results = {
        (scenario.key, name): [contest.Result(30.0 if name.startswith("smsgw") else 10.0, {"program": 7.0})]
        for scenario in contest.SCENARIOS
        for name in scenario.names
        if name != "Jasmin"
    }
    made = peers_page.page(results, {"Jasmin": "it is not to be had"}, 20_000, 3)
    assert "Jasmin did not take part: it is not to be had" in made.text
    assert "store-type" in made.text
    assert {headline.met for headline in made.headlines} == {True}
    assert not any("Jasmin" in headline.what for headline in made.headlines)
