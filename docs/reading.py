"""How griffe, which mkdocstrings reads the sources with, is to take two habits of this package."""

import re
from dataclasses import fields
from typing import Any

import griffe

SHAPED = {"Bool", "Float", "Int", "Shaped", "UInt8"}
"""jaxtyping's names: the second part of what stands in their brackets is a shape, not Python."""


class Habits(griffe.Extension):
    """Shapes stay the strings they are, and `<name>` in a docstring is text, not HTML."""

    def on_object(self, *, obj: griffe.Object, **_: Any) -> None:
        if obj.docstring is not None:
            obj.docstring.value = escaped(obj.docstring.value)
        if isinstance(obj, griffe.Function):
            keep_shapes(obj.returns)
            for parameter in obj.parameters:
                keep_shapes(parameter.annotation)
        elif isinstance(obj, griffe.Attribute):
            keep_shapes(obj.annotation)


def escaped(docstring: str) -> str:
    """The docstring with `<` before a letter escaped, but in code."""
    lines = []
    for line in docstring.split("\n"):
        parts = line.split("`")
        if not line.startswith("    "):  # a formula, which Markdown shows as it is
            parts[::2] = [re.sub(r"<(?=[A-Za-z/])", "&lt;", part) for part in parts[::2]]
        lines.append("`".join(parts))
    return "\n".join(lines)


def keep_shapes(expression: Any) -> None:
    """Turn the shapes in an annotation, which griffe parsed like forward references, back into strings."""
    if isinstance(expression, list | tuple):
        for part in expression:
            keep_shapes(part)
    elif isinstance(expression, griffe.Expr):
        if isinstance(expression, griffe.ExprSubscript) and expression.left.canonical_name in SHAPED:
            inner = expression.slice
            shape = str(inner.elements[-1]) if isinstance(inner, griffe.ExprTuple) else ""
            if shape and not shape.startswith(("'", '"')):
                inner.elements = [*inner.elements[:-1], f'"{shape.replace(" * ", " *")}"']
        for field in fields(expression):
            if field.name != "parent":
                keep_shapes(getattr(expression, field.name))
