"""What a cell is, what came of it, and its files. Imports no other package of ours, no torch."""
