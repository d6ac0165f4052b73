r"""The Trashlens page: builds it from the bundles in `models` and serves it.

Its API with curl: upload a photo, send the path that is named to `classify`, read the answer from there::

    url=http://127.0.0.1:7860/gradio_api
    path=$(curl -s -F files=@photo.jpg $url/upload | jq -r '.[0]')
    data="{\"data\": [{\"path\": \"$path\", \"meta\": {\"_type\": \"gradio.FileData\"}}]}"
    event=$(curl -s --json "$data" $url/call/classify | jq -r .event_id)
    curl -s $url/call/classify/$event

A second value in `data`, true, asks the networks to explain: each result then has a `map`, rows from the top, of
how much each place of the photo's middle square speaks for its label (below 0: against it; the mean is the
calibrated logit), or null where the network's head allows none.
"""

import logging
import os
import shutil
import signal
import sys
import warnings
from pathlib import Path

from PIL import Image

from trashlens.errors import TrashlensError
from trashlens.lineup import load_lineup
from trashlens.machine import return_large_memory
from trashlens.server.desk import Desk
from trashlens.server.settings import parse_settings
from trashlens.server.uploads import make_room

__all__ = ["main"]


def main() -> int:
    """Serve the page until it is stopped; return 2 when no bundle or not the port can be used.

    `python app.py --help` lists the settings. Address and port come from GRADIO_SERVER_NAME and
    GRADIO_SERVER_PORT.
    """
    settings = parse_settings(models=Path(__file__).parent / "models")
    logging.basicConfig(level=logging.WARNING, format="%(message)s")
    logging.getLogger("trashlens").setLevel(logging.INFO)
    # decode_image refuses large images in a sentence; Pillow's own warning names a path of the installation.
    warnings.simplefilter("ignore", Image.DecompressionBombWarning)
    # Gradio takes the variable for a wish and moves on to the next free port; who sets it counts on it.
    port = os.environ.get("GRADIO_SERVER_PORT")
    if port is not None and not (port.isdecimal() and 0 < int(port) < 2**16):
        print(
            f"GRADIO_SERVER_PORT is {port!r}. Give the number of a port, such as 7860.", file=sys.stderr
        )
        return 2
    # Ended by an orchestrator, it cleans up as it does after Ctrl-C.
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    return_large_memory()
    uploads = make_room()
    try:
        os.environ["GRADIO_TEMP_DIR"] = str(uploads)
        # Gradio sums up its events after each of them, which costs more than most of ours.
        os.environ.setdefault("GRADIO_ANALYTICS_CACHE_FREQUENCY", "1000")
        # It looks whether it answers, and would ask a proxy for this machine.
        for name in ("NO_PROXY", "no_proxy"):
            os.environ[name] = ",".join(filter(None, [os.environ.get(name), "127.0.0.1", "localhost"]))
        # Only now, since Gradio reads these variables as it is imported.
        from trashlens.ui import build_page, launch_options

        desk = Desk(load_lineup(settings.models, provider=settings.provider), settings)
        page = build_page(desk)
        page.launch(**launch_options(page, desk), server_port=int(port) if port else None)
    except KeyboardInterrupt:
        return 130  # while it started; later Gradio ends by itself
    except TrashlensError as error:
        print(error, file=sys.stderr)
        return 2
    except BrokenPipeError:
        return 0  # it was stopped, and nobody reads what Gradio says of that
    except (OSError, ValueError) as error:
        print(f"The page cannot be served on port {port or 7860}: {error}", file=sys.stderr)
        return 2
    finally:
        shutil.rmtree(uploads, ignore_errors=True)
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
