"""matplotlib's SVG, made fit for a page with many plots, two themes and a strict security policy.

The markup carries no style sheet and no `style` attribute, its colours are the page's CSS variables,
so that one drawing serves the light and the dark theme, its ids are unique in the page, and its text
stays text in the page's own font.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass

__all__ = ["COLOURS", "Frame", "inlined"]

#: Colours of the light theme, by the CSS variable that replaces each in the page. All differ.
COLOURS: Mapping[str, str] = {
    "approve": "#8fa3b8",
    "reduce": "#d9920a",
    "reject": "#b3261e",
    "head": "#0b5cad",
    "band": "#a9c9ea",
    "base": "#6b5b95",
    "limit": "#c62828",
    "strong": "#12161c",
    "ink": "#3d4653",
    "rule": "#d5dae1",
}


@dataclass(frozen=True, slots=True)
class Frame:
    """Size of a drawing in CSS pixels, and how many ticks of time fit on it."""

    name: str
    width: int
    height: int
    ticks: int


_VARIABLES = {colour: f"var(--{name},{colour})" for name, colour in COLOURS.items()}


def inlined(svg: str, key: str, frame: Frame) -> str:
    """Turn matplotlib's SVG document into markup that goes into a page.

    Args:
        svg: The document, saved with `svg.fonttype` none and in colours of `COLOURS`.
        key: Unique in the page; letters, digits and dashes. Prefixes every id.
        frame: Size of the drawing and the class that the page shows or hides it by.
    """
    svg = svg[svg.index("<svg") :].strip()
    svg = re.sub(r"<style.*?</style>", "", svg, flags=re.DOTALL)
    svg = re.sub(r"<metadata>.*?</metadata>", "", svg, flags=re.DOTALL)
    svg = re.sub(r' style="([^"]*)"', _attributes, svg)
    svg = re.sub(r"#[0-9a-f]{6}\b", lambda found: _VARIABLES.get(found.group(), found.group()), svg)
    svg = re.sub(r' d="([^"]*)"', _rounded, svg)
    svg = re.sub(r' transform="rotate\(-?0 [^"]*\)"', "", svg)
    # Ids must be unique in the page; those that nothing refers to can go.
    used = set(re.findall(r"#([\w.-]+)[)\"]", svg))
    svg = re.sub(
        r' id="([^"]+)"',
        lambda found: f' id="{key}-{found.group(1)}"' if found.group(1) in used else "",
        svg,
    )
    svg = re.sub(r"(url\(|href=\")#([\w.-]+)", rf"\1#{key}-\2", svg)
    svg = re.sub(r">\s+<", "><", svg)
    opening = (
        f'<svg xmlns="http://www.w3.org/2000/svg" xmlns:xlink="http://www.w3.org/1999/xlink" '
        f'class="plot {frame.name}" width="{frame.width}" height="{frame.height}" '
        f'viewBox="0 0 {frame.width} {frame.height}" aria-hidden="true" focusable="false">'
    )
    return re.sub(r"^<svg[^>]*>", opening, svg)


def _attributes(found: re.Match[str]) -> str:
    """Turn the declarations of a `style` attribute into presentation attributes."""
    out = []
    for declaration in found.group(1).split(";"):
        name, _, value = (part.strip() for part in declaration.partition(":"))
        if name and name != "font-family":  # the page's font
            out.append(f' {name}="{value}"')
    return "".join(out)


def _rounded(found: re.Match[str]) -> str:
    """Return a path in tenths of a pixel, with level and upright steps written as such.

    A quarter of the size, and nothing that can be seen: the plots are made of steps.
    """
    words = found.group(1).split()
    if not set(re.findall(r"[A-Za-z]", found.group(1))) <= set("MLz"):
        return f' d="{" ".join(words)}"'
    out: list[str] = []
    here = ("", "")
    position = 0
    while position < len(words):
        if words[position] == "z":
            out.append("z")
            position += 1
            continue
        to = (_tenths(words[position + 1]), _tenths(words[position + 2]))
        out.append(_step(words[position], here, to))
        here = to
        position += 3
    return f' d="{"".join(out)}"'


def _step(command: str, here: tuple[str, str], to: tuple[str, str]) -> str:
    if command == "M":
        return f"M{to[0]} {to[1]}"
    if here == to:
        return ""
    if here[1] == to[1]:
        return f"H{to[0]}"
    return f"V{to[1]}" if here[0] == to[0] else f"L{to[0]} {to[1]}"


def _tenths(number: str) -> str:
    return f"{float(number):.1f}".removesuffix(".0")
