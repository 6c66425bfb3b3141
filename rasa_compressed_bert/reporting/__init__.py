"""Tables, figures, files of results and the description of a machine, for any measurement."""
