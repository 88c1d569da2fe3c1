"""What people read: the README, and the pages of `docs`."""

from parity_tests.tests.support.paths import ROOT

README = (ROOT / "README.md").read_text(encoding="utf-8")

PAGES = {
    path.relative_to(ROOT).as_posix(): path.read_text(encoding="utf-8")
    for path in (ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md")))
}
"""The text of each page by its path."""

TEXT = "\n".join(PAGES.values())
"""All of them together."""
