"""One registry class for every plug point: pipelines, strategies, providers, readers."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Generic, TypeVar

from workbench.errors import NotRegistered, nearest

T = TypeVar("T")


class Registry(Generic[T]):
    """Named things of one kind; an unknown name is answered with the names there are.

    >>> shapes = Registry[int]("shape")
    >>> _ = shapes.register("square", 4)
    >>> shapes.get("square")
    4
    >>> shapes.get("sqare")
    Traceback (most recent call last):
    workbench.errors.NotRegistered: no shape 'sqare'. Hint: did you mean 'square'?
    """

    def __init__(self, kind: str) -> None:
        """Start empty; `kind` is the word that errors use."""
        self.kind = kind
        self._members: dict[str, T] = {}

    def register(self, name: str, member: T) -> T:
        """Add a member and give it back."""
        self._members[name] = member
        return member

    def decorator(self, name: str) -> Callable[[T], T]:
        """Register what stands below."""
        return lambda member: self.register(name, member)

    def get(self, name: str) -> T:
        """Find a member; raises NotRegistered with the available names."""
        try:
            return self._members[name]
        except (KeyError, TypeError):
            raise NotRegistered(f"no {self.kind} {name!r}.", hint=nearest(str(name), self._members)) from None

    def __iter__(self) -> Iterator[str]:
        """Give the names in the order of registration."""
        return iter(self._members)

    def __contains__(self, name: object) -> bool:
        """Say whether the name is known."""
        return name in self._members
