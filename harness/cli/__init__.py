"""The command `bench-long`."""
