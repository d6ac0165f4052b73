"""The seed's score: its halves by hand, against the seed's own row, and in the command."""

import math
import re
from pathlib import Path

import pytest

from trashlens.__main__ import main
from trashlens.errors import DataError
from trashlens.training.evaluate import TradeOffConfig, format_trade_offs, trade_off


def test_the_halves_by_hand() -> None:
    at_baseline = trade_off(0.7, 50.0, baseline_f1=0.7, baseline_time=50.0)
    assert (at_baseline.time_half, at_baseline.f1_half, at_baseline.score) == (0.5, 0.5, 1.0)
    # Half the time; F1 better by ln(3) / 20, where the sigmoid is 1 / (1 + 3).
    better = trade_off(0.7 + math.log(3) / 20, 25.0, baseline_f1=0.7, baseline_time=50.0)
    assert better.time_half == 0.25
    assert better.f1_half == pytest.approx(0.25)
    assert better.score == pytest.approx(0.5)
    worse = trade_off(0.7 - math.log(3) / 20, 100.0, baseline_f1=0.7, baseline_time=50.0)
    assert worse.score == pytest.approx(1.75)


def test_the_seed_s_row_needs_other_constants_than_its_own_numbers() -> None:
    f1, time, score = 0.7012, 58.1225, 1.1676
    assert trade_off(f1, time, baseline_f1=f1, baseline_time=time).score == 1.0
    # What the module's first lines say: one constant kept, the other solved for.
    kept_time = trade_off(f1, time, baseline_f1=0.7361, baseline_time=time)
    assert kept_time.time_half == 0.5
    assert kept_time.score == pytest.approx(score, abs=2e-4)
    kept_f1 = trade_off(f1, time, baseline_f1=f1, baseline_time=43.53)
    assert kept_f1.f1_half == 0.5
    assert kept_f1.score == pytest.approx(score, abs=2e-4)
    # The other half lies in 0 to 1, so that the first one bounds the time.
    assert 0.5 * time / 24.89 == pytest.approx(score, abs=2e-4)
    assert 0.5 * time / 173.4 == pytest.approx(score - 1, abs=2e-4)


def test_constants_are_measured_or_given() -> None:
    measured = {"teacher": (0.9, 20.0), "baseline": (0.8, 2.0)}
    table = format_trade_offs(measured, TradeOffConfig())
    assert "| baseline | 0.8000 | 2.00 ms | 0.5000 | 0.5000 | 1.0000 |" in table
    # sigmoid(20 · −0.1) = 1 / (1 + e²) = 0.1192
    assert "| teacher | 0.9000 | 20.00 ms | 5.0000 | 0.1192 | 5.1192 |" in table
    given = TradeOffConfig(baseline_f1=0.9, baseline_time_ms=40.0)
    assert "| teacher | 0.9000 | 20.00 ms | 0.2500 | 0.5000 | 0.7500 |" in format_trade_offs(
        measured, given
    )
    with pytest.raises(DataError, match="give --baseline_f1 and --baseline_time_ms"):
        format_trade_offs({"teacher": (0.9, 20.0)}, TradeOffConfig(baseline_f1=0.9))


def test_the_command_scores_what_it_measured(
    toy_models: Path, processed: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    command = ["evaluate", f"--models={toy_models}", f"--photos={processed / 'test'}"]
    assert main(command) == 0
    assert "half for F1" not in capsys.readouterr().out
    assert main([*command, "--score", "--baseline_f1=1", "--baseline_time_ms=1000"]) == 0
    rows = dict(
        re.findall(r"\| (\w+) \| [\d.]+ \| [\d.]+ ms \| [\d.]+ \| ([\d.]+) \|", capsys.readouterr().out)
    )
    # The baseline takes glass for plastic: 4 of 6 classes have F1 1, the others 0.
    expected = {"teacher": 0.5, "baseline": 1 / (1 + math.exp(-20 / 3)), "student": 0.5}
    assert {role: float(half) for role, half in rows.items()} == pytest.approx(expected, abs=5e-5)
    assert main([*command, "--score", "--baseline_time_ms=0"]) == 2
    assert "baseline_time_ms must be positive" in capsys.readouterr().err
