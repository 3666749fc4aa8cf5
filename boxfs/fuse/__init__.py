"""The door to libfuse: POSIX calls to operations of the core, mount, signals, invalidation."""
