"""The Hub's token in HF_TOKEN: read with care, and never told."""

import os

__all__ = ["hide_token", "read_token"]


def read_token() -> str:
    """Return the token, or nothing where none is set.

    Raises:
        ValueError: it has characters that no token has; a sentence.
    """
    token = os.environ.get("HF_TOKEN", "").strip()
    # Such a token fails only deep in the HTTP client, whose message would spell it out.
    if not (token.isascii() and token.isprintable()) or " " in token:
        raise ValueError("HF_TOKEN has characters that no token has. Copy it again.")
    return token


def hide_token(text: str) -> str:
    """Return the text without the token, should the Hub or a library have repeated it."""
    token = os.environ.get("HF_TOKEN", "").strip()
    return text.replace(token, "***") if token else text
