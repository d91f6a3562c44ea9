"""Bars with their intervals, as SVG."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from html import escape

WIDTH, ROW, LEFT, RIGHT, TOP = 800, 22, 290, 90, 34  # pixels
COLOURS = ("#2f6f9f", "#c1742c", "#7a7a7a", "#5b8c3a")


@dataclass(frozen=True)
class Bar:
    group: str
    label: str
    value: float
    low: float
    high: float
    shown: str  # the value as it is written


def bars(title: str, found: Sequence[Bar]) -> str:
    """A group's bars are drawn to the scale of its longest, each label in a colour of its own."""
    groups = list(dict.fromkeys(bar.group for bar in found))
    colours = dict(zip(dict.fromkeys(bar.label for bar in found), COLOURS * len(found), strict=False))
    height = TOP + ROW * (len(found) + len(groups)) + 10
    drawn = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height}" role="img"'
        ' font-family="sans-serif" font-size="13">',
        f"<title>{escape(title)}</title>",
        f'<rect width="{WIDTH}" height="{height}" fill="#ffffff"/>',
        f'<text x="10" y="20" font-weight="bold">{escape(title)}</text>',
    ]
    y = TOP
    for group in groups:
        own = [bar for bar in found if bar.group == group]
        scale = (WIDTH - LEFT - RIGHT) / (max(bar.high for bar in own) or 1.0)
        drawn.append(f'<text x="10" y="{y + 15}" font-weight="bold">{escape(group)}</text>')
        y += ROW
        for bar in own:
            drawn += _drawn(bar, y, scale, colours[bar.label])
            y += ROW
    return "\n".join([*drawn, "</svg>", ""])


def _drawn(bar: Bar, y: int, scale: float, colour: str) -> list[str]:
    low, high, end = (LEFT + value * scale for value in (bar.low, bar.high, bar.value))
    middle = y + 9
    return [
        f'<text x="{LEFT - 8}" y="{y + 13}" text-anchor="end">{escape(bar.label)}</text>',
        f'<rect x="{LEFT}" y="{y + 2}" width="{end - LEFT:.1f}" height="14" fill="{colour}"/>',
        f'<path d="M{low:.1f} {middle}H{high:.1f}M{low:.1f} {y + 5}v8M{high:.1f} {y + 5}v8" stroke="#000"/>',
        f'<text x="{max(high, end) + 6:.1f}" y="{y + 13}">{escape(bar.shown)}</text>',
    ]
