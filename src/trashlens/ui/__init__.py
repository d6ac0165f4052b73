"""The web page: one module per tab, and the page that joins them."""

from trashlens.ui.page import build_app

__all__ = ["build_app"]
