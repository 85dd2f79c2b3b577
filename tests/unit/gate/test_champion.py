"""Which of the versions that serve a candidate would replace."""

from headrace.ports.registry import ModelVersion
from headrace.usecases.gate.champion import Incumbent, champion_of

CNN = Incumbent(version=4, member="cnn", run="r1", accuracy=0.90)
DROPOUT = Incumbent(version=6, member="cnn_dropout", run="r1", accuracy=0.88)
DELETED = Incumbent(version=2)


def test_a_member_is_held_against_its_own_former_version():
    assert champion_of("cnn", "r2", [DROPOUT, CNN]) == 4


def test_a_member_that_does_not_serve_is_held_against_the_least_accurate():
    assert champion_of("cnn_batch_norm", "r2", [CNN, DROPOUT]) == 6


def test_a_version_that_nobody_knows_anything_of_comes_last():
    assert champion_of("cnn_batch_norm", "r2", [DELETED, CNN]) == 4
    assert champion_of("cnn_batch_norm", "r2", [DELETED]) == 2


def test_what_the_same_run_put_there_is_no_champion():
    assert champion_of("cnn_dropout", "r1", [CNN]) is None
    assert champion_of("cnn_dropout", "r2", [Incumbent(version=9, member="cnn", run="r2", accuracy=0.1), CNN]) == 4


def test_nothing_serves():
    assert champion_of("cnn", "r1", []) is None


def test_an_incumbent_is_read_off_the_tags_of_its_training():
    tags = {"headrace.member": "cnn", "headrace.run": "r1", "validation_accuracy": "0.9000"}
    assert Incumbent.of(ModelVersion(model="m", version=4, run_id="x", tags=tags)) == CNN
    assert Incumbent.of(ModelVersion(model="m", version=2, run_id="x", tags={})) == DELETED
