"""POSIX cases by subject; tests/mount/posix_cases.py gathers them."""
