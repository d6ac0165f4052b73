"""Where a bundle can be found: written into its record by who puts it there or takes it from there.

The graph, by whose hash a bundle is known, stays as it is.
"""

import json
from collections.abc import Mapping
from typing import Any

__all__ = ["note_place"]


def note_place(record: bytes, **places: Mapping[str, Any]) -> bytes:
    """Return a bundle.json whose provenance names the model page `hub`, or the `artifact` in W&B."""
    noted = json.loads(record)
    noted["provenance"] = {**noted["provenance"], **places}
    return f"{json.dumps(noted, indent=2, ensure_ascii=False)}\n".encode()
