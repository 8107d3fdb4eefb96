"""Data: episodes on disk (``episodes``), ``record``, clips for training (``datamodule``)."""
