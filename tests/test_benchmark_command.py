"""`trashlens benchmark` as a user meets it: real servers, real processes, a real browser, toy networks."""

import dataclasses
import json
import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import psutil
import pytest
from conftest import coloured_photo

from trashlens.__main__ import main
from trashlens.benchmark.camera import find_browser
from trashlens.benchmark.config import PARTS
from trashlens.bundle import ROLES, Bundle
from trashlens.machine import count_cores, processor_name

ROOT = Path(__file__).parent.parent
QUICK = ("--rounds=6", "--warm_up=1", "--repeats=1", "--seconds=0.8", "--clients=[1,4]")


def run(*arguments: str, code: str = "", **options: Any) -> subprocess.CompletedProcess[str]:
    command = f"{code}\nimport sys; from trashlens.__main__ import main; sys.exit(main(sys.argv[1:]))"
    return subprocess.run(
        [sys.executable, "-c", command, "benchmark", *arguments],
        capture_output=True,
        text=True,
        cwd=ROOT,
        **options,
    )


@pytest.fixture(scope="module")
def models(toy_models: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Toy bundles that say which torch network they might have come from, and a copy for webcams."""
    folder = tmp_path_factory.mktemp("named")
    recipe = {"network": {"name": "test_efficientnet", "arguments": {}}}
    for role in ROLES:
        bundle = Bundle.load(toy_models / role)
        dataclasses.replace(bundle, provenance={"recipe": recipe}).write(folder / role)
    copy = dataclasses.replace(Bundle.load(toy_models / "teacher"), weights="int8")
    copy.write(folder / "live" / "teacher")
    return folder


@pytest.fixture(scope="module")
def photo(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("photo") / "can.jpg"
    coloured_photo("metal", size=(512, 384)).save(path)
    return path


@pytest.fixture(scope="module")
def output(models: Path, photo: Path) -> list[str]:
    """What all parts print, where the environment names a proxy that leads nowhere."""
    environment = {**os.environ, "HTTP_PROXY": "http://127.0.0.1:1", "ALL_PROXY": "http://127.0.0.1:1"}
    result = run(*QUICK, f"--models={models}", f"--photo={photo}", env=environment)
    assert result.returncode == 0, result.stderr
    assert "round 1 of 1" in result.stderr
    return result.stdout.splitlines()


@pytest.fixture(scope="module")
def report(output: list[str]) -> dict[str, Any]:
    document: dict[str, Any] = json.loads(output[-1])
    return document


def section(output: list[str], title: str) -> list[list[str]]:
    """Return the cells of a printed table's rows."""
    start = next(i for i, line in enumerate(output) if line.startswith(title))
    rows = output[start + 4 : output.index("", start + 2)]
    return [re.split(r"\s{2,}", row) for row in rows]


def shown(text: str) -> float:
    """Return the first number of a cell."""
    return float(re.match(r"[\d.]+", text)[0])


def test_the_last_line_is_the_only_json_and_says_what_was_measured_on(
    output: list[str], report: dict[str, Any]
) -> None:
    assert sum(line.startswith(("{", "[")) for line in output) == 1
    assert list(report) == ["format", "machine", "settings", *PARTS, "left_out"]
    machine = report["machine"]
    assert (machine["processor"], machine["threads"]) == (processor_name(), count_cores())
    assert {"onnxruntime", "gradio", "pillow", "numpy"} <= set(machine["packages"])
    assert 0 <= machine["busy_before"] <= 1
    assert report["settings"]["clients"] == [1, 4]
    head = " ".join(output[:6])
    assert machine["processor"] in head
    assert machine["packages"]["onnxruntime"] in head
    if machine["commit"]:
        assert re.fullmatch(r"[0-9a-f]{40}(-dirty)?", machine["commit"])
        assert machine["commit"][:12] in head
    assert str(ROOT) not in output[-1]


def test_inference_table_and_json_agree(output: list[str], report: dict[str, Any]) -> None:
    rows = section(output, "Inference")
    sessions = report["inference"]["sessions"]
    threads = sorted({1, count_cores()})
    assert [(one["role"], one["threads"]) for one in sessions] == [
        (role, count) for count in threads for role in (*ROLES, "live/teacher")
    ]
    for row, one in zip(rows, sessions, strict=True):
        assert row[0] == f"{one['role']} toy_{one['role'].removeprefix('live/')}"
        stored = "int8" if one["role"] == "live/teacher" else "float32"
        assert row[1:3] == [stored, str(one["threads"])]
        assert shown(row[3]) == pytest.approx(one["infer"]["p50_ms"], abs=0.01)
        assert shown(row[4]) == pytest.approx(one["infer"]["p95_ms"], abs=0.01)
        assert shown(row[5]) == pytest.approx(one["speed"]["median"], abs=0.06)
        assert shown(row[7]) == pytest.approx(one["memory_mb"], abs=0.6)
        assert one["infer"]["min_ms"] <= one["infer"]["p50_ms"] <= one["infer"]["p95_ms"]
        assert one["infer"]["runs"] == 6
        assert 0 <= one["memory_mb"] < 50
    assert all(one["speed"]["median"] == 1 for one in sessions if one["role"] == "teacher")
    assert list(report["inference"]["student_to_baseline"]) == [str(count) for count in threads]


def test_request_table_and_json_agree(output: list[str], report: dict[str, Any], photo: Path) -> None:
    (row,) = section(output, "Request")
    (one,) = report["request"]["photos"]
    assert (row[0], one["file_mb"]) == ("can.jpg", photo.stat().st_size / 1e6)
    steps = ("decode", "preprocess", "infer", "total")
    expected = [one[step]["p50_ms"] for step in steps]
    expected += [one["total"]["p95_ms"], one["floor"]["p50_ms"], one["to_floor"]["median"]]
    expected += [one["ordinary"]["p50_ms"], one["speed"]["median"]]
    assert [shown(cell) for cell in row[2:]] == pytest.approx(expected, rel=0.02, abs=0.06)
    assert one["total"]["p50_ms"] > one["decode"]["min_ms"] + one["infer"]["min_ms"]
    assert one["speed"]["median"] > 1  # torch takes longer even for its smallest networks


def test_page_tables_and_json_agree(output: list[str], report: dict[str, Any]) -> None:
    page, alone = section(output, "Page: from the start")
    start = report["page"]["start"]
    assert shown(page[1]) == pytest.approx(start["app"]["p50_ms"] / 1e3, abs=0.01)
    assert shown(alone[1]) == pytest.approx(start["alone"]["p50_ms"] / 1e3, abs=0.01)
    assert start["ratio"]["median"] == pytest.approx(start["app"]["p50_ms"] / start["alone"]["p50_ms"])
    assert shown(page[3]) == pytest.approx(start["ratio"]["median"], abs=0.01)
    assert shown(page[4]) == pytest.approx(start["app_mb"], abs=0.6)
    assert 80 < start["alone_mb"] < start["app_mb"] < 1000
    rows = section(output, "Page: under load, with the can.jpg")
    load = report["page"]["load"]
    assert [row[0] for row in rows[:3]] == ["1 client", "4 clients", "4 clients, each request uploads"]
    rates = [one["requests_per_s"] for one in (*load["queued"], *load["bare"])]
    assert [shown(row[1]) for row in rows] == pytest.approx(rates, abs=0.06)
    assert load["ceiling"]["requests_per_s"] == max(rates[3:])
    for row, one in zip(rows, load["queued"], strict=False):
        assert one["failures"] == {}
        assert one["latency"]["runs"] >= one["way"]["clients"]
        assert one["of_ceiling"]["median"] == pytest.approx(one["requests_per_s"] / max(rates[3:]))
        assert shown(row[4]) == pytest.approx(100 * one["of_ceiling"]["median"], abs=0.6)
        assert one["clients_cores"] > 0


@pytest.mark.parametrize(("tab", "title"), [("webcam", "Webcam"), ("device", "On device")])
def test_camera_tables_and_json_agree(
    output: list[str], report: dict[str, Any], tab: str, title: str
) -> None:
    if find_browser() is None:
        assert "Chromium" in report["left_out"][tab]
        assert any(line.startswith(f"Left out, {tab}") for line in output)
        return
    (row,) = section(output, title)
    result = report[tab]
    keys = ("first_ms", "results_per_s", "latency_p50_ms", "latency_p90_ms", "longest_gap_ms", "results")
    assert [shown(cell) for cell in row[1:]] == pytest.approx(
        [result[key] for key in keys], rel=0.01, abs=0.06
    )
    assert result["results"] >= 5
    assert 0 < result["latency_p50_ms"] <= result["latency_p90_ms"] < 5000
    assert 0 < result["first_ms"] < 20_000


def test_what_is_not_installed_is_a_sentence(toy_models: Path, photo: Path) -> None:
    blocker = "import sys; sys.modules['torch'] = sys.modules['playwright'] = None"
    given = ("webcam", "request", "--rounds=1", f"--models={toy_models}", f"--photo={photo}")
    result = run(*given, code=blocker)
    assert result.returncode == 2, result.stderr  # a part that was asked for is left out
    report = json.loads(result.stdout.splitlines()[-1])
    assert "needs the train packages" in report["left_out"]["request.ordinary"]
    assert "needs playwright" in report["left_out"]["webcam"]
    assert report["request"]["photos"][0]["ordinary"] is None
    assert report["inference"] is report["page"] is report["webcam"] is None
    assert "Left out, webcam: " in result.stdout
    assert "ordinary app " not in result.stdout.partition("Left out")[0]


@pytest.mark.parametrize("by", [signal.SIGINT, signal.SIGTERM])
def test_ctrl_c_leaves_no_server_behind(by: signal.Signals, toy_models: Path, photo: Path) -> None:
    command = [sys.executable, "-m", "trashlens", "benchmark", "page", *QUICK]
    with subprocess.Popen(
        [*command, f"--models={toy_models}", f"--photo={photo}"],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
        cwd=ROOT,
    ) as process:
        deadline = time.monotonic() + 60
        children: list[psutil.Process] = []
        while not children and time.monotonic() < deadline:
            time.sleep(0.1)
            family = psutil.Process(process.pid).children()
            children = [child for child in family if "app.py" in " ".join(child.cmdline())]
        process.send_signal(by)
        assert children
        _, errors = process.communicate(timeout=60)
    # Python ends by the signal itself where it came while an import was executing generated code.
    assert process.returncode in (130, -signal.SIGINT)
    assert errors.endswith("Interrupted.\n")
    assert "Traceback" not in errors
    assert not any(child.is_running() for child in children)


@pytest.mark.parametrize(
    ("given", "said"),
    [
        (
            ["speed"],
            "There is no part 'speed' to measure; choose from inference, request, page, webcam, device.",
        ),
        (["inference", "--photo=none.jpg"], "There is no file none.jpg."),
        (["page", "--app=none.py"], "There is no file none.py that serves the page."),
        (["--rounds=0"], "rounds and repeats must be at least 1"),
        (["--seconds=0"], "seconds must lie in (0, 600]."),
        (["--clients=[0]"], "clients must name different numbers of at least 1"),
        (["--models=none"], "has no readable bundle.json"),
    ],
)
def test_bad_input_is_a_sentence(
    given: list[str], said: str, toy_models: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    arguments = given if "--models=none" in given else [*given, f"--models={toy_models}"]
    arguments = arguments if "--app=none.py" in given else [*arguments, f"--app={ROOT / 'app.py'}"]
    assert main(["benchmark", *arguments]) == 2
    output = capsys.readouterr()
    assert output.out == ""
    assert output.err.startswith("trashlens benchmark: ")
    assert said in output.err
    assert output.err.count("\n") == 1


def test_an_app_that_does_not_start_is_a_sentence_and_the_other_parts_are_kept(
    toy_models: Path, photo: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    app = tmp_path / "app.py"
    app.write_text("import sys; sys.exit('no luck today')")
    given = ["page", "inference", "--repeats=1", "--rounds=2", f"--app={app}"]
    assert main(["benchmark", *given, f"--models={toy_models}", f"--photo={photo}"]) == 2
    output = capsys.readouterr()
    said = "The server did not start: no luck today"
    assert output.err == f"trashlens benchmark: {said}\n"
    report = json.loads(output.out.splitlines()[-1])
    assert report["left_out"] == {"page": said}
    assert len(report["inference"]["sessions"]) >= 3
