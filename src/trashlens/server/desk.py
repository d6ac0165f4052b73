"""Where requests are answered: within the limits, in time, and each with its line in the journal."""

from collections.abc import Callable, Collection, Iterator, Mapping
from contextlib import contextmanager
from functools import partial
from pathlib import Path

import anyio.to_thread
from PIL import Image

from trashlens.classifier import Classifier
from trashlens.comparison import Comparison, compare
from trashlens.errors import RequestError, TrashlensError
from trashlens.image import ImageLimits
from trashlens.lineup import Lineup, available
from trashlens.server.feedback import Feedback
from trashlens.server.journal import Journal, Way
from trashlens.server.live import Live
from trashlens.server.settings import Settings

__all__ = ["Desk"]


class Desk:
    """The networks at work for visitors, with what the server allows them."""

    def __init__(
        self,
        lineup: Lineup,
        settings: Settings,
        feedback: Feedback | None = None,
        load_live: Callable[[], Lineup] | None = None,
        load_crowd: Callable[[], Lineup] | None = None,
    ) -> None:
        """Serve with those of `lineup` that are available; keep `feedback`, if any is asked for.

        Webcams are answered by what `load_live` returns, once the first viewer has come, else by the same; photos
        that come while another photo or a frame is at work, by what `load_crowd` returns.
        """
        self.feedback = feedback
        self.lineup, self.settings = lineup, settings
        self.live, self.crowd = Live(lineup, load_live), Live(lineup, load_crowd)
        self._at_work = 0
        self.classifiers = available(lineup)
        self.journal = Journal(settings)

    async def answer(
        self,
        source: str | bytes,
        *,
        way: Way,
        roles: Collection[str] | None = None,
        limits: ImageLimits | None = None,
        seen: Callable[[Image.Image], None] | None = None,
        explain: bool = False,
    ) -> Comparison:
        """Return what the networks, or those of `roles`, say about an uploaded file or the bytes of a photo.

        It may cost what `limits` say, by default what the settings do. `seen` is called in its thread
        with the decoded photo. Where asked to `explain`, the answer has maps of what the networks looked at.

        Raises:
            ImageError: the source is not a photo that can be read.
            RequestError: it took longer than a request may; what was begun ends on its own.
        """
        size_bytes = _measure(source)
        try:
            with self._working():
                work = partial(
                    compare,
                    await self._choose(way, roles),
                    source,
                    limits=limits or self.settings.photo,
                    seen=seen,
                    explain=explain,
                    at_once=way == "frame",
                )
                with anyio.fail_after(self.settings.request_s):
                    comparison = await anyio.to_thread.run_sync(work, abandon_on_cancel=True)
        except TimeoutError as error:
            late = RequestError(
                f"This took longer than {self.settings.request_s:g} seconds. Try again, or send a smaller photo."
            )
            self.journal.write(way, "late", size_bytes=size_bytes, reason=str(late))
            raise late from error
        except TrashlensError as error:
            # A file's sentence may name its path, and the path the visitor's name for it.
            reason = str(error)
            if isinstance(source, str):
                reason = reason.replace(str(Path(source)), "the file")
            self.journal.write(way, "refused", size_bytes=size_bytes, reason=reason)
            raise
        except Exception as error:
            self.journal.write(way, "failed", size_bytes=size_bytes, reason=type(error).__name__)
            raise
        self.journal.write(way, "answered", size_bytes=size_bytes, comparison=comparison)
        return comparison

    @contextmanager
    def _working(self) -> Iterator[None]:
        self._at_work += 1
        try:
            yield
        finally:
            self._at_work -= 1

    async def _choose(self, way: Way, roles: Collection[str] | None) -> Mapping[str, Classifier]:
        """Return those of `roles` that answer now: a photo that is not alone at work has a core of its own."""
        if way == "frame":
            lineup = self.live.lineup
        elif self._at_work == 1:
            lineup = self.lineup
        else:
            await self.crowd.open()
            lineup = self.crowd.lineup
        return {role: c for role, c in available(lineup).items() if roles is None or role in roles}


def _measure(source: str | bytes) -> int | None:
    """Return the size in bytes, or None where the file is gone."""
    if isinstance(source, bytes):
        return len(source)
    try:
        return Path(source).stat().st_size
    except OSError:
        return None
