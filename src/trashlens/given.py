"""The names in a folder of feedback, which the server writes and training reads."""

__all__ = ["METADATA_FILE", "NONE"]

METADATA_FILE = "metadata.jsonl"
"""A line of JSON for each photo in the folders beside it."""
NONE = "none"
"""The label of what belongs to no class, or is no waste: kept, never trained on."""
