"""Views of a message: several ways to tell its intent, and how sure one may be."""
