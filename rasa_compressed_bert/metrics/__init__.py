"""How right answers are, and how well confidences say so."""
