"""Progress is put about once a second, and always at an epoch's end."""

from fakes import FakeStore
from headrace.specs.training import TrainingProgress
from headrace.training.progress import ProgressReporter


def test_progress_is_put_once_a_second_and_at_the_end_of_an_epoch():
    store, time = FakeStore(), [100.0]
    reporter = ProgressReporter(store, "progress.json", now=lambda: time[0])

    def seen_after(step):
        reporter.report(epoch=0, epochs=2, step=step, steps=10, images_per_second=5.0, metrics={})
        return TrainingProgress.model_validate_json(store.get_bytes("progress.json")).step

    assert seen_after(1) == 1
    assert seen_after(2) == 1
    time[0] += 1.0
    assert seen_after(3) == 3
    assert seen_after(10) == 10
