"""Data: episodes on disk (``episodes``), recording (``record``), clips for training (``datamodule``)."""
