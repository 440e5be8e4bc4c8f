"""The command line; importing this package imports nothing else."""
