"""An XML decoded whole, without what XML can do to a reader."""

from pathlib import Path
from xml.etree.ElementTree import Element, ParseError

from defusedxml.ElementTree import fromstring

from torch_retinanet.errors import InputError
from torch_retinanet.git_lfs import read_content


def read_xml(path: Path) -> Element:
    """The root of an XML.

    Raises:
        InputError: for a file that is not whole XML, or defines entities.
        OSError: for a file that cannot be read.
    """
    content = read_content(path)
    try:
        root: Element = fromstring(content)
    except (ParseError, ValueError, LookupError, RecursionError) as error:
        raise InputError(f"{path}: must be whole XML without entities ({error})") from None
    return root
