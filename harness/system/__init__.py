"""This machine: its processors and memory, processes, temporary folders."""
