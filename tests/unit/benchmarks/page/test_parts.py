from benchmarks.page.parts import frame, table, warning


def test_empty_parts_are_left_out() -> None:
    assert "<main>a\nb</main>" in frame("t", ["a", "", "b"])
    assert "<title>&lt;t&gt;</title>" in frame("<t>", [])


def test_cells_are_escaped_and_numbers_stand_to_the_right() -> None:
    assert "<tr><td>&lt;</td><td class=n>1</td></tr>" in table(("", ""), [("<", "1")])
    assert "<th>" not in table(("", ""), [("a", "1")])


def test_nothing_to_warn_of() -> None:
    assert warning([]) == ""
    assert "<p>a &amp; b</p>" in warning(["a & b"])
