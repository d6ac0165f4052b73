r"""The Trashlens page: builds it from the bundles in `models` and serves it.

Its API with curl: upload a photo, send the path that is named to `classify`, read the answer from there::

    url=http://127.0.0.1:7860/gradio_api
    path=$(curl -s -F files=@photo.jpg $url/upload | jq -r '.[0]')
    data="{\"data\": [{\"path\": \"$path\", \"meta\": {\"_type\": \"gradio.FileData\"}}]}"
    event=$(curl -s --json "$data" $url/call/classify | jq -r .event_id)
    curl -s $url/call/classify/$event
"""

import os
import sys
import warnings
from pathlib import Path

from PIL import Image

from trashlens.classifier import load_classifiers
from trashlens.errors import TrashlensError
from trashlens.providers import default_provider

__all__ = ["main"]


def main() -> int:
    """Serve the page until it is stopped; return 2 when the bundles or the port cannot be used.

    Address and port come from GRADIO_SERVER_NAME and GRADIO_SERVER_PORT, the folder of the bundles from
    TRASHLENS_MODELS, and where the networks compute from TRASHLENS_PROVIDER (`cpu`, or see `trashlens.providers`).
    """
    # decode_image refuses large images in a sentence; Pillow's own warning names a path of the installation.
    warnings.simplefilter("ignore", Image.DecompressionBombWarning)
    # Gradio takes the variable for a wish and moves on to the next free port; who sets it counts on it.
    port = os.environ.get("GRADIO_SERVER_PORT")
    if port is not None and not (port.isdecimal() and 0 < int(port) < 2**16):
        print(
            f"GRADIO_SERVER_PORT is {port!r}. Give the number of a port, such as 7860.", file=sys.stderr
        )
        return 2
    from trashlens.ui import build_page, launch_options  # Gradio reads the port as it is imported

    models = Path(os.environ.get("TRASHLENS_MODELS") or Path(__file__).parent / "models")
    try:
        page = build_page(load_classifiers(models, provider=default_provider()))
        page.launch(**launch_options(), server_port=int(port) if port else None)
    except TrashlensError as error:
        print(error, file=sys.stderr)
        return 2
    except (OSError, ValueError) as error:
        print(f"The page cannot be served on port {port or 7860}: {error}", file=sys.stderr)
        return 2
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
