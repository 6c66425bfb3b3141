"""Views of a message: several ways to predict its intent, and the confidences derived from them."""
