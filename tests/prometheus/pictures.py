"""Draws the dashboards as pages, from the panels' own queries to a Prometheus: for machines without Grafana,
and for the pictures of the handbook.

``python -m tests.prometheus.pictures http://127.0.0.1:9090 OUT [--minutes 6]`` writes ``OUT/<uid>.html``, and
with ``--chromium PROGRAM`` a picture of each.
"""

from __future__ import annotations

import argparse
import subprocess
import time
from html import escape
from pathlib import Path
from typing import Any

import httpx

from benchmarks.page.chart import COLOURS, Series, Ticks, line_chart, number
from benchmarks.page.style import STYLE
from deploy.grafana.panels import DASHBOARDS, Dashboard, Panel

_STEPS = 120
_MARKS = 5
_UNITS = {"s": " s", "ms": " ms", "ops": "/s", "reqps": "/s", "percent": " %"}
"""Grafana's names, and how they are written behind a number."""


def page(dashboard: Dashboard, prometheus: str, minutes: float) -> str:
    end_s = time.time()
    begin_s = end_s - 60 * minutes
    figures = "".join(_figure(panel, prometheus, begin_s, end_s) for panel in dashboard.panels)
    return (
        f"<!doctype html><meta charset=utf-8><title>{escape(dashboard.title)}</title><style>{STYLE}"
        "main{max-width:1560px}.panels{grid-template-columns:repeat(3,1fr)}</style>"
        f'<main><h1>{escape(dashboard.title)}</h1><div class="panels">{figures}</div></main>'
    )


def _figure(panel: Panel, prometheus: str, begin_s: float, end_s: float) -> str:
    series: list[Series] = []
    for query in panel.queries:
        answer = httpx.get(
            f"{prometheus}/api/v1/query_range",
            params={
                "query": query.expression,
                "start": begin_s,
                "end": end_s,
                "step": (end_s - begin_s) / _STEPS,
            },
            timeout=30.0,
            trust_env=False,
        )
        for one in answer.raise_for_status().json()["data"]["result"]:
            series.append(_series(query.legend, one, begin_s, len(series) % COLOURS))
    at = [(end_s - begin_s) * mark / _MARKS for mark in range(_MARKS + 1)]
    ticks = Ticks(at, [time.strftime("%H:%M", time.gmtime(begin_s + offset)) for offset in at])
    chart = line_chart(
        panel.title, series, x_name="", x_ticks=ticks, x_high=end_s - begin_s, y_format=_format(panel.unit)
    )
    legend = "".join(f'<span><i class="f{line.colour}"></i>{escape(line.name)}</span>' for line in series[:8])
    return f'<figure><h3>{escape(panel.title)}</h3><div class="legend">{legend}</div>{chart}</figure>'


def _series(legend: str, one: dict[str, Any], begin_s: float, colour: int) -> Series:
    name = legend
    for label, value in one["metric"].items():
        name = name.replace("{{" + label + "}}", value)
    points = [(at - begin_s, None if text == "NaN" else max(0.0, float(text))) for at, text in one["values"]]
    return Series(name, points, colour)


def _format(unit: str) -> Any:
    def in_unit(value: float) -> str:
        if unit == "s" and 0 < value < 1:
            return f"{number(1000 * value)} ms"
        if unit == "bytes":
            return f"{number(value / 2**20)} MiB"
        if unit == "percentunit":
            return f"{number(100 * value)} %"
        return number(value) + {"s": " s", "ms": " ms", "ops": "/s", "reqps": "/s", "percent": " %"}.get(
            unit, ""
        )

    return in_unit


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("prometheus")
    parser.add_argument("out", type=Path)
    parser.add_argument("--minutes", type=float, default=6.0)
    parser.add_argument("--chromium")
    given = parser.parse_args()
    given.out.mkdir(parents=True, exist_ok=True)
    for dashboard in DASHBOARDS:
        file = given.out / f"{dashboard.uid}.html"
        file.write_text(page(dashboard, given.prometheus, given.minutes))
        if given.chromium:
            height = 80 + 262 * -(-len(dashboard.panels) // 3)
            subprocess.run(
                [
                    given.chromium, "--headless=new", "--no-sandbox", "--hide-scrollbars",
                    f"--window-size=1400,{height}", f"--screenshot={file.with_suffix('.png').absolute()}",
                    file.absolute().as_uri(),
                ],
                check=True, capture_output=True, timeout=60,
            )  # fmt: skip


if __name__ == "__main__":
    main()
