"""report.html: self-contained, safe with any text, and true to the metrics."""

from html.parser import HTMLParser

import pytest

from workbench import report
from workbench.parameters import load_parameters
from workbench.runs import open_store

EVIL = '<script>alert(1)</script><img src="http://elsewhere.example/x.png" onerror=alert(2)>'


OWN = ("#", "data:image/png;base64,")


class Page(HTMLParser):
    """Collects what a browser would fetch or run."""

    def __init__(self, text):
        super().__init__()
        self.fetched, self.tags, self.text = [], set(), ""
        self.feed(text)

    def handle_starttag(self, tag, attrs):
        self.tags.add(tag)
        for name, value in attrs:
            assert not name.startswith("on"), (tag, name)
            if name in ("src", "href", "xlink:href", "srcset", "data", "action") and not (value or "").startswith(OWN):
                self.fetched.append((tag, value))

    def handle_data(self, data):
        self.text += data


@pytest.fixture
def page(project, loop):
    text = (project / "expenses.csv").read_text()
    (project / "expenses.csv").write_text(text + f'99999,"{EVIL.replace(chr(34), chr(34) * 2)}",1.0,Active,Otros\n')
    (project / "prompt.yaml").write_text((project / "prompt.yaml").read_text().replace("gorra]", f"gorra, '{EVIL}']"))
    store = open_store()
    run = loop(load_parameters("run.yaml", [f"ingest.filters={{Estado: [Active, '{EVIL}']}}"]), store)
    return Page(store.load(run.run_id, "report")), store, run


def test_the_report_asks_nothing_of_anybody_and_runs_nothing(page):
    parsed, _, _ = page
    assert parsed.fetched == []
    assert not parsed.tags & {"script", "link", "iframe", "img", "object", "embed", "base", "form"}


def test_the_report_tells_what_the_metrics_tell(page):
    parsed, store, run = page
    metrics = store.load(run.run_id, "metrics", 2)
    assert f"{100 * metrics['accuracy']['estimate']:.1f} %" in parsed.text
    assert f"{100 * metrics['accuracy']['low']:.1f} – {100 * metrics['accuracy']['high']:.1f} %" in parsed.text
    for category in metrics["category_counts"]:
        assert category in parsed.text
    assert "After iteration 1" in parsed.text


def test_a_run_that_has_read_nothing_yet_has_a_summary(project):
    store = open_store()
    run = store.create(load_parameters("run.yaml").to_dict(), run_id="one")
    found = report.summary(store, run.run_id)
    assert (found["rows"], found["iterations"], found["state"]) == (None, [], "created")
