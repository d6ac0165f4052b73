"""What the server allows, as arguments and variables of the environment say it."""

import dataclasses
from pathlib import Path

import pytest

from trashlens.image import ImageLimits
from trashlens.server.settings import Settings, parse_settings

MODELS = Path("somewhere/models")


def test_without_a_word_the_defaults_hold() -> None:
    assert parse_settings([], models=MODELS) == Settings(models=MODELS)


def test_arguments_win_over_the_environment_and_it_over_the_defaults(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("TRASHLENS_WAITING", "7")
    monkeypatch.setenv("TRASHLENS_PHOTO__MAX_BYTES", "1000")
    monkeypatch.setenv("TRASHLENS_MODELS", "elsewhere")
    settings = parse_settings(["--viewers", "2"], models=MODELS)
    assert (settings.waiting, settings.viewers, settings.models) == (7, 2, Path("elsewhere"))
    assert settings.photo == ImageLimits(max_bytes=1000)
    assert parse_settings(["--waiting=9"], models=MODELS).waiting == 9


@pytest.mark.parametrize(
    "wrong",
    [
        "--waiting=0",
        "--request_s=-1",
        "--keep_s=soon",
        "--photo.max_bytes=0",
        "--log=some",
        "--feedback_mb=0",
        "--feedback_repo=ada",
        "--wating=3",
    ],
)
def test_what_cannot_be_ends_in_a_sentence(wrong: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as end:
        parse_settings([wrong], models=MODELS)
    assert end.value.code == 2
    assert "error: " in capsys.readouterr().err


def test_a_variable_out_of_range_is_named(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("TRASHLENS_WAITING", "0")
    with pytest.raises(SystemExit):
        parse_settings([], models=MODELS)
    assert "waiting is 0; it must be positive." in capsys.readouterr().err


def test_the_help_names_each_setting_with_its_variable(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as end:
        parse_settings(["--help"], models=MODELS)
    assert end.value.code == 0
    text = capsys.readouterr().out
    for field in dataclasses.fields(Settings):
        assert f"TRASHLENS_{field.name.upper()}" in text
    for field in dataclasses.fields(ImageLimits):
        assert f"--photo.{field.name}" in text


def test_a_variable_that_is_nearly_a_setting_is_told_and_others_are_not(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setenv("TRASHLENS_WAITNG", "7")
    monkeypatch.setenv("TRASHLENS_SOURCE", "photos.zip")
    assert parse_settings([], models=MODELS).waiting == Settings().waiting
    assert caplog.messages == [
        "There is no setting TRASHLENS_WAITNG, so it changes nothing. Is TRASHLENS_WAITING meant?"
    ]
