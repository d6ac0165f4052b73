"""The command line: `trashlens COMMAND`."""

import logging
import os
import sys
import warnings
from collections.abc import Sequence

from jsonargparse import set_parsing_settings
from PIL import Image

from trashlens.commands import COMMANDS
from trashlens.errors import TrashlensError

__all__ = ["main"]


def main(argv: Sequence[str] | None = None) -> int:
    """Run a command; return its exit code: 0, or 2 with one sentence on stderr when the input is bad."""
    logging.basicConfig(level=logging.WARNING, format="%(message)s")
    # The Hub's client announces each of its retries; the sentence at the end says it once.
    logging.getLogger("huggingface_hub").setLevel(logging.CRITICAL)
    # Of several training processes only the first one reports.
    first = os.environ.get("RANK", "0") == "0"
    logging.getLogger("trashlens").setLevel(logging.INFO if first else logging.WARNING)
    # decode_image refuses large images in a sentence; Pillow's own warning names a path of the installation.
    warnings.simplefilter("ignore", Image.DecompressionBombWarning)
    # Settings explain themselves by the docstrings beside them.
    set_parsing_settings(docstring_parse_attribute_docstrings=True)
    arguments = list(sys.argv[1:] if argv is None else argv)
    if not arguments or arguments[0] not in COMMANDS:
        return _print_usage(arguments)
    try:
        return COMMANDS[arguments[0]](arguments[1:])
    except BrokenPipeError:
        # The reader has seen enough (`| head`); what Python still wants to flush goes nowhere.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 141
    except KeyboardInterrupt:
        print("\nInterrupted.", file=sys.stderr)
        return 130
    except (TrashlensError, OSError, ModuleNotFoundError) as error:
        print(f"trashlens {arguments[0]}: {_explain(error, arguments[0])}", file=sys.stderr)
        return 2


def _explain(error: Exception, command: str) -> str:
    """Return the sentence that a user sees for an error of a command."""
    if isinstance(error, ModuleNotFoundError):
        packages = "" if command in ("predict", "benchmark") else " --categories 'packages train'"
        return f"the package {error.name} is missing. Install what this needs: pipenv sync{packages}"
    if isinstance(error, OSError):
        return f"{error.filename or 'A file'} cannot be read or written: {error.strerror or error}."
    return str(error)


def _print_usage(arguments: Sequence[str]) -> int:
    asked = bool(arguments) and arguments[0] in ("-h", "--help")
    lines = ["usage: trashlens COMMAND [OPTIONS]", "", "commands:"]
    width = max(map(len, COMMANDS)) + 2
    lines += [f"  {name:<{width}}{command.__doc__}" for name, command in COMMANDS.items()]
    lines += ["", "`trashlens COMMAND --help` explains a command's options."]
    if arguments and not asked:
        lines = [f"trashlens: there is no command {arguments[0]}.", "", *lines]
    print("\n".join(lines), file=sys.stdout if asked else sys.stderr)
    return 0 if asked else 2


if __name__ == "__main__":
    sys.exit(main())
