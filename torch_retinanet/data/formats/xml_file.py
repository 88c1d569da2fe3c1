"""An XML decoded whole, without what XML can do to a reader."""

import re
from pathlib import Path
from xml.etree.ElementTree import Element, ParseError

from defusedxml.ElementTree import fromstring

from torch_retinanet.errors import InputError
from torch_retinanet.git_lfs import read_content

ENCODING = re.compile(rb"""^<\?xml[^>]*?encoding\s*=\s*["']([A-Za-z0-9._-]+)""")
"""What the first line of an XML says of its encoding."""


def read_xml(path: Path) -> Element:
    """The root of an XML.

    Raises:
        InputError: for a file that is not whole XML, or defines entities.
        OSError: for a file that cannot be read.
    """
    content = read_content(path)
    try:
        root: Element = fromstring(_text(content))
    except (ParseError, ValueError, LookupError, RecursionError) as error:
        raise InputError(f"{path}: must be whole XML without entities ({error})") from None
    return root


def _text(content: bytes) -> str | bytes:
    """The content, decoded where it declares an encoding that the parser may not know, as GB2312 or Big5."""
    declared = ENCODING.match(content)
    if declared is None or declared[1].lower().startswith(b"utf"):
        return content
    return content.decode(declared[1].decode("ascii"))
