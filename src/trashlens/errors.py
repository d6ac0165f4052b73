"""What can go wrong, as one tree.

TrashlensError        its message is one sentence for the user: what is wrong, what would work
├── ImageError        the file is not a photo we can read
├── RequestError      the server has no time for this request
├── AddressError      the server cannot listen where it was told to
├── FeedbackError     what a visitor gives cannot be kept
├── BundleError       a bundle is missing, damaged or of another format
├── ProviderError     ONNX Runtime cannot compute where it was told to
├── DataError         a data source or split manifest is missing or damaged
├── RecipeError       a recipe contradicts itself or names what does not exist
├── TrainingError     training had to stop
│   └── DivergenceError   the loss is not finite
├── ExportError       an exported network does not agree with its checkpoint
├── TrackingError     W&B or GitHub refused or did not answer, or has no such bundle
├── BenchmarkError    something that is measured did not start, or stopped answering
└── HubError          the Hugging Face Hub refused or failed, or what would go there does not work
"""

from collections.abc import Callable

__all__ = [
    "AddressError",
    "BenchmarkError",
    "BundleError",
    "DataError",
    "DivergenceError",
    "ExportError",
    "FeedbackError",
    "HubError",
    "ImageError",
    "ProviderError",
    "RecipeError",
    "RequestError",
    "TrackingError",
    "TrainingError",
    "TrashlensError",
    "first_line",
]


def first_line(error: BaseException, *, hide: Callable[[str], str] = str) -> str:
    """Return the first line of an error's message, at most 200 characters, or its type where it has none.

    `hide` first replaces what is not to be told, so that no part of it is left by the cut.
    """
    return next(iter(hide(str(error)).splitlines()), "")[:200] or type(error).__name__


class TrashlensError(Exception):
    """Base of everything this package raises on purpose; the message is shown to the user as it is."""


class ImageError(TrashlensError):
    """The file is not a photo that can be read."""


class RequestError(TrashlensError):
    """The server has no time for this request."""


class AddressError(TrashlensError):
    """The server cannot listen where it was told to."""


class FeedbackError(TrashlensError):
    """What a visitor gives cannot be kept, or not where the settings say."""


class BundleError(TrashlensError):
    """A bundle is missing, damaged or of another format."""


class ProviderError(TrashlensError):
    """ONNX Runtime cannot compute where it was told to."""


class DataError(TrashlensError):
    """A data source or split manifest is missing or damaged."""


class RecipeError(TrashlensError):
    """A recipe contradicts itself or names what does not exist."""


class TrainingError(TrashlensError):
    """Training had to stop; what is on disk stays usable."""


class DivergenceError(TrainingError):
    """The loss is not finite: the same recipe would end so again."""


class ExportError(TrashlensError):
    """An exported network does not agree with its checkpoint."""


class BenchmarkError(TrashlensError):
    """Something that is measured did not start, or stopped answering."""


class HubError(TrashlensError):
    """The Hugging Face Hub refused or failed, or what would be published there does not work."""


class TrackingError(TrashlensError):
    """W&B, or GitHub for it, refused or did not answer, or has no such bundle."""
