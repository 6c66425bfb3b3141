"""What is inside a trained model, and how sensitive its parts are to compression."""
