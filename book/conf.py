"""Sphinx's settings of the book. ``book/make.py`` lays out the pages first, then calls Sphinx."""

from __future__ import annotations

import sys
from pathlib import Path

BOOK = Path(__file__).resolve().parent
sys.path[:0] = [str(BOOK), str(BOOK.parent)]

from wmbook import places  # noqa: E402

import wmlearn  # noqa: E402

project = "World models"
author = copyright = "The wmlearn authors"
release = wmlearn.__version__
language = "en"
root_doc = "index"

extensions = [
    "myst_nb",
    "sphinx_design",
    "sphinx.ext.autodoc",
    "sphinx.ext.napoleon",
    "sphinx.ext.mathjax",
    "sphinxcontrib.bibtex",
    "wmbook.sphinx_parts",
]
exclude_patterns = ["**/.ipynb_checkpoints", "jupyter_execute"]

# Notebooks: what is stored in them is shown, nothing is run.
nb_execution_mode = "off"
nb_mime_priority_overrides = [("*", "text/html", 0)]
nb_number_source_lines = False
nb_code_prompt_show = "Show the setup cell"
nb_code_prompt_hide = "Hide the setup cell"
myst_enable_extensions = [
    "amsmath",
    "attrs_block",
    "attrs_inline",
    "colon_fence",
    "deflist",
    "dollarmath",
    "html_image",
]
myst_heading_anchors = 4
myst_dmath_double_inline = True
# one class name may stand in two modules; MyST adds a class of its own to MathJax's
suppress_warnings = ["ref.python", "myst.mathjax"]

bibtex_bibfiles = ["references.bib"]
bibtex_default_style = "unsrt"
bibtex_reference_style = "author_year"

autodoc_member_order = "bysource"
autodoc_typehints = "signature"
autodoc_typehints_format = "short"
autodoc_preserve_defaults = True
autodoc_inherit_docstrings = False  # Lightning's and Gymnasium's own are on their sites
napoleon_use_ivar = True
napoleon_numpy_docstring = False
add_module_names = False

# No page asks another server for anything.
mathjax_path = "vendor/mathjax/tex-chtml.js"
mathjax3_config = {
    "tex": {"inlineMath": [["\\(", "\\)"]], "displayMath": [["\\[", "\\]"]]},
    "options": {"enableMenu": False, "processHtmlClass": "tex2jax_process|mathjax_process|math"},
}
nb_ipywidgets_js = {}

html_theme = "sphinx_book_theme"
html_title = "World models"
html_static_path = [str(BOOK / "static")]
html_css_files = ["book.css"]
html_js_files = [("book.js", {"defer": "defer"})]
html_favicon = str(BOOK / "static/icon.svg")
html_show_sourcelink = False
html_copy_source = False
html_domain_indices = False  # the index of modules repeats the API's first page
html_last_updated_fmt = None
html_context = {"default_mode": "auto"}
html_theme_options = {
    "logo": {
        "text": "World models",
        "image_light": "_static/icon.svg",
        "image_dark": "_static/icon.svg",
    },
    "navbar_persistent": [],
    "use_download_button": False,
    "use_fullscreen_button": False,
    "use_source_button": False,
    "home_page_in_toc": False,
    "show_navbar_depth": 1,
    "show_toc_level": 2,
    "toc_title": "On this page",
    "pygments_light_style": "a11y-high-contrast-light",
    "pygments_dark_style": "a11y-high-contrast-dark",
    "repository_url": places.address(),
    "use_repository_button": bool(places.address()),
    "use_issues_button": bool(places.address()),
}
