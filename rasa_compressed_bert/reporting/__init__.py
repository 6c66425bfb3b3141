"""Tables, figures, files of results and the description of a machine; nothing here knows what is measured."""
