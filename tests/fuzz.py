"""Coverage-guided fuzzing of `decode_image`, on Linux: `pipenv run fuzz --minutes 10`.

libFuzzer, through atheris, changes the small files of the hostile corpus, keeps what reaches new lines of Pillow's
plugins or of ours, and changes that again. Anything but an image or an `ImageError` is a finding, and so are
2 seconds or `MEMORY_MB`; the input is kept in `--findings`. The last line sums up.
"""

import contextlib
import math
import re
import subprocess
import sys
import tempfile
import warnings
from pathlib import Path

from jsonargparse import ArgumentParser
from jsonargparse.typing import NonNegativeInt, PositiveFloat

__all__ = ["fuzz", "main"]

MAX_BYTES = 4096
"""Longest input, bytes: what larger files add is size, and that the corpus covers."""
MEMORY_MB = 600
"""Resident memory of the whole process: the interpreter, the kept inputs, and 300 MB of decoding."""
TIMEOUT_SEC = 2
PLUGINS = ("Jpeg", "Mpo", "Png", "WebP", "Gif", "Bmp", "Tiff", "Avif")


def main() -> int:
    """Run the fuzzer in a process of its own, which libFuzzer ends at will, and sum up what it said."""
    parser = ArgumentParser(prog="fuzz", description=__doc__)
    parser.add_argument(
        "--minutes", type=PositiveFloat, default=10.0, help="how long, a second at least"
    )
    findings = Path(tempfile.gettempdir()) / "trashlens-findings"
    parser.add_argument(
        "--findings", type=Path, default=findings, help="folder for inputs that are findings"
    )
    parser.add_argument("--seed", type=NonNegativeInt, default=0, help="0 takes another one each time")
    settings = parser.parse_args()
    settings.findings.mkdir(parents=True, exist_ok=True)
    before = set(settings.findings.iterdir())
    with tempfile.TemporaryDirectory() as folder:
        seeds = write_seeds(Path(folder))
        command = [
            *(sys.executable, __file__, "--inner", folder),
            *(f"-max_total_time={math.ceil(settings.minutes * 60)}", f"-seed={settings.seed}"),
            *(f"-max_len={MAX_BYTES}", f"-timeout={TIMEOUT_SEC}", f"-rss_limit_mb={MEMORY_MB}"),
            *(f"-artifact_prefix={settings.findings}/", "-print_final_stats=1"),
        ]
        with subprocess.Popen(command, stderr=subprocess.PIPE, text=True, errors="replace") as process:
            executions = features = "0"
            # Ctrl-C reaches libFuzzer as well, which then sums up.
            with contextlib.suppress(KeyboardInterrupt):
                for line in process.stderr:
                    sys.stderr.write(line)
                    if found := re.match(r"#(\d+)\s.*cov: (\d+)", line):
                        executions, features = found.groups()
    findings = sorted(set(settings.findings.iterdir()) - before)
    print(
        f"fuzz: {int(executions):,} executions from {seeds} seeds in {settings.minutes:g} minutes, "
        f"{int(features):,} branches of Python reached, {len(findings)} findings {[p.name for p in findings]}"
    )
    return 1 if findings or process.returncode else 0


def write_seeds(folder: Path) -> int:
    """Write the corpus's small files and return how many there are."""
    # In another process: what the large files took would count as the fuzzer's memory.
    script = Path(__file__).with_name("hostile.py")
    subprocess.run([sys.executable, str(script), str(folder)], check=True, stdout=subprocess.DEVNULL)
    for path in folder.iterdir():
        if path.stat().st_size > MAX_BYTES or path.suffix == ".json":
            path.unlink()
    return len(list(folder.iterdir()))


def fuzz(arguments: list[str]) -> None:
    """Hand the decoder to libFuzzer, which never returns."""
    import atheris

    warnings.simplefilter("ignore")
    with atheris.instrument_imports(include=["PIL", "trashlens.image"]):
        from PIL import Image

        for plugin in PLUGINS:
            __import__(f"PIL.{plugin}ImagePlugin")
        from trashlens.errors import ImageError
        from trashlens.image import Preprocess, decode_image
    Image.preinit()
    preprocess = Preprocess()

    def one_input(data: bytes) -> None:
        try:
            image = decode_image(data)
        except ImageError:
            return
        assert image.mode == "RGB"
        preprocess(image)

    atheris.Setup([sys.argv[0], *arguments], one_input)
    atheris.Fuzz()


if __name__ == "__main__":
    if "--inner" in sys.argv:
        fuzz([argument for argument in sys.argv[1:] if argument != "--inner"])
    raise SystemExit(main())
