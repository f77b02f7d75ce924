#!/usr/bin/env python3
"""Draws a board as Grafana would lay it out, by asking Prometheus what the board asks.

    deploy/grafana/draw.py --prometheus http://127.0.0.1:9090 --seconds 300 --out DIRECTORY deploy/grafana/*.json

For each board a picture of its name. A query that Prometheus does not take, or a board of which less than half shows
something, ends it with 1. Needs matplotlib and Pillow (on Debian: python3-matplotlib).
"""

import argparse
import json
import math
import re
import sys
import time
import urllib.error
import urllib.parse
import urllib.request
from pathlib import Path

import matplotlib

matplotlib.use("Agg")
import matplotlib.pyplot as plt  # noqa: E402
from matplotlib.colors import LogNorm  # noqa: E402
from matplotlib.ticker import FuncFormatter, MaxNLocator  # noqa: E402
from PIL import Image  # noqa: E402

BACKGROUND, PANEL, INK, FAINT = "#111217", "#181b1f", "#ccccdc", "#7b8087"
COLOURS = ["#73bf69", "#f2cc0c", "#5794f2", "#ff9830", "#b877d9", "#f2495c", "#8ab8ff", "#96d98d", "#ffcb7d", "#ca95e5"]
NAMES = {"green": "#73bf69", "yellow": "#f2cc0c", "orange": "#ff9830", "red": "#f2495c"}
# One unit of a board's grid, in inches.
WIDE, HIGH, DPI = 0.62, 0.30, 100


class Prometheus:
    def __init__(self, url, seconds, step):
        self.url, self.step = url, step
        self.end = time.time()
        self.start = self.end - seconds

    def ask(self, path, **what):
        query = urllib.parse.urlencode(what)
        try:
            with urllib.request.urlopen(f"{self.url}/api/v1/{path}?{query}", timeout=30) as answer:
                return json.load(answer)["data"]
        except urllib.error.HTTPError as error:
            sys.exit(f"draw.py: Prometheus does not take {what}: {error.read().decode()}")

    def series(self, expression):
        """Labels, times and values of each series."""
        found = self.ask("query_range", query=expression, start=self.start, end=self.end, step=self.step)["result"]
        numbers = lambda pairs: ([at for at, _ in pairs], [float(value) for _, value in pairs])
        return [(one["metric"], *numbers(one["values"])) for one in found]

    def values(self, label):
        return sorted(self.ask(f"label/{label}/values"))


def shown(value, unit):
    if value is None or math.isnan(value):
        return "–"
    if unit == "percentunit":
        return f"{value * 100:.3g} %"
    if unit == "s":
        for size, name in ((86400, "d"), (3600, "h"), (60, "min")):
            if abs(value) >= 2 * size:
                return f"{value / size:.3g} {name}"
        return f"{value:.3g} s" if abs(value) >= 1 or value == 0 else f"{value * 1000:.3g} ms"
    if unit == "bytes":
        for size, name in ((2**30, "GiB"), (2**20, "MiB"), (2**10, "KiB")):
            if abs(value) >= size:
                return f"{value / size:.3g} {name}"
    if abs(value) >= 10000:
        return f"{value / 1000:.4g} k"
    return f"{value:.3g}" + ("/s" if unit in ("reqps", "ops") else "")


def legend_of(template, labels):
    filled = re.sub(r"{{\s*(\w+)\s*}}", lambda found: labels.get(found[1], ""), template)
    return " ".join(filled.split()) or ",".join(f"{key}={value}" for key, value in labels.items()) or "all"


def level(panel, value):
    """The colour of the threshold that a value has passed."""
    colour = "green"
    for step in panel["fieldConfig"]["defaults"].get("thresholds", {}).get("steps", []):
        if step["value"] is None or value >= step["value"]:
            colour = step["color"]
    return NAMES.get(colour, INK)


class Drawing:
    def __init__(self, board, prometheus, nodes):
        self.prometheus, self.nodes = prometheus, nodes
        self.panels = list(self.laid_out(board))
        rows = max(at["y"] + at["h"] for _, at, _ in self.panels)
        self.height = rows + 2
        self.figure = plt.figure(figsize=(24 * WIDE, self.height * HIGH), dpi=DPI, facecolor=BACKGROUND)
        self.figure.text(0.008, 1 - 1.1 / self.height, board["title"], color=INK, size=13, weight="bold", va="center")
        self.empty = []

    def laid_out(self, board):
        """Panels with their places; a row that repeats stands once for each saga."""
        down, repeated = 0, None
        block = []
        for panel in board["panels"]:
            if panel["type"] == "row":
                if repeated:
                    down = yield from self.repeat(block, down)
                repeated, block = panel.get("repeat"), []
            if repeated:
                block.append(panel)
            else:
                yield panel, {**panel["gridPos"], "y": panel["gridPos"]["y"] + down}, {}
        if repeated:
            yield from self.repeat(block, down)

    def repeat(self, block, down):
        high = max(panel["gridPos"]["y"] + panel["gridPos"]["h"] for panel in block) - block[0]["gridPos"]["y"]
        for saga in self.prometheus.values("saga") or ["(none)"]:
            for panel in block:
                yield panel, {**panel["gridPos"], "y": panel["gridPos"]["y"] + down}, {"saga": saga}
            down += high
        return down - high

    def ask(self, target, variables):
        expression = target["expr"].replace("$__rate_interval", "30s").replace("$instance", ".*")
        for name, value in variables.items():
            expression = expression.replace(f"${name}", value)
        return self.prometheus.series(expression)

    def axes(self, at, bare=False):
        left, bottom = at["x"] / 24, 1 - (at["y"] + at["h"] + 2) / self.height
        wide, high = at["w"] / 24, at["h"] / self.height
        edge = plt.Rectangle((left + 0.002, bottom + 0.15 / self.height), wide - 0.004, high - 0.3 / self.height,
                             facecolor=PANEL, edgecolor="#2c3235", transform=self.figure.transFigure, zorder=-1)
        self.figure.add_artist(edge)
        room = (left + 0.034, bottom + 1.9 / self.height, wide - 0.042, high - 3.4 / self.height)
        axes = self.figure.add_axes(room)
        axes.set_facecolor(PANEL)
        for side in axes.spines.values():
            side.set_color("#2c3235")
        axes.tick_params(colors=FAINT, labelsize=6, length=0)
        if bare:
            axes.axis("off")
        return axes

    def title(self, at, text, variables):
        for name, value in variables.items():
            text = text.replace(f"${name}", value)
        place = (at["x"] / 24 + 0.006, 1 - (at["y"] + 2.75) / self.height)
        self.figure.text(*place, text, color=INK, size=7.5, weight="bold", va="center")

    def draw(self):
        for panel, at, variables in self.panels:
            if panel["type"] == "row":
                text = panel["title"].replace("$saga", variables.get("saga", ""))
                self.figure.text(0.006, 1 - (at["y"] + 2.5) / self.height, text, color=FAINT, size=9, va="center")
                continue
            found = [(target, self.ask(target, variables)) for target in panel["targets"]]
            if not any(series for _, series in found):
                self.empty.append(panel["title"])
            getattr(self, panel["type"].replace("-", "_"))(panel, at, found)
            self.title(at, panel["title"], variables)

    def stat(self, panel, at, found):
        axes = self.axes(at, bare=True)
        series = found[0][1]
        values = series[0][2] if series else []
        last = values[-1] if values else None
        colour = level(panel, last) if last is not None else FAINT
        unit = panel["fieldConfig"]["defaults"].get("unit")
        if values:
            axes.fill_between(range(len(values)), values, color=colour, alpha=0.15)
            axes.set_ylim(0, (max(values) or 1) * 1.6)
        axes.text(0.5, 0.5, shown(last, unit), transform=axes.transAxes, ha="center", va="center", color=colour,
                  size=15, weight="bold")

    def time_axis(self, axes):
        ago = lambda at, _: f"-{(self.prometheus.end - at) / 60:.0f} min" if self.prometheus.end - at > 5 else "now"
        axes.set_xlim(self.prometheus.start, self.prometheus.end)
        axes.set_xticks([self.prometheus.end - n * (self.prometheus.end - self.prometheus.start) / 5 for n in range(6)])
        axes.xaxis.set_major_formatter(FuncFormatter(ago))

    def timeseries(self, panel, at, found):
        axes = self.axes(at)
        defaults = panel["fieldConfig"]["defaults"]
        lines = [(legend_of(target["legendFormat"], labels).replace(self.nodes, "node"), times, values)
                 for target, series in found for labels, times, values in series]
        lines = [line for line in lines if not all(math.isnan(value) for value in line[2])]
        # What is always zero is told in the legend alone.
        lines.sort(key=lambda line: -max(value for value in line[2] if not math.isnan(value)))
        colours = [COLOURS[n % len(COLOURS)] for n in range(len(lines))]
        if defaults["custom"].get("stacking"):
            moments = sorted({moment for _, times, _ in lines for moment in times})
            stacked = [[dict(zip(times, values)).get(moment, 0) for moment in moments] for _, times, values in lines]
            if stacked:
                axes.stackplot(moments, stacked, labels=[line[0] for line in lines], colors=colours, alpha=0.75)
        else:
            for (name, times, values), colour in zip(lines, colours):
                axes.plot(times, values, label=name, color=colour, linewidth=1)
        axes.set_ylim(bottom=0)
        if defaults.get("max"):
            axes.set_ylim(top=defaults["max"])
        axes.yaxis.set_major_locator(MaxNLocator(4))
        axes.yaxis.set_major_formatter(FuncFormatter(lambda value, _: shown(value, defaults.get("unit"))))
        axes.grid(color="#2c3235", linewidth=0.4)
        self.time_axis(axes)
        if lines:
            most = 10 if at["w"] > 8 else 6
            handles, names = axes.get_legend_handles_labels()
            more = [] if len(names) <= most else [f"+{len(names) - most}"]
            axes.legend(handles[:most], names[: most - 1] + (more or names[most - 1:most]), loc="upper left", fontsize=5.5,
                        frameon=False, labelcolor=INK, ncols=most // 2, bbox_to_anchor=(-0.96 / at["w"], -0.1), columnspacing=1,
                        handlelength=1, labelspacing=0.2)

    def heatmap(self, panel, at, found):
        axes = self.axes(at)
        buckets = {float(labels["le"].replace("+Inf", "inf")): dict(zip(times, values)) for labels, times, values in found[0][1]}
        edges = sorted(buckets)
        moments = sorted({moment for values in buckets.values() for moment in values})
        rows, below = [], {moment: 0 for moment in moments}
        for edge in edges:
            now = buckets[edge]
            rows.append([max(now.get(moment, 0) - below[moment], 0) or math.nan for moment in moments])
            below = {moment: now.get(moment, 0) for moment in moments}
        if any(not math.isnan(value) for row in rows for value in row):
            axes.pcolormesh(moments, range(len(edges)), rows, cmap="inferno", norm=LogNorm(), shading="nearest")
        axes.set_yticks(range(0, len(edges), 3))
        axes.set_yticklabels([shown(edges[n], "s") if edges[n] < math.inf else "∞" for n in range(0, len(edges), 3)])
        self.time_axis(axes)

    def status_history(self, panel, at, found):
        axes = self.axes(at)
        target, series = found[0]
        for row, (labels, times, values) in enumerate(series):
            colours = [level(panel, value) if not math.isnan(value) else PANEL for value in values]
            axes.barh([row] * len(times), [self.prometheus.step] * len(times), left=times, height=0.85, color=colours)
        axes.set_yticks(range(len(series)))
        axes.set_yticklabels([legend_of(target["legendFormat"], labels).rsplit(":")[-1] for labels, _, _ in series])
        self.time_axis(axes)


def main():
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument("--prometheus", required=True)
    arguments.add_argument("--seconds", type=int, default=300)
    arguments.add_argument("--step", type=int, default=3)
    arguments.add_argument("--out", type=Path, required=True)
    arguments.add_argument("boards", type=Path, nargs="+")
    given = arguments.parse_args()
    given.out.mkdir(parents=True, exist_ok=True)
    prometheus = Prometheus(given.prometheus, given.seconds, given.step)
    nodes = next(iter(prometheus.values("instance")), "")
    for path in given.boards:
        drawing = Drawing(json.loads(path.read_text()), prometheus, nodes)
        drawing.draw()
        out = given.out / f"{path.stem}.png"
        drawing.figure.savefig(out, facecolor=BACKGROUND)
        # Few colours, small files.
        Image.open(out).convert("RGB").quantize(64).save(out, optimize=True)
        panels = [panel for panel, _, _ in drawing.panels if panel["type"] != "row"]
        print(f"{out}: {len(panels)} panels, {out.stat().st_size} bytes; without data: {', '.join(drawing.empty) or 'none'}")
        if len(drawing.empty) * 2 > len(panels):
            sys.exit(f"draw.py: more than half of {path} shows nothing")


if __name__ == "__main__":
    main()
