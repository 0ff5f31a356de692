"""The figures: pure functions from arrays and cases to Matplotlib figures, one module per figure."""
