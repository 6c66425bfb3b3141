"""A compressed BERT as a component of spaCy, and spaCy packages with one."""
