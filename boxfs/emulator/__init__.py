"""A local Box: an HTTP server written from the API reference. Imports nothing else of boxfs."""
