"""Where ONNX Runtime computes: on the processor, or on what the installed build of it knows besides.

The package `onnxruntime` computes on the processor. For a GPU install `onnxruntime-gpu` instead of it (both fill
the same folder, so one has to go first), with the CUDA and cuDNN that it names, and set `TRASHLENS_PROVIDER=cuda`.
"""

import os

import onnxruntime as ort

from trashlens.errors import ProviderError

__all__ = ["CPU", "default_provider", "find_provider"]

CPU = "cpu"
SUFFIX = "ExecutionProvider"


def default_provider() -> str:
    """Return the provider that TRASHLENS_PROVIDER names, or `cpu`."""
    return os.environ.get("TRASHLENS_PROVIDER") or CPU


def find_provider(name: str) -> str:
    """Return what ONNX Runtime calls the execution provider `name`: `CUDAExecutionProvider` for `cuda`.

    Raises:
        ProviderError: the installed ONNX Runtime has no such provider.
    """
    available: list[str] = ort.get_available_providers()
    known = {provider.removesuffix(SUFFIX).lower(): provider for provider in available}
    if name.lower() not in known:
        raise ProviderError(
            f"The installed ONNX Runtime does not compute on {name}, but on {' or '.join(sorted(known))}. "
            "Choose one of these, or install the build that does in its place (for cuda: onnxruntime-gpu)."
        )
    return known[name.lower()]
