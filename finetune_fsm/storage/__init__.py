"""What reaches the disk, and how it survives; importing this package imports nothing else.

files    a text written whole or not at all
journal  lines that are only ever added, each checksummed and on the disk before it counts
lock     one process at a time, freed by the system however it dies

All of it goes through `os` alone (open, write, fsync, replace, ftruncate), so that tests can kill
the process, or fail the disk, at every single operation.
"""
