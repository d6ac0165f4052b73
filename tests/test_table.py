"""The table of answers: one row a photo, and nothing in it that a spreadsheet computes."""

import csv
import io

import pytest

from trashlens.classifier import Prediction
from trashlens.comparison import Comparison
from trashlens.table import Row, column_names, format_csv

ROLES = ("teacher", "student")


def answer(**labels: tuple[str, float, bool]) -> Comparison:
    return Comparison(
        decode_ms=1,
        preprocess_ms=1,
        predictions={
            role: Prediction(
                confidences={label: confidence, "other": 1 - confidence},
                infer_ms=1,
                bundle="",
                sure=sure,
            )
            for role, (label, confidence, sure) in labels.items()
        },
    )


AGREE = answer(teacher=("glass", 0.98765, True), student=("glass", 0.9, True))
DISAGREE = answer(teacher=("glass", 0.9, True), student=("metal", 0.8, True))
DOUBT = answer(teacher=("glass", 0.9, True), student=("metal", 0.6, False))


def read(rows: list[Row]) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(format_csv(rows, ROLES), newline="")))


def test_a_row_has_each_networks_answer() -> None:
    (row,) = read([Row(file="a, b.jpg", answer=AGREE)])
    assert row == {
        **{"file": "a, b.jpg", "disagree": "false", "problem": ""},
        **{"teacher_label": "glass", "teacher_sure": "true", "teacher_confidence": "0.9877"},
        **{"student_label": "glass", "student_sure": "true", "student_confidence": "0.9000"},
    }
    assert list(row) == column_names(ROLES)


def test_only_networks_that_are_sure_disagree() -> None:
    rows = [Row(file="x", answer=one) for one in (AGREE, DISAGREE, DOUBT)]
    assert [row.disagree for row in rows] == [False, True, False]
    assert [row.doubted for row in rows] == [False, False, True]
    assert [row["disagree"] for row in read(rows)] == ["false", "true", "false"]


def test_without_an_answer_there_is_the_reason_alone() -> None:
    (row,) = read([Row(file="cut.jpg", problem="The image is damaged.")])
    assert {name: value for name, value in row.items() if value} == {
        "file": "cut.jpg",
        "problem": "The image is damaged.",
    }


@pytest.mark.parametrize("start", ["=1+1", "+1", "-1", "@SUM(A1)", "\t=1", "\r=1"])
def test_a_spreadsheet_computes_nothing(start: str) -> None:
    (row,) = read([Row(file=f"{start}.jpg", problem=start)])
    assert row["file"] == f"'{start}.jpg".replace("\r", " ")
    assert row["problem"] == f"'{start}".replace("\r", " ")


def test_a_name_of_several_lines_stays_in_its_cell() -> None:
    names = ['two\nlines, and "quotes".jpg', "ü.jpg", "a=1.jpg"]
    assert [row["file"] for row in read([Row(file=name, answer=AGREE) for name in names])] == names


def test_the_header_comes_once() -> None:
    rows = [Row(file="a", answer=AGREE), Row(file="b", answer=DOUBT)]
    parts = [format_csv([], ROLES), *(format_csv([row], ROLES, header=False) for row in rows)]
    assert "".join(parts) == format_csv(rows, ROLES)
