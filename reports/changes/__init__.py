"""What changed between two runs: settings, scores, costs, and cells that one of them lacks."""
