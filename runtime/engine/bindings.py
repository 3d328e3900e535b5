"""The bindings that an engine keeps, one a batch size."""

from __future__ import annotations

from typing import Protocol, TypeVar


class Closes(Protocol):
    """Anything with memory to give back."""

    def close(self) -> None:
        """Give it back; twice does no harm."""


B = TypeVar("B", bound=Closes)


class Bindings(dict[int, B]):
    """Binding by batch size."""

    def release(self, batch: int) -> bool:
        """Close that batch's binding and forget it; false when there was none."""
        if batch not in self:
            return False
        self.pop(batch).close()
        return True

    def close(self) -> None:
        """Close and forget them all."""
        for binding in self.values():
            binding.close()
        self.clear()
