"""The administration of a real MinIO: accounts reach what the plan grants them, and nothing else."""

import pytest
from minio import Minio
from minio.error import S3Error

from headrace.adapters.minio_admin import MinioAdministrator
from headrace.config import MinioSettings
from headrace.errors import UnavailableError
from headrace.specs.store import StoreKeys, StorePlan

PLAN = StorePlan.model_validate(
    {
        "buckets": ["platform", "logs"],
        "users": {
            "jobs": [{"bucket": "platform", "access": "write"}],
            "serving": [{"bucket": "platform", "prefix": "models/", "access": "read"}],
        },
    }
)
KEYS = {account: StoreKeys(access_key=f"test-{account}", secret_key=f"secret-of-{account}") for account in PLAN.users}


@pytest.fixture(scope="module")
def settings(minio):
    return MinioSettings(endpoint=minio.endpoint, access_key=minio.access_key, secret_key=minio.secret_key)


@pytest.fixture(scope="module")
def client(settings):
    """A client as one of the plan's accounts."""
    MinioAdministrator(settings).prepare(PLAN, KEYS)

    def as_account(account, keys=KEYS):
        return Minio(settings.endpoint, keys[account].access_key, keys[account].secret_key, secure=False, region="us-east-1")

    as_account("jobs").fput_object("platform", "models/m/1/model.onnx", __file__)
    as_account("jobs").fput_object("platform", "datasets/d/manifest.json", __file__)
    return as_account


def refused(call, *arguments, **options):
    with pytest.raises(S3Error) as error:
        call(*arguments, **options)
    return error.value.code


def test_a_writer_writes_reads_lists_and_deletes_in_its_bucket(client):
    jobs = client("jobs")
    jobs.fput_object("platform", "runs/r/result.json", __file__)
    assert [found.object_name for found in jobs.list_objects("platform", "runs/", recursive=True)] == ["runs/r/result.json"]
    jobs.remove_object("platform", "runs/r/result.json")
    assert refused(jobs.stat_object, "platform", "runs/r/result.json") == "NoSuchKey"


def test_a_writer_reaches_no_other_bucket(client):
    jobs = client("jobs")
    assert refused(jobs.fput_object, "logs", "x", __file__) == "AccessDenied"
    assert refused(jobs.make_bucket, "mine") == "AccessDenied"


def test_a_reader_reads_below_its_prefix_and_is_told_what_is_not_there(client):
    serving = client("serving")
    assert serving.stat_object("platform", "models/m/1/model.onnx").size
    assert refused(serving.get_object, "platform", "models/m/2/model.onnx") == "NoSuchKey"


def test_a_reader_reads_nothing_else_and_writes_nothing(client):
    serving = client("serving")
    assert refused(serving.get_object, "platform", "datasets/d/manifest.json") == "AccessDenied"
    assert refused(list, serving.list_objects("platform", "datasets/")) == "AccessDenied"
    assert refused(serving.fput_object, "platform", "models/m/1/model.onnx", __file__) == "AccessDenied"
    assert refused(serving.remove_object, "platform", "models/m/1/model.onnx") == "AccessDenied"


def test_preparing_again_changes_keys_and_grants_and_nothing_else(settings, client):
    administrator = MinioAdministrator(settings)
    changed = StorePlan.model_validate({"buckets": ["platform"], "users": {"logs": [{"bucket": "logs", "access": "read"}]}})
    keys = {"logs": StoreKeys(access_key="test-logs", secret_key="secret-of-logs")}
    administrator.prepare(changed, keys)
    assert list(client("logs", keys).list_objects("logs")) == []
    rotated = {"logs": StoreKeys(access_key="test-logs", secret_key="another-secret")}
    wider = StorePlan.model_validate({"buckets": [], "users": {"logs": [{"bucket": "logs", "access": "write"}]}})
    administrator.prepare(wider, rotated)
    client("logs", rotated).fput_object("logs", "x", __file__)
    assert refused(list, client("logs", keys).list_objects("logs")) == "SignatureDoesNotMatch"
    assert client("jobs").stat_object("platform", "models/m/1/model.onnx").size


def test_keys_that_administrate_nothing_are_refused(settings, client):
    powerless = settings.model_copy(update={"access_key": "test-jobs", "secret_key": "secret-of-jobs"})
    with pytest.raises(UnavailableError, match="AccessDenied"):
        MinioAdministrator(powerless).prepare(PLAN, KEYS)


def test_a_server_that_is_away_is_named():
    away = MinioSettings(endpoint="127.0.0.1:9", access_key="a", secret_key="b")
    with pytest.raises(UnavailableError, match="does not answer"):
        MinioAdministrator(away, patience=0.1).prepare(PLAN, KEYS)
