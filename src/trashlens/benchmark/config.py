"""How thoroughly the benchmark measures."""

from dataclasses import dataclass

__all__ = ["PARTS", "BenchmarkConfig"]

PARTS = ("inference", "request", "page", "webcam", "device")


@dataclass(frozen=True, kw_only=True)
class BenchmarkConfig:
    """How often and how long things are measured; more is steadier."""

    rounds: int = 50
    """How often each network and each request is timed; the contestants of a round take turns."""
    warm_up: int = 5
    """Rounds before those, which pay for cold caches and count for nothing."""
    repeats: int = 6
    """How often a server is started, and how often each number of clients is let loose on it."""
    seconds: float = 3.0
    """How long clients ask each time, and a third of the time that a camera is watched, seconds."""
    clients: tuple[int, ...] = (1, 8, 32)
    """Numbers of clients that ask at the same time."""

    def __post_init__(self) -> None:
        if min(self.rounds, self.repeats) < 1 or self.warm_up < 0:
            raise ValueError("rounds and repeats must be at least 1, and warm_up at least 0.")
        if not 0 < self.seconds <= 600:
            raise ValueError("seconds must lie in (0, 600].")
        if not self.clients or min(self.clients) < 1 or len(set(self.clients)) < len(self.clients):
            raise ValueError("clients must name different numbers of at least 1, such as [1,8,32].")
