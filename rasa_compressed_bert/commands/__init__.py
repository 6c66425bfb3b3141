"""The sub-commands of the command line, a module each: `add` says what one takes, `run` does it."""
