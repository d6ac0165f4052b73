"""The Trashlens page: builds it from the bundles in `models` and serves it."""

import os
import sys
from pathlib import Path

from trashlens.classifier import load_classifiers
from trashlens.errors import TrashlensError
from trashlens.ui import build_page, launch_options

__all__ = ["main"]


def main() -> int:
    """Serve the page until it is stopped; return 2 when the bundles cannot be used.

    Address and port come from GRADIO_SERVER_NAME and GRADIO_SERVER_PORT, the folder of the bundles from
    TRASHLENS_MODELS.
    """
    models = Path(os.environ.get("TRASHLENS_MODELS") or Path(__file__).parent / "models")
    try:
        classifiers = load_classifiers(models)
    except TrashlensError as error:
        print(error, file=sys.stderr)
        return 2
    build_page(classifiers).launch(**launch_options())
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
