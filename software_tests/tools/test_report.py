"""Sections become one self-contained page, in order and escaped."""

import json

import pytest

from tools.plotting.style import new_figure, save_figure
from tools.report.report import Figure, Section, Table, read_sections, write_report, write_section


def section(title, order, **more):
    return Section(title=title, order=order, **more)


def test_sections_are_collected_in_order(tmp_path):
    write_section(tmp_path / "maps/late", section("Late", 50))
    write_section(tmp_path / "performance/early", section("Early", 10))
    assert [s.title for _, s in read_sections(tmp_path)] == ["Early", "Late"]


def test_the_page_embeds_figures_and_escapes_text(tmp_path):
    folder = tmp_path / "a"
    folder.mkdir()
    figure, axes = new_figure(2, 2)
    axes.plot([0, 1])
    save_figure(figure, folder / "f.png")
    table = Table("caption", ["a"], [["0.5 [0.4, 0.6]"], ["<b>"]])
    write_section(
        folder,
        section(
            "T <script>alert(1)</script>",
            1,
            text=["x & y"],
            figures=[Figure("f.png", "curve")],
            tables=[table],
            commands=["make demo"],
            warning="careful",
        ),
    )
    page = write_report(tmp_path, title="Title", subtitle="sub").read_text()
    assert "<script" not in page
    assert "&lt;script&gt;" in page
    assert "x &amp; y" in page
    assert "data:image/png;base64," in page
    assert "default-src 'none'" in page
    assert "<td>0.5<br><small>[0.4, 0.6]</small></td>" in page
    assert "<td>&lt;b&gt;</td>" in page
    assert "make demo" in page
    assert "careful" in page


def test_a_missing_figure_or_broken_section_is_named(tmp_path):
    write_section(tmp_path / "a", section("A", 1, figures=[Figure("gone.png", "x")]))
    with pytest.raises(ValueError, match=r"gone\.png"):
        write_report(tmp_path, title="t", subtitle="s")
    (tmp_path / "a" / "section.json").write_text(json.dumps({"titel": "A"}))
    with pytest.raises(ValueError, match=r"section\.json can't be read"):
        read_sections(tmp_path)
