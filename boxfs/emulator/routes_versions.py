"""To come."""

from boxfs.emulator.dispatch import Routes

routes = Routes()
