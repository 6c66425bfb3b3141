"""Comparison of trained Rasa models."""
