from importlib.metadata import PackageNotFoundError

from headrace.training import model_log


def test_a_model_asks_for_the_whole_package_where_a_smaller_distribution_of_it_trained(monkeypatch):
    installed = {"mlflow-skinny": "3.17.2", "tensorflow-cpu": "2.20.0", "keras": "3.15.1"}

    def version(package: str) -> str:
        if package not in installed:
            raise PackageNotFoundError(package)
        return installed[package]

    monkeypatch.setattr(model_log, "version", version)
    assert model_log._pinned("keras", "mlflow", "tensorflow") == ["keras==3.15.1", "mlflow==3.17.2", "tensorflow==2.20.0"]
