"""README.md: no figure stands there that is not in docs/figures.md."""

import re
from pathlib import Path

ROOT = Path(__file__).parents[1]
README = (ROOT / "README.md").read_text()


def test_every_score_in_the_readme_stands_in_the_figures():
    prose = re.sub(r"```.*?```", "", README, flags=re.S)
    scores = set(re.findall(r"(?<![\w.-])-?0?\.\d+(?![\w.])", prose))
    figures = (ROOT / "docs" / "figures.md").read_text()
    assert scores, "the readme claims no score at all"
    missing = [score for score in scores if score not in figures]
    assert not missing, f"not in docs/figures.md: {missing}"


def test_every_local_link_in_the_readme_leads_somewhere():
    links = re.findall(r"\]\(([^)#]+)", README)
    missing = [link for link in links if not link.startswith("http") and not (ROOT / link).exists()]
    assert len(links) > 5
    assert not missing


def test_no_placeholder_is_left_in_the_readme():
    assert not re.search(r"@[A-Z_0-9]+@", README)
