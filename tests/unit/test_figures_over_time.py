"""Lines of samples over time (SYNTHETIC samples)."""

from __future__ import annotations

import pandas as pd
import pytest

from schedlab.figures import daemons, nodes, style


def test_a_mean_over_machines_takes_those_that_are_known_at_the_instant() -> None:
    """Machines are read at other instants, and a counter that fell tells no rate."""
    rows = [
        (machine, metric, t, value)
        for machine, metric, points in (
            ("compute1", nodes._CPU, [(0, 0.0), (2, 4.0), (4, 4.0)]),
            ("compute2", nodes._CPU, [(1, 0.0), (3, 8.0), (5, 1.0)]),
        )
        for t, value in points
    ]
    samples = pd.DataFrame(rows, columns=["instance", "metric", "t_ns", "value"])
    samples = samples.assign(trial="a.b.1", t_ns=samples["t_ns"] * 10**9)
    with style.applied():
        _, (axis,) = style.panels(1)
        nodes._lines(axis, samples, nodes._PANELS[0], {"a": "a.b.1"}, ["a"])
    (line,) = axis.lines
    found = dict(zip(line.get_xdata(), line.get_ydata(), strict=True))
    # compute1 has rate 2 at 2 s and 0 at 4 s, compute2 4 at 3 s and an unknown one at 5 s.
    assert found[3.0] == pytest.approx((1 + 4) / 2)
    assert found[2.0] == pytest.approx(2.0) and found[4.0] == pytest.approx(0.0)


@pytest.mark.parametrize(("samples", "told"), [(2, ""), (1, "too few samples")])
def test_a_trial_of_two_samples_is_a_point_and_one_of_fewer_is_told(
    samples: int, told: str
) -> None:
    """A line of one point would not be seen, and a panel with axes alone tells nothing."""
    rows = [
        (metric, labels, "head", step * 10**9, float(step))
        for metric, labels in ((nodes._CPU, '{"mode": "user"}'), (daemons.CPU, '{"process": "d"}'))
        for step in range(samples)
    ]
    table = pd.DataFrame(rows, columns=["metric", "labels", "instance", "t_ns", "value"])
    table = table.assign(trial="a.b.1", process="d")
    with style.applied():
        _, axes = style.panels(2)
        nodes._lines(axes[0], table, nodes._PANELS[0], {"a": "a.b.1"}, ["a"])
        daemons._lines(axes[1], table[samples:], {"a": "a.b.1"}, ["a"], ["d"])
    for axis in axes:
        assert [line.get_marker() for line in axis.lines] == ["o"] * (samples - 1)
        assert "".join(text.get_text() for text in axis.texts) == told


def test_the_load_of_many_machines_does_not_grow_with_their_number() -> None:
    """No two machines are read at the same instant (SYNTHETIC)."""
    rows = [
        ("a.b.1", f"compute{machine}", nodes._CPU, (step + machine / 40) * 1e9, float(step))
        for machine in range(40)
        for step in range(100)
    ]
    samples = pd.DataFrame(rows, columns=["trial", "instance", "metric", "t_ns", "value"])
    with style.applied():
        _, (axis,) = style.panels(1)
        nodes._lines(axis, samples, nodes._PANELS[0], {"a": "a.b.1"}, ["a"])
    (line,) = axis.lines
    assert len(line.get_xdata()) == 600
    assert line.get_ydata() == pytest.approx(1.0)
