"""What listens to the loop; importing this package imports nothing else."""
