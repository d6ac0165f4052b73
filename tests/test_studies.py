"""The committed studies: reports are what their records say, and records what their recipes ask for."""

import csv
import re
import shutil
from pathlib import Path

import pytest

from trashlens.training.search import parse_space
from trashlens.training.study import find_standings, parse_study, plan_runs, read_records, report_study

ROOT = Path(__file__).parents[1]
STUDIES = sorted(path for path in (ROOT / "data/studies").glob("*") if path.is_dir())


@pytest.mark.parametrize("folder", STUDIES, ids=lambda folder: folder.name)
def test_the_report_is_what_the_records_say(folder: Path, tmp_path: Path) -> None:
    shutil.copytree(folder.parent, tmp_path / "studies")  # one may be reported beside another
    for manifest in (ROOT / "data").glob("*.csv"):
        shutil.copy(manifest, tmp_path)
    text = report_study(parse_study(folder.name), tmp_path)
    assert (folder / "report.md").read_text(encoding="utf-8") == f"{text}\n"
    (picture,) = re.findall(r"!\[.*\]\((.*)\)", text)
    assert (folder / picture).is_file()


@pytest.mark.parametrize("folder", STUDIES, ids=lambda folder: folder.name)
def test_the_records_were_made_by_the_recipes_as_they_are(folder: Path) -> None:
    records = read_records(folder)
    study = parse_study(folder.name)
    done = [s for s in find_standings(plan_runs(study, Path("runs")), folder) if s.state == "done"]
    assert len(done) == len(records)


def test_the_readme_quotes_the_studies_in_full() -> None:
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    quotes = re.findall(r"<!-- study: (.*?) -->\n(.*?)\n<!-- /study -->", text, re.DOTALL)
    assert [Path(report).parent.name for report, _ in quotes] == ["distillation", "grouped"]
    for report, quote in quotes:
        paragraphs = (ROOT / report).read_text(encoding="utf-8").split("\n\n")
        assert " ".join(quote.split()) in paragraphs


def test_the_committed_search_is_what_its_space_asks_for() -> None:
    folder = ROOT / "data/searches/sizes"
    space = parse_space(str(folder / "space.yaml"))
    with (folder / "results.csv").open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    assert [int(row["trial"]) for row in rows] == list(range(space.trials))
    assert set(space.draws) <= set(rows[0])
    front = [f"macro F1 of {float(row['macro_f1']):.3f}" for row in rows if row["front"] == "True"]
    assert len(front) == 2
    text = " ".join((folder / "README.md").read_text(encoding="utf-8").split())
    assert front[0] in text
    assert f"with {front[1].split()[-1]}; " in text
