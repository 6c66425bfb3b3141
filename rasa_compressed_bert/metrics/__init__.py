"""Metrics of predictions and of their confidences."""
