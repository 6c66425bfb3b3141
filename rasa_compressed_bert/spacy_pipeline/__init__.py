"""A compressed BERT as a spaCy component, and spaCy packages that contain it."""
