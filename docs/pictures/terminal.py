"""Draws a terminal as SVG: reads the output of `tmux capture-pane -e -p` on standard input, writes SVG.

The picture of README.md is the real screen of `make demo`:

    tmux new-session -d -x 112 -y 40 'make demo'      # and once both encoders publish and a crowd watches:
    tmux capture-pane -e -p | python3 docs/pictures/terminal.py 'make demo' > docs/pictures/demo.svg
"""
import html
import re
import sys

CELL_W, CELL_H, PAD, BAR = 8.4, 18, 14, 30
BACKGROUND, FOREGROUND = "#16181d", "#d6dae1"
NORMAL = ["#4c5363", "#e06c75", "#8fc276", "#e2b86b", "#6fb1f0", "#c78ae0", "#5cc0c7", "#d6dae1"]
BRIGHT = ["#7c8494", "#f08a92", "#a9d793", "#f1cf8d", "#93c7f7", "#d8a9ec", "#84d6db", "#ffffff"]


def spans(line):
    """The text of a line in pieces of one style: (text, colour, bold, dim)."""
    colour, bold, dim = FOREGROUND, False, False
    for text, codes in re.findall(r"([^\x1b]+)|\x1b\[([0-9;]*)m", line):
        if text:
            yield text, colour, bold, dim
            continue
        for code in [int(c or 0) for c in codes.split(";")]:
            if code == 0:
                colour, bold, dim = FOREGROUND, False, False
            elif code == 1:
                bold = True
            elif code == 2:
                dim = True
            elif code == 22:
                bold = dim = False
            elif 30 <= code <= 37:
                colour = NORMAL[code - 30]
            elif 90 <= code <= 97:
                colour = BRIGHT[code - 90]
            elif code == 39:
                colour = FOREGROUND


def draw(lines, title):
    columns = max(len(re.sub(r"\x1b\[[0-9;]*m", "", line)) for line in lines)
    width, height = 2 * PAD + columns * CELL_W, BAR + 2 * PAD + len(lines) * CELL_H
    yield (f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width:.0f} {height:.0f}" '
           f'font-family="ui-monospace, SFMono-Regular, Menlo, Consolas, DejaVu Sans Mono, monospace" font-size="14">')
    yield f"<title>{html.escape(title)}</title>"
    yield f'<rect width="{width:.0f}" height="{height:.0f}" rx="8" fill="{BACKGROUND}"/>'
    for index, dot in enumerate(["#e06c75", "#e2b86b", "#8fc276"]):
        yield f'<circle cx="{PAD + 6 + 18 * index}" cy="{BAR / 2 + 3}" r="5.5" fill="{dot}"/>'
    yield (f'<text x="{width / 2:.0f}" y="{BAR / 2 + 8}" text-anchor="middle" fill="#7c8494">'
           f"{html.escape(title)}</text>")
    for row, line in enumerate(lines):
        y, column = BAR + PAD + (row + 1) * CELL_H - 5, 0
        for text, colour, bold, dim in spans(line):
            length = len(text)
            shown = text.rstrip()
            if shown:
                lead = len(shown) - len(shown.lstrip())
                style = (' font-weight="bold"' if bold else "") + (' opacity="0.65"' if dim else "")
                x, shown = PAD + (column + lead) * CELL_W, shown.lstrip()
                yield (f'<text x="{x:.1f}" y="{y}" textLength="{len(shown) * CELL_W:.1f}" fill="{colour}"{style} '
                       f'xml:space="preserve">{html.escape(shown)}</text>')
            column += length
    yield "</svg>"


if __name__ == "__main__":
    captured = sys.stdin.read().rstrip("\n").split("\n")
    print("\n".join(draw([line.rstrip() for line in captured], sys.argv[1])))
