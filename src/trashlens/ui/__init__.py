"""The web page: one module per tab, and the page that joins them."""

from trashlens.ui.page import build_page, launch_options

__all__ = ["build_page", "launch_options"]
