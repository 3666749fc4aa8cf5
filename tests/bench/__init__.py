"""Measurements: run by hand, asserted nowhere."""
