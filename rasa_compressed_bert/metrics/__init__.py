"""Scores of predictions, and of their confidences."""
