"""Local state on disk: what must never be lost, and what may be dropped. Knows no Box and no FUSE."""
