"""
Learnt weights of the ranking signals beside the hand-set ones, in nDCG@10; repositories are ranked by weights that were
learnt from others.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping
from statistics import fmean
from typing import TYPE_CHECKING

from answered import SETS, UNSEEN, answered, arguments
from mnemolite.lab.evaluate import compare
from mnemolite.lab.learn import BY_HAND, NAMES, Asked, ask, cross_validated, learn

if TYPE_CHECKING:
    from mnemolite.lab.learn import Floats

Groups = Mapping[str, list[Asked | None]]  # None where nothing is found


def main() -> None:
    sets: dict[str, dict[str, list[Asked | None]]] = defaultdict(lambda: defaultdict(list))
    for memory, query in answered(arguments("bench/learnt.py", __doc__)):
        asked = ask(memory, query.text, query.targets)
        for name in query.sets:
            sets[name][query.group].append(asked)
    teachers = {group: [asked for asked in own if asked is not None] for group, own in sets[UNSEEN].items()}
    learnt = learn(teachers)
    weights = {group: learnt for groups in sets.values() for group in groups} | cross_validated(teachers)
    by_hand = dict.fromkeys(weights, BY_HAND)
    print("all weights learnt")
    for name, groups in sorted(sets.items()):
        adds = compare(before := figures(groups, by_hand), figures(groups, weights))
        print(
            f"{name:18}{mean(before):7.4f} by hand {mean(before) + adds.mean:7.4f} learnt {adds.mean:+.4f}"
            f" ({adds.low:+.4f} {adds.high:+.4f}), helps {adds.better} hurts {adds.worse} of {len(before)},"
            f" {sum(map(len, before.values()))} queries"
        )
    print(f"one weight learnt, the others by hand\n{'':14}by hand  learnt   {'  '.join(SETS)}")
    for place, name in enumerate(NAMES):
        alone = {group: only(place, own) for group, own in weights.items()}
        adds_of = [mean(figures(sets[of], alone)) - mean(figures(sets[of], by_hand)) for of in SETS]
        print(f"{name:14}{BY_HAND[place]:7.2f}{learnt[place]:8.2f}" + "".join(f"{adds:+9.4f}" for adds in adds_of))


def only(place: int, learnt: Floats) -> Floats:
    weights = BY_HAND.copy()
    weights[place] = learnt[place]
    return weights


def figures(groups: Groups, weights: Mapping[str, Floats]) -> dict[str, list[float]]:
    return {name: [asked.ndcg(weights[name]) if asked else 0.0 for asked in own] for name, own in groups.items()}


def mean(found: Mapping[str, list[float]]) -> float:
    return fmean(map(fmean, found.values()))


if __name__ == "__main__":
    main()
