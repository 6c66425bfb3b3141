"""Trained Rasa models side by side, and what is inside them."""
