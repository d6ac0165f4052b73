"""Each file of a folder through decoding and preprocessing in a process of its own: what came of it, and its cost.

`python tests/ordeal.py FOLDER` prints one JSON object a file: `outcome` is `photo`, `refused` (with the sentence)
or `lost` (any other end), `cpu_sec` and `memory_mb` what it took beyond a process that has done nothing yet.
With `--ordinary` the files go through the few lines of Pillow that such an app has otherwise.
"""

import json
import os
import resource
import sys
import warnings
from collections.abc import Callable
from pathlib import Path

from PIL import Image, ImageOps

from trashlens.errors import ImageError
from trashlens.image import Preprocess, decode_image

__all__ = ["endure"]

CPU_SEC = 10
"""What runs longer is killed."""
ADDRESSES_BYTES = 2 * 2**30
"""So is what asks for more than this, before it takes the machine along."""


def ordinary(path: Path) -> Image.Image:
    """Return the photo as most apps read it; what Pillow refuses counts as refused."""
    try:
        return ImageOps.exif_transpose(Image.open(path)).convert("RGB")
    except (OSError, Image.DecompressionBombError) as error:
        raise ImageError(str(error)) from error


def endure(path: Path, decode: Callable[[Path], Image.Image] = decode_image) -> dict[str, object]:
    """Return what came of one file, from a child of this process."""
    read_end, write_end = os.pipe()
    child = os.fork()
    if child == 0:
        os.close(read_end)
        resource.setrlimit(resource.RLIMIT_CPU, (CPU_SEC, CPU_SEC))
        resource.setrlimit(resource.RLIMIT_AS, (ADDRESSES_BYTES, ADDRESSES_BYTES))
        before = resource.getrusage(resource.RUSAGE_SELF)
        record = _decode(path, decode)
        after = resource.getrusage(resource.RUSAGE_SELF)
        record["cpu_sec"] = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
        record["memory_mb"] = (after.ru_maxrss - before.ru_maxrss) / 1024
        os.write(write_end, json.dumps(record).encode())
        os._exit(0)
    os.close(write_end)
    with os.fdopen(read_end, "rb") as pipe:
        said = pipe.read()
    _, status, usage = os.wait4(child, 0)
    lost = {
        "outcome": "lost",
        "sentence": f"ended with status {status}",
        "memory_mb": usage.ru_maxrss / 1024,
    }
    record = json.loads(said) if said else {**lost, "cpu_sec": usage.ru_utime + usage.ru_stime}
    return {"name": path.name, **record}


def _decode(path: Path, decode: Callable[[Path], Image.Image]) -> dict[str, object]:
    try:
        image = decode(path)
        assert image.mode == "RGB"
        assert Preprocess()(image).shape == (3, 224, 224)
    except ImageError as error:
        return {"outcome": "refused", "sentence": str(error)}
    except BaseException as error:
        return {"outcome": "lost", "sentence": f"{type(error).__name__}: {error}"[:500]}
    return {"outcome": "photo", "sentence": ""}


if __name__ == "__main__":
    warnings.simplefilter("ignore")
    Image.init()
    way = ordinary if "--ordinary" in sys.argv else decode_image
    for file in sorted(Path(sys.argv[1]).iterdir()):
        if file.name != "expected.json":
            print(json.dumps(endure(file, way)), flush=True)
