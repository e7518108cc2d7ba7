"""What a cell will cost, computed before it runs."""
