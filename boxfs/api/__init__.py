"""Box over HTTP: transport, authentication, typed calls. Knows no inode and no FUSE."""
