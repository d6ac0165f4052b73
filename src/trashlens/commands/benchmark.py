"""The command that measures what serving costs; it needs the serving packages only."""

import contextlib
import logging
import signal
import sys
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from jsonargparse import ArgumentParser

from trashlens.bundle import load_bundles
from trashlens.commands.options import add_models, construct
from trashlens.errors import BenchmarkError, RecipeError

if TYPE_CHECKING:  # the command loads what it runs only when it runs
    from trashlens.benchmark.camera import CameraResult, Tab
    from trashlens.benchmark.config import BenchmarkConfig
    from trashlens.benchmark.inference import InferenceResult
    from trashlens.benchmark.photos import RequestPhoto
    from trashlens.benchmark.report import PageResult
    from trashlens.benchmark.request import RequestResult

__all__ = ["benchmark_command"]

NO_TORCH = (
    "The ordinary app needs the train packages. Install them: pipenv sync --categories 'packages train'"
)

ResultT = TypeVar("ResultT")

say = logging.getLogger(__name__).info


def benchmark_command(argv: Sequence[str]) -> int:
    """Measure networks, requests, page and cameras on this machine; the last line printed is all of it as JSON."""
    from trashlens.benchmark.config import PARTS, BenchmarkConfig
    from trashlens.benchmark.photos import make_photos, read_photo
    from trashlens.benchmark.report import Report, describe_machine
    from trashlens.benchmark.tables import format_head, format_left_out

    given = _make_parser(BenchmarkConfig, PARTS).parse_args(argv).as_dict()
    asked, models, app, photo = (given.pop(key) for key in ("parts", "models", "app", "photo"))
    _check(asked, PARTS, app)
    config = construct(BenchmarkConfig, given)
    load_bundles(models)  # what is wrong with them is said before anything is measured
    photos = [read_photo(photo)] if photo else make_photos()
    machine = describe_machine()
    print(f"{format_head(machine, config)}\n", flush=True)
    session = _Session(models=models, app=app, photos=photos, config=config)
    with _ending_in_order():
        results, complete = _measure(session, [part for part in PARTS if part in (asked or PARTS)])
    if session.left_out:
        print(f"{format_left_out(session.left_out)}\n")
    print(Report(machine=machine, settings=config, left_out=session.left_out, **results).to_json())
    return 0 if complete and not set(asked) & set(session.left_out) else 2


@dataclass(frozen=True, kw_only=True)
class _Session:
    """One run of the command: a method for each part, which measures it, prints its table and returns it."""

    models: Path
    app: Path
    photos: Sequence["RequestPhoto"]
    config: "BenchmarkConfig"
    left_out: dict[str, str] = field(default_factory=dict)
    """Filled by the parts: what could not be measured, and why."""

    @property
    def small(self) -> "RequestPhoto":
        """The photo of what is measured with one: the user's, or the small one."""
        from trashlens.benchmark.photos import SMALL

        return next((photo for photo in self.photos if photo.name == SMALL), self.photos[0])

    def inference(self) -> "InferenceResult":
        """Measure the networks alone."""
        from trashlens.benchmark.inference import measure_inference
        from trashlens.benchmark.tables import format_inference
        from trashlens.image import decode_image

        image = decode_image(self.small.data)
        result = measure_inference(self.models, image, self.config, say=say)
        return _show(result, format_inference)

    def request(self) -> "RequestResult":
        """Measure single requests."""
        from trashlens.benchmark.request import measure_requests
        from trashlens.benchmark.tables import format_request
        from trashlens.classifier import load_classifiers

        ordinary = self._load_ordinary()
        classifiers = load_classifiers(self.models)
        result = measure_requests(classifiers, self.photos, self.config, ordinary=ordinary, say=say)
        return _show(result, format_request)

    def page(self) -> "PageResult":
        """Measure the page as a server."""
        from trashlens.benchmark.load import measure_load
        from trashlens.benchmark.report import PageResult
        from trashlens.benchmark.start import measure_start
        from trashlens.benchmark.tables import format_page

        start = measure_start(self.app, self.models, self.config, say=say)
        load = measure_load(self.app, self.models, self.small, self.config, say=say)
        return _show(PageResult(start=start, load=load), format_page)

    def webcam(self) -> "CameraResult | None":
        """Measure the Webcam tab in a browser, if there is one."""
        return self._film("webcam")

    def device(self) -> "CameraResult | None":
        """Measure the On-device tab in a browser, if there is one."""
        return self._film("device")

    def _film(self, tab: "Tab") -> "CameraResult | None":
        from trashlens.benchmark.camera import NO_BROWSER, find_browser, measure_camera
        from trashlens.benchmark.tables import format_camera

        browser = find_browser()
        if browser is None:
            self.left_out[tab] = NO_BROWSER
            return None
        result = measure_camera(tab, self.app, self.models, browser, self.config, say=say)
        return _show(result, partial(format_camera, tab))

    def _load_ordinary(self) -> Callable[[bytes], object] | None:
        """Return the ordinary app, or say why it is left out."""
        from trashlens.machine import count_cores

        try:
            from trashlens.training.ordinary import make_ordinary_app

            return make_ordinary_app(load_bundles(self.models), threads=count_cores())
        except ModuleNotFoundError:
            self.left_out["request.ordinary"] = NO_TORCH
        except RecipeError as error:
            self.left_out["request.ordinary"] = str(error)
        return None


def _measure(session: _Session, parts: Sequence[str]) -> tuple[dict[str, Any], bool]:
    """Return the results by part, and whether all went well; what is missing is said at once and at the end."""
    results: dict[str, Any] = {}
    complete = True
    for part in parts:
        try:
            results[part] = getattr(session, part)()
        except BenchmarkError as error:  # what the other parts took minutes for is kept
            print(f"trashlens benchmark: {error}", file=sys.stderr)
            session.left_out[part] = str(error)
            complete = False
    return results, complete


def _show(result: ResultT, format_result: Callable[[ResultT], str]) -> ResultT:
    print(f"{format_result(result)}\n", flush=True)
    return result


def _make_parser(config: type[Any], parts: Sequence[str]) -> ArgumentParser:
    parser = ArgumentParser(prog="trashlens benchmark", description=benchmark_command.__doc__)
    parser.add_argument(
        "parts",
        nargs="*",
        default=[],
        metavar="PART",
        help=f"one or more of {', '.join(parts)}; by default all",
    )
    add_models(parser)
    parser.add_argument(
        "--photo",
        type=Path,
        help="a photo to measure with; by default three are drawn, always the same: a phone's, a small one, a PNG",
    )
    parser.add_argument("--app", type=Path, default=Path("app.py"), help="the file that serves the page")
    parser.add_class_arguments(config, as_group=False)
    return parser


def _check(asked: Sequence[str], parts: Sequence[str], app: Path) -> None:
    """Refuse what is not there, before minutes of measuring.

    Raises:
        RecipeError: there is no such part, or no such page.
    """
    for part in asked:
        if part not in parts:
            raise RecipeError(f"There is no part {part!r} to measure; choose from {', '.join(parts)}.")
    if {"page", "webcam", "device"} & set(asked or parts) and not app.is_file():
        raise RecipeError(
            f"There is no file {app} that serves the page. Name it with --app, or measure inference and request."
        )


@contextlib.contextmanager
def _ending_in_order() -> Iterator[None]:
    """End like Ctrl-C when the process is told to terminate, so that no server is left behind."""
    before = signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)
