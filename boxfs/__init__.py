"""boxfs: a Box account as a local drive on Linux, and a Python client for Box."""

__version__ = "0.1.0"
