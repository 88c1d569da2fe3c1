"""A run as one page for people, complete in itself: nothing is fetched, and its policy forbids that anything be.

What a name holds is shown and never obeyed: everything is escaped, and of scripts and styles only those with the
digests in the policy take effect.
"""

import base64
import hashlib
from functools import lru_cache
from importlib.resources import files
from typing import TYPE_CHECKING, Any

from parity_tests.report import colours, effects
from parity_tests.report.overview import facts, ladder
from parity_tests.report.pictures import DRAWN, pictures
from parity_tests.report.plots import LEFT, RIGHT, WIDTH, trainings
from parity_tests.report.records_data import records_data
from parity_tests.report.tree import modes_of, module_tree
from parity_tests.rule.divergence import divergence
from parity_tests.rule.printable import printable_lines
from parity_tests.rule.result import Result

if TYPE_CHECKING:
    from jinja2 import Environment

STYLES = ("page.css", "parts.css")
SCRIPTS = ("records.js", "table.js", "heat.js")
"""In the order in which they run, as one script."""


def as_html(result: Result) -> str:
    """The run as a page that opens from a file; sections without data are left out."""
    style, script = (_joined(names) for names in (STYLES, SCRIPTS))
    page = _environment().get_template("page.html.j2")
    text = page.render(
        result=result,
        style=style,
        script=script,
        policy=_policy(style, script),
        **_run(result),
        **_sections(result),
    )
    return text.encode("utf-8", "replace").decode()


def _run(result: Result) -> dict[str, Any]:
    """What stands on top."""
    alone = result.is_ablation
    parting = divergence(result.records)
    return {
        "alone": alone,
        "verdict": None if alone else result.verdict,
        "summary": result.summary if alone else result.claim,
        "facts": facts(result),
        "first": parting.first if parting else None,
        "ladder": ladder(result.records),
    }


def _sections(result: Result) -> dict[str, Any]:
    """What each section is drawn from; empty where there is nothing to draw."""
    return {
        "modes": modes_of(result.records),
        "tree": module_tree(result),
        "trainings": trainings(result.records),
        "pictures": pictures(result.examples),
        "changed": effects.changed(result.ablation) if result.ablation else [],
        "seen_at": effects.seen_at(result.ablation) if result.ablation else [],
        "data": records_data(result) if result.records else None,
    }


@lru_cache(maxsize=1)
def _environment() -> "Environment":
    from jinja2 import Environment, PackageLoader, StrictUndefined  # the other formats do not need it

    environment = Environment(
        loader=PackageLoader("parity_tests.report"),
        autoescape=True,
        undefined=StrictUndefined,
        finalize=_printable,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.policies["json.dumps_kwargs"] = {"separators": (",", ":")}
    environment.globals |= {
        "marks": colours.MARKS,
        "share_legend": colours.LEGEND,
        "effect_legend": effects.LEGEND,
        "effect_headings": list(effects.EFFECTS.values()),
        "plot": {"width": WIDTH, "left": LEFT, "right": WIDTH - RIGHT},
        "drawn": DRAWN,
    }
    return environment


def _printable(value: Any) -> Any:
    """What is put into the page; a part of it that is made already stays one."""
    return type(value)(printable_lines(value)) if isinstance(value, str) else value


def _joined(names: tuple[str, ...]) -> str:
    """Files of the page as one, as it stands between its tags."""
    folder = files("parity_tests.report") / "templates"
    return "\n" + "\n".join((folder / name).read_text(encoding="utf-8") for name in names)


def _policy(style: str, script: str) -> str:
    """The content security policy: pictures from the page itself, this style, this script, and nothing else."""
    digests = [base64.b64encode(hashlib.sha256(text.encode()).digest()).decode() for text in (style, script)]
    allowed = f"style-src 'sha256-{digests[0]}'; script-src 'sha256-{digests[1]}'"
    return f"default-src 'none'; img-src data:; {allowed}; base-uri 'none'; form-action 'none'"
