"""What a run is shown as: tables for people, JSON and JUnit for programs, a page for both; all from one `Result`."""

from collections.abc import Callable

from parity_tests.report.github import annotations
from parity_tests.report.html import as_html
from parity_tests.report.json_file import as_json, read_json
from parity_tests.report.junit import as_junit
from parity_tests.report.terminal import print_report
from parity_tests.rule.result import Result

AS: dict[str, Callable[[Result], str]] = {"json": as_json, "html": as_html, "junit": as_junit}
"""What makes the text of each format."""

__all__ = ["AS", "annotations", "as_html", "as_json", "as_junit", "print_report", "read_json"]
