"""The console that tables are printed on."""

from collections.abc import Iterable
from typing import Any

from rich.console import Console, ConsoleOptions, RenderableType
from rich.segment import Segment
from rich.text import Text

from torch_retinanet.terminal import printable_lines


class TableConsole(Console):
    """A console on which names that files hold are shown as `printable` has them.

    Args:
        width: letters in a line where the output is no terminal.
    """

    def __init__(self, width: int) -> None:
        super().__init__(highlight=False)
        if not self.is_terminal:
            self.width = width

    def render_str(self, text: str, **how: Any) -> Text:
        """A cell, before its width is measured."""
        return super().render_str(printable_lines(text), **how)

    def render(self, renderable: RenderableType, options: ConsoleOptions | None = None) -> Iterable[Segment]:
        """Whatever else is printed, as a `Text`; codes of rich's own are controls, or styles."""
        for segment in super().render(renderable, options):
            yield segment if segment.control else Segment(printable_lines(segment.text), segment.style)

    def on_broken_pipe(self) -> None:
        """A reader who goes away is left to the command; rich would end it with 1."""
        raise BrokenPipeError
