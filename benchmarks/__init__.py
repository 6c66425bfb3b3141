"""Scripts that measure the published figures, see README.md."""
