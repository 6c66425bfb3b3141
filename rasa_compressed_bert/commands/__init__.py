"""The sub-commands of the command line, one module each: `add` declares the arguments, `run` executes the command."""
