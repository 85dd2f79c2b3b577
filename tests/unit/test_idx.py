"""The IDX source: where files are found, and that broken ones are told apart from sound ones."""

import gzip
import hashlib
import http.server
import os
import threading
from functools import partial

import numpy as np
import pytest

from headrace.adapters.idx import locate
from headrace.adapters.idx.decode import content_sha256, read_rows, read_shape
from headrace.adapters.idx.source import IdxFiles
from headrace.errors import SourceError
from headrace.specs.dataset import SourceFile
from idx_files import NAMES, SHAPE, dataset_spec, idx_bytes, raw_content, write_raw

IMAGES = np.arange(7 * 12, dtype=np.uint8).reshape(7, *SHAPE)
SOUND = idx_bytes(IMAGES)


def written(tmp_path, content, *, compressed=None):
    path = tmp_path / "x.gz"
    path.write_bytes(gzip.compress(content, mtime=0) if compressed is None else compressed)
    return path, SourceFile(name="x.gz", sha256=hashlib.sha256(content).hexdigest())


def read_all(path, declared, batch_rows=3):
    return list(read_rows(path, declared, batch_rows))


class TestDecoding:
    @pytest.mark.parametrize("batch_rows", [1, 3, 7, 100])
    def test_rows_come_in_batches(self, tmp_path, batch_rows):
        path, declared = written(tmp_path, SOUND)
        batches = read_all(path, declared, batch_rows)
        assert max(len(batch) for batch in batches) <= batch_rows
        assert (np.concatenate(batches) == IMAGES).all()
        assert read_shape(path) == (7, *SHAPE)
        assert content_sha256(path) == declared.sha256

    @pytest.mark.parametrize(
        ("content", "message"),
        [
            (b"", "magic number is missing"),
            (b"\0\0\x08", "magic number"),
            (b"\0\0\x0d\x03" + SOUND[4:], "not that of an IDX file of unsigned bytes"),
            (b"PNG." + SOUND, "magic number is 504e472e"),
            (b"\0\0\x08\0" + SOUND, "magic number"),
            (SOUND[:9], "within its header"),
            (SOUND[:-1], "ends within row 6 of 7"),
            (SOUND[:16], "ends within row 0 of 7"),
            (SOUND + b"x", "more than the 7 rows"),
            (idx_bytes(IMAGES[:0]), "dimensions is 0"),
        ],
    )
    def test_content_that_is_no_sound_idx_file(self, tmp_path, content, message):
        path, declared = written(tmp_path, content)
        with pytest.raises(SourceError, match=message) as raised:
            read_all(path, declared)
        assert str(path) in str(raised.value)

    def test_other_content_is_noticed_at_the_end(self, tmp_path):
        path, _ = written(tmp_path, SOUND)
        declared = SourceFile(name="x.gz", sha256="0" * 64)
        with pytest.raises(SourceError, match=r"SHA-256 is [0-9a-f]{64}, not 0{64}"):
            read_all(path, declared)

    @pytest.mark.parametrize("cut", [5, 15, -12, -3])
    def test_a_truncated_gzip_stream(self, tmp_path, cut):
        path, declared = written(tmp_path, SOUND, compressed=gzip.compress(SOUND)[:cut])
        with pytest.raises(SourceError, match="cut off"):
            read_all(path, declared)

    @pytest.mark.parametrize("position", [0, 12, -6])
    def test_a_damaged_gzip_stream(self, tmp_path, position):
        damaged = bytearray(gzip.compress(os.urandom(64) + SOUND, mtime=0))
        damaged[position] ^= 0xFF
        path, _ = written(tmp_path, SOUND, compressed=bytes(damaged))
        with pytest.raises(SourceError):
            content_sha256(path)

    def test_a_file_that_is_not_there(self, tmp_path):
        with pytest.raises(SourceError, match="cannot be read: No such file"):
            read_shape(tmp_path / "missing.gz")


@pytest.fixture
def content():
    return raw_content()


@pytest.fixture
def web(tmp_path):
    """A public address that offers the folder `web`."""
    (tmp_path / "web").mkdir()

    class Quiet(http.server.SimpleHTTPRequestHandler):
        def log_message(self, *_arguments):
            pass

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), partial(Quiet, directory=tmp_path / "web"))
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}/"
    server.shutdown()
    thread.join()
    server.server_close()


def install_package(monkeypatch, folder):
    """Make dpkg say that the package holds the files in a folder."""
    files = [folder, *folder.glob("*")] if folder.exists() else []
    monkeypatch.setattr(locate, "_files_of_package", lambda package: files if package == "dataset-shoes" else [])


class TestLocating:
    def test_a_path_is_relative_to_the_yaml_file_and_the_only_place(self, tmp_path, content, monkeypatch, web):
        write_raw(tmp_path / "raw", content)
        write_raw(tmp_path / "package", content)
        install_package(monkeypatch, tmp_path / "package")
        spec = dataset_spec(content, source={"debian_package": "dataset-shoes", "download": web}).source
        assert locate.local_files(spec, tmp_path)[NAMES["test", "labels"]] == tmp_path / "raw" / NAMES["test", "labels"]
        (tmp_path / "raw" / NAMES["test", "labels"]).unlink()
        with (
            pytest.raises(SourceError, match=r"t10k-labels-idx1-ubyte.gz does not exist \(at raw\)"),
            IdxFiles().open(spec, tmp_path),
        ):
            pass

    def test_the_package_comes_before_the_download(self, tmp_path, content, monkeypatch, web):
        write_raw(tmp_path / "package", content)
        install_package(monkeypatch, tmp_path / "package")
        spec = dataset_spec(content, source={"path": None, "debian_package": "dataset-shoes", "download": web}).source
        with IdxFiles().open(spec, tmp_path) as raw:
            assert all(str(tmp_path / "package") in stamp.stamp for stamp in raw.stamps)

    def test_what_is_not_here_is_downloaded_and_not_kept(self, tmp_path, content, monkeypatch, web):
        write_raw(tmp_path / "web", content)
        install_package(monkeypatch, tmp_path / "nothing")
        spec = dataset_spec(content, source={"path": None, "debian_package": "dataset-shoes", "download": web}).source
        with IdxFiles().open(spec, tmp_path) as raw:
            assert [stamp.stamp for stamp in raw.stamps] == [web + file.name for file in spec.files]
            assert sum(len(batch.labels) for batch in raw.train.examples()) == 120
            brought = raw.train.images_path
        assert not brought.exists()

    def test_a_download_that_fails_says_how_to_do_without(self, tmp_path, content, monkeypatch, web):
        install_package(monkeypatch, tmp_path / "nothing")
        spec = dataset_spec(content, source={"path": None, "debian_package": "dataset-shoes", "download": web}).source
        with pytest.raises(SourceError, match=r"404.*apt-get install dataset-shoes"), IdxFiles().open(spec, tmp_path):
            pass

    def test_found_nowhere(self, tmp_path, content):
        spec = dataset_spec(content, source={"path": None}).source
        with pytest.raises(SourceError, match="found nowhere"), IdxFiles().open(spec, tmp_path):
            pass

    def test_a_machine_without_dpkg(self, monkeypatch, tmp_path):
        monkeypatch.setenv("PATH", str(tmp_path))
        assert locate._files_of_package("dataset-shoes") == []


class TestStamps:
    def test_an_unchanged_file_is_not_read_again(self, tmp_path, content, monkeypatch):
        write_raw(tmp_path / "raw", content)
        spec = dataset_spec(content).source
        with IdxFiles().open(spec, tmp_path) as raw:
            known = raw.stamps
        monkeypatch.setattr("headrace.adapters.idx.source.content_sha256", lambda path: pytest.fail(f"{path} was read"))
        assert tuple(IdxFiles().stamps(spec, tmp_path, known)) == known

    def test_a_touched_file_is_hashed_and_an_absent_one_is_none(self, tmp_path, content):
        write_raw(tmp_path / "raw", content)
        spec = dataset_spec(content).source
        with IdxFiles().open(spec, tmp_path) as raw:
            known = raw.stamps
        os.utime(tmp_path / "raw" / spec.train.images.name, (0, 0))
        (tmp_path / "raw" / spec.test.images.name).unlink()
        touched, _, absent, _ = IdxFiles().stamps(spec, tmp_path, known)
        assert touched.sha256 == spec.train.images.sha256
        assert touched.stamp != known[0].stamp
        assert absent is None

    @pytest.mark.parametrize("part", ["train", "test"])
    def test_images_and_labels_must_have_the_same_rows(self, tmp_path, part):
        content = raw_content() | {(part, "labels"): idx_bytes(np.zeros(31, np.uint8))}
        write_raw(tmp_path / "raw", content)
        with (
            pytest.raises(SourceError, match=r"rows, but .*idx1-ubyte.gz has the shape \(31,\)"),
            IdxFiles().open(dataset_spec(content).source, tmp_path),
        ):
            pass

    def test_both_parts_must_have_the_same_shape(self, tmp_path):
        content = raw_content() | {("test", "images"): idx_bytes(np.zeros((30, 5, 5), np.uint8))}
        write_raw(tmp_path / "raw", content)
        with (
            pytest.raises(SourceError, match=r"shape \(4, 3\), test images \(5, 5\)"),
            IdxFiles().open(dataset_spec(content).source, tmp_path),
        ):
            pass
