"""How often two ensembles answer alike, from what their members answered to a validation split.

A router sends each request to one of both, so that no request is answered twice: that their classes come in other shares may be
chance, or other requests. The gate has asked every member the same examples.
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Mapping, Sequence
from zipfile import BadZipFile

import numpy as np

from headrace.errors import CorruptError, NotFoundError
from headrace.ports.store import ObjectStore
from headrace.specs.serving import SlotMember
from headrace.usecases.gate.predictions import EVALUATIONS, read_predictions
from headrace.usecases.gate.statistics import Answers, answers_of

_KEY = re.compile(rf"({re.escape(EVALUATIONS)}[^/]+/[^/]+/)([^/]+)/(\d+)\.npz")

_UNUSABLE = (NotFoundError, CorruptError, BadZipFile, ValueError, KeyError)
"""Predictions that are gone since, or no such file: as if they had not been made."""


def agreement(store: ObjectStore, former: Sequence[SlotMember], new: Sequence[SlotMember]) -> float | None:
    """The share of validation examples that both ensembles give the same class.

    Taken is the newest dataset version that all their members were measured on; None when there is none.

    Raises:
        UnavailableError: the store does not answer.
    """
    for measured in _measured(store):
        if all((member.model, member.version) in measured for member in (*former, *new)):
            try:
                one, other = _answers(store, measured, former), _answers(store, measured, new)
            except _UNUSABLE:
                continue
            return float(np.mean(one == other))
    return None


def _measured(store: ObjectStore) -> list[Mapping[tuple[str, int], str]]:
    """The keys of the stored predictions by model and version, for each dataset version, the newest first."""
    found: defaultdict[str, dict[tuple[str, int], str]] = defaultdict(dict)
    for stored in store.list(EVALUATIONS):
        if match := _KEY.fullmatch(stored.key):
            found[match[1]][match[2], int(match[3])] = stored.key
    return [found[prefix] for prefix in sorted(found, reverse=True)]


def _answers(store: ObjectStore, measured: Mapping[tuple[str, int], str], members: Sequence[SlotMember]) -> Answers:
    probabilities = [read_predictions(store, measured[member.model, member.version]).probabilities for member in members]
    return answers_of(np.average(probabilities, axis=0, weights=[member.weight for member in members]))
