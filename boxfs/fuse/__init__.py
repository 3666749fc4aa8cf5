"""The mount: requests of the kernel, by way of libfuse 3, to `Files` of boxfs/core/interface.py and back.

library.py       finds libfuse 3 and mfusepy; nothing else imports them.  Importing boxfs.fuse needs neither.
layout.py        C structures to bytes
binding.py       libfuse's callbacks: C arguments to Python values, results to replies
operations.py    what each request means to the core
folders.py       open folders: snapshots, offsets, what is fresh enough for the kernel to keep
invalidation.py  tells the kernel what changed elsewhere
mountpoint.py    looks at, cleans and detaches mount points
crew.py          the workers; interrupts.py: who of those that wait for an answer is to be let go
session.py       mounts, hears signals, unmounts
"""
