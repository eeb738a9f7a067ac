"""What stands around the functions on one machine: `local/`."""
