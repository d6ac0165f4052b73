"""Networks that are opened when they are first needed, since a server may never need them."""

import logging
from collections.abc import Callable

import anyio
import anyio.to_thread

from trashlens.errors import TrashlensError
from trashlens.lineup import Lineup

__all__ = ["Live"]

logger = logging.getLogger(__name__)


class Live:
    """A line-up that is another one once it is opened."""

    def __init__(self, lineup: Lineup, load: Callable[[], Lineup] | None = None) -> None:
        """Begin with `lineup`; `load` takes its time and returns what takes its place."""
        self.lineup = lineup
        self._load = load
        self._lock = anyio.Lock()

    async def open(self) -> None:
        """Have the line-up ready; only the first of those who ask loads it, and the others wait."""
        async with self._lock:
            if self._load is None:
                return
            try:
                self.lineup = await anyio.to_thread.run_sync(self._load)
            except TrashlensError as error:
                logger.error("The ordinary networks answer instead: %s", error)
            self._load = None
