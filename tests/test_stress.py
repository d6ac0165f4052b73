"""The load test in small: it runs as it is, and it notices what it is there for."""

import json
from pathlib import Path

import pytest
import stress
from load import Tally


def test_a_small_load_a_kill_and_a_restart_lose_nothing(
    toy_models: Path, hostile_files: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    options = [
        "--clients",
        "6",
        "--seconds",
        "8",
        "--models",
        str(toy_models),
        "--most_growth=9",
        "--mute=100",
    ]
    assert stress.main([*options, "--hostile", str(hostile_files)]) == 0
    report = json.loads(capsys.readouterr().out.splitlines()[-1])
    assert report["stood"] is True
    assert report["lost"] == []
    assert report["requests"]["answered"] > 20
    assert report["requests"]["refused"] > 0
    assert report["killed_amidst"] > 0
    assert report["folders_left_by_the_killed"] == 0
    assert report["after_the_restart"]["answered"] > 0


@pytest.mark.parametrize(("expected", "reason"), [("photo", "refused, although it is to be photo")])
def test_what_does_not_end_as_it_must_is_noticed(
    toy_models: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], expected: str, reason: str
) -> None:
    (tmp_path / "text.jpg").write_bytes(b"text")
    (tmp_path / "expected.json").write_text(json.dumps({"text.jpg": expected}))
    options = [
        "--clients",
        "2",
        "--seconds",
        "2",
        "--models",
        str(toy_models),
        "--most_growth=9",
        "--mute=100",
    ]
    assert stress.main([*options, "--hostile", str(tmp_path)]) == 1
    report = json.loads(capsys.readouterr().out.splitlines()[-1])
    assert report["stood"] is False
    assert report["lost"][0].startswith("text.jpg: ")
    assert reason in report["lost"][0]


def test_growth_is_from_the_end_of_the_warm_up_to_the_end() -> None:
    tally = Tally(
        rss_bytes=[(float(second), 100 + (second >= 60) * (second - 60)) for second in range(181)]
    )
    assert tally.growth(60) == pytest.approx((214.5 - 105.5) / 105.5, abs=0.01)
    assert tally.growth(60) > stress.MOST_GROWTH
    assert Tally(rss_bytes=[(0.0, 50), (60.0, 100), (180.0, 105)]).growth(60) == pytest.approx(0.05)
