"""Names in plots: matplotlib takes `$` for the beginning of a formula, and a label that begins with `_` for none."""

from torch_retinanet.terminal import printable


def plotted(name: str) -> str:
    """A name as matplotlib shows it letter by letter, with escapes in place of control characters."""
    shown = printable(name).replace("$", r"\$")
    return f" {shown}" if shown.startswith("_") else shown
