"""The tasks that come with bench-long, one file each."""
