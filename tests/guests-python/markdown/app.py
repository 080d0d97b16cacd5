"""Renders Markdown with a library that has never heard of components. The component has never heard of this host."""

from typing import List

import mistune
from componentize_py_types import Err
from wit_world.exports import Markdown as MarkdownExports
from wit_world.exports.markdown import Heading, Problem_Empty, Problem_TooLong

LONGEST = 10_000
HTML = mistune.create_markdown(plugins=["strikethrough", "table"])
TOKENS = mistune.create_markdown(renderer=None)


def plain(tokens: list) -> str:
    """The text of tokens, without its marks."""
    return "".join(token["raw"] if "raw" in token else plain(token.get("children", [])) for token in tokens)


class Markdown(MarkdownExports):
    def render(self, text: str) -> str:
        if not text:
            raise Err(Problem_Empty())
        if len(text) > LONGEST:
            raise Err(Problem_TooLong(len(text)))
        return HTML(text)

    def headings(self, text: str) -> List[Heading]:
        found = [token for token in TOKENS(text) if token["type"] == "heading"]
        return [Heading(token["attrs"]["level"], plain(token["children"])) for token in found]

    def crash(self) -> int:
        raise RuntimeError("a bug of the component's own")
