"""Sphinx's configuration: ``nox -s docs`` builds the pages."""

from vmsvc import __version__

project = "vmsvc"
author = "the vmsvc authors"
version = release = __version__

extensions = ["myst_parser"]
myst_heading_anchors = 3
exclude_patterns = ["_build"]

html_theme = "furo"
html_title = f"vmsvc {version}"
html_copy_source = False
nitpicky = True
