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

import dataclasses
import logging
import os
import shutil
import signal
import sys
import warnings
from functools import partial
from pathlib import Path

from PIL import Image

from trashlens.errors import TrashlensError
from trashlens.lineup import load_crowd, load_lineup, load_live
from trashlens.machine import return_large_memory
from trashlens.server.desk import Desk
from trashlens.server.feedback import open_feedback
from trashlens.server.listening import allot_connections, serve
from trashlens.server.settings import parse_settings
from trashlens.server.uploads import make_room

__all__ = ["main"]


def main() -> int:
    """Serve the page until it is stopped; return 2 when no bundle or not the address can be used.

    `python app.py --help` lists the settings.
    """
    settings = parse_settings(models=Path(__file__).parent / "models")
    logging.basicConfig(level=logging.WARNING, format="%(message)s")
    logging.getLogger("trashlens").setLevel(logging.INFO)
    # decode_image refuses large images in a sentence; Pillow's own warning names a path of the installation.
    warnings.simplefilter("ignore", Image.DecompressionBombWarning)
    # Ended by an orchestrator, it cleans up as it does after Ctrl-C.
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    return_large_memory()
    requests, connections = allot_connections(settings.connections)
    settings = dataclasses.replace(settings, connections=requests)
    uploads = make_room()
    try:
        os.environ["GRADIO_TEMP_DIR"] = str(uploads)
        # Gradio sums up its events after each of them, which costs more than most of ours.
        os.environ.setdefault("GRADIO_ANALYTICS_CACHE_FREQUENCY", "1000")
        # Only now, since Gradio reads these variables as it is imported.
        from trashlens.ui import build_app

        lineup = load_lineup(settings.models, provider=settings.provider)
        live = partial(load_live, settings.models, lineup, provider=settings.provider)
        crowd = partial(load_crowd, settings.models, lineup, provider=settings.provider)
        with open_feedback(settings) as feedback:
            app = build_app(Desk(lineup, settings, feedback, live, crowd))
            serve(app, host=settings.host, port=settings.port, connections=connections)
    except KeyboardInterrupt:
        return 130
    except TrashlensError as error:
        print(error, file=sys.stderr)
        return 2
    except BrokenPipeError:
        return 0  # it was stopped, and nobody reads where it was
    finally:
        shutil.rmtree(uploads, ignore_errors=True)
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
