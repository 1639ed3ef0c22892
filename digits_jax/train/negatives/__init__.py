"""Pictures without a digit, to train against."""
