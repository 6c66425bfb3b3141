"""Trained Rasa models side by side."""
