"""Walks of the official SDKs; each runs in a process of its own, with its SDK in front of the path."""
