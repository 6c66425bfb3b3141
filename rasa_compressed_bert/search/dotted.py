"""Options by dotted names, as in `pruning.final_sparsity`, and as the sections of a config.yml."""

from __future__ import annotations

from typing import Any, Dict, Mapping


def nested(options: Mapping[str, Any]) -> Dict[str, Any]:
    """Turns dotted names into sections, as in a config.yml: `{"pruning.method": 1}` to `{"pruning": {"method": 1}}`."""
    result: Dict[str, Any] = {}
    for name, value in options.items():
        *parents, last = name.split(".")
        inner = result
        for parent in parents:
            inner = inner.setdefault(parent, {})
        inner[last] = value
    return result


def flat(options: Mapping[str, Any], *, above: str = "") -> Dict[str, Any]:
    """Turns sections into dotted names: `{"pruning": {"method": 1}}` to `{"pruning.method": 1}`."""
    result: Dict[str, Any] = {}
    for name, value in options.items():
        own = flat(value, above=f"{above}{name}.") if isinstance(value, Mapping) else {f"{above}{name}": value}
        result.update(own)
    return result


def with_text_names(value: Any) -> Any:
    """A value of YAML in which all names of maps are texts, as in JSON: there, they may be numbers or dates."""
    if isinstance(value, Mapping):
        return {str(name): with_text_names(inner) for name, inner in value.items()}
    return [with_text_names(inner) for inner in value] if isinstance(value, (list, tuple)) else value


def merged(base: Mapping[str, Any], options: Mapping[str, Any]) -> Dict[str, Any]:
    """The options of a config.yml, some of them replaced by other ones, which have dotted names."""
    result = {key: dict(value) if isinstance(value, Mapping) else value for key, value in base.items()}
    for name, value in nested(options).items():
        old = result.get(name)
        result[name] = {**(old if isinstance(old, Mapping) else {}), **value} if isinstance(value, dict) else value
    return result
