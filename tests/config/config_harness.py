"""A helper of the tests of options."""

_WORDS = {None: "null", True: "true", False: "false"}


def shown(value):
    """A value as messages to users show it: in YAML syntax."""
    return _WORDS[value] if value is None or isinstance(value, bool) else repr(value)
