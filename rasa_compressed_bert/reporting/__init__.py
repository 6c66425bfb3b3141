"""Tables, plots, files of results and a description of the machine, for any measurement."""
