"""What makes the published figures, see README.md."""
