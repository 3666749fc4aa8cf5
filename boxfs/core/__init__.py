"""The file system, in inodes: what the mount shows and how it meets Box. Knows no HTTP and no libfuse."""
