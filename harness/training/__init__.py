"""One cell: adapt, train, evaluate, measure."""
