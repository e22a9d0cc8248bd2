"""The committed dashboards are those that the code makes, and Grafana can lay them out."""

from __future__ import annotations

from itertools import combinations

import pytest

from deploy.grafana.dashboards import FOLDER, dashboard_json, rendered
from deploy.grafana.panels import DASHBOARDS, Dashboard


def test_the_committed_files_are_up_to_date() -> None:
    committed = {path.name: path.read_text() for path in FOLDER.iterdir()}
    assert committed == rendered(), "run python -m deploy.grafana.dashboards"


@pytest.mark.parametrize("dashboard", DASHBOARDS, ids=lambda dashboard: dashboard.uid)
def test_no_two_panels_lie_on_one_another(dashboard: Dashboard) -> None:
    places = [panel["gridPos"] for panel in dashboard_json(dashboard)["panels"]]
    for a, b in combinations(places, 2):
        assert (
            a["x"] + a["w"] <= b["x"]
            or b["x"] + b["w"] <= a["x"]
            or a["y"] + a["h"] <= b["y"]
            or b["y"] + b["h"] <= a["y"]
        )
    assert max(place["x"] + place["w"] for place in places) <= 24


@pytest.mark.parametrize("dashboard", DASHBOARDS, ids=lambda dashboard: dashboard.uid)
def test_panels_can_be_told_apart(dashboard: Dashboard) -> None:
    panels = dashboard_json(dashboard)["panels"]
    assert len({panel["id"] for panel in panels}) == len({panel["title"] for panel in panels}) == len(panels)
    for panel in panels:
        references = [target["refId"] for target in panel["targets"]]
        assert len(set(references)) == len(references) > 0
