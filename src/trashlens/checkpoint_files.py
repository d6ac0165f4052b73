"""What a checkpoint's files are called, for those who move them without torch."""

__all__ = ["CHECKPOINT_FILES", "RECORD_FILE", "WEIGHTS_FILE"]

WEIGHTS_FILE = "model.safetensors"
RECORD_FILE = "checkpoint.json"
CHECKPOINT_FILES = (WEIGHTS_FILE, RECORD_FILE)
"""What a checkpoint is without the traces of its training."""
