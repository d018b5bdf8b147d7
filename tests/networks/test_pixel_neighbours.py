# SPDX-License-Identifier: MIT
"""Neighbours of each pass."""

from vgic_lib.networks.pixel_neighbours import GRIDS, PASSES, REACH, every


def test_neighbours_are_near_and_differ():
    for number, neighbours in enumerate(PASSES):
        taps = neighbours.near + neighbours.far
        assert len(set(taps)) == len(taps) and len(neighbours.near) == 4
        own = GRIDS[number + 1]
        places = [(2 * i + GRIDS[g][0] - own[0], 2 * j + GRIDS[g][1] - own[1]) for g, i, j in taps]
        distances = [y * y + x * x for y, x in places]
        assert len(set(places)) == len(places) and distances[:4] == [distances[0]] * 4
        assert max(distances[:4]) <= min(distances[4:]) and max(map(max, places)) <= 2 * REACH
        assert all(g <= number and abs(i) <= REACH and abs(j) <= REACH for g, i, j in taps)


def test_the_first_of_the_nearest_lie_on_both_sides():
    """Between those of the grid known first, which come first, a rule makes colours."""
    for (down, right), (near, _) in zip(GRIDS[1:], PASSES, strict=True):
        between = [tap for tap in near if tap[0] == 0]
        assert list(near[: len(between)]) == between and len(between) == 2 * (1 + (down and right))
        middle = [sum(2 * moved for *_, moved in between), sum(2 * moved for _, moved, _ in between)]
        assert [total / len(between) for total in middle] == [right, down]


def test_places_of_a_grid_in_pixels_of_the_picture():
    rows = list(range(40))
    assert rows[every(0, 5, 0, 0)] == [0, 2, 4, 6, 8] and rows[every(1, 3, 1, 0)] == [3, 5]
    assert rows[every(0, 3, 1, 2)] == [4, 12, 20] and rows[every(2, 3, 0, 3)] == [32]
