"""What the tests of options share."""

_WORDS = {None: "null", True: "true", False: "false"}


def shown(value):
    """A value as messages to users have it: in the words of YAML."""
    return _WORDS[value] if value is None or isinstance(value, bool) else repr(value)
