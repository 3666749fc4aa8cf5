"""Tokens and the ways to get them."""
