"""Multi-objective search over the options of a component."""
