"""Execute Modelling.ipynb: `pipenv run notebook` renews its outputs, the tests run it on toy data."""

import os
import sys
from collections.abc import Mapping
from pathlib import Path

import nbformat
from nbclient import NotebookClient
from nbformat import NotebookNode

ROOT = Path(__file__).parents[1]
NOTEBOOK = ROOT / "Modelling.ipynb"
TIMEOUT_SEC = 1800


def execute(environment: Mapping[str, str]) -> tuple[NotebookNode, str]:
    """Return the notebook with fresh outputs, and what its cells wrote to stderr.

    Progress bars go there: a reader watches them, the committed notebook is better off without.
    """
    notebook = nbformat.read(NOTEBOOK, as_version=4)
    resources = {"metadata": {"path": str(ROOT)}}
    client = NotebookClient(notebook, timeout=TIMEOUT_SEC, resources=resources, record_timing=False)
    client.execute(env={**os.environ, **environment})
    errors = []
    for cell in notebook.cells:
        if cell.cell_type == "code":
            is_error = [output.get("name") == "stderr" for output in cell.outputs]
            errors += [o.text for o, said in zip(cell.outputs, is_error, strict=True) if said]
            cell.outputs = [o for o, said in zip(cell.outputs, is_error, strict=True) if not said]
    # The exact Python of whoever ran it last is no part of the notebook.
    notebook.metadata.language_info = {"name": "python"}
    return notebook, "".join(errors)


if __name__ == "__main__":
    executed, said = execute({})
    nbformat.write(executed, NOTEBOOK)
    sys.stderr.write(said)
