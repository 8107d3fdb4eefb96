"""Makes the book's pages from the repository: what ``book/make.py`` and ``book/conf.py`` use."""
