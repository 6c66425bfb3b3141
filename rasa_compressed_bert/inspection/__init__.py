"""What is inside of a trained model, and which of its parts bear compression."""
