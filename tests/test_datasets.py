"""Data sets say what they hold, keep voices apart, and arrive whole or not at all."""

import functools
import hashlib
import http.server
import io
import os
import re
import stat
import subprocess
import sys
import tarfile
import threading
import warnings
import zipfile
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from asrlib import _download, audio, datasets
from asrlib.errors import AudioError, DatasetUnavailable

HEADER = "file,label,speaker,group,take,split,seconds"
SPLIT_OF = {"ann": "train", "bob": "train", "cat": "train", "dan": "validation", "eve": "test", "fay": "test"}
GROUP_OF = {"ann": "x", "bob": "x", "cat": "y", "dan": "x", "eve": "x", "fay": "y"}


def tone(seconds, *, frequency=440.0, rate=16_000):
    return 0.1 * np.sin(2 * np.pi * frequency * np.arange(round(seconds * rate)) / rate)


def write_part(folder, *, labels=("0", "1", "2"), rate=16_000, suffix=".flac"):
    folder.mkdir(parents=True)
    lines = [HEADER]
    for s, speaker in enumerate(SPLIT_OF):
        for i, label in enumerate(labels):
            seconds = 0.1 + 0.01 * s + 0.02 * i
            name = f"{speaker}_{i}{suffix}"
            audio.write(folder / name, tone(seconds, frequency=200 + 50 * s, rate=rate), sample_rate=rate)
            lines.append(f"{name},{label},{speaker},{GROUP_OF[speaker]},0,{SPLIT_OF[speaker]},{seconds:.2f}")
    (folder / "metadata.csv").write_text("\n".join(lines) + "\n")


def write_sums(root):
    files = sorted(p for p in root.rglob("*") if p.is_file() and p.parent != root)
    lines = [f"{hashlib.sha256(p.read_bytes()).hexdigest()}  {p.relative_to(root).as_posix()}" for p in files]
    (root / "SHA256SUMS").write_text("\n".join(lines) + "\n")


@pytest.fixture
def bundle(tmp_path, monkeypatch):
    root = tmp_path / "data set"
    write_part(root / "digits")
    write_part(root / "strings", labels=("5 0 3", "1 2"))
    write_part(root / "words", labels=("yes", "no"))
    write_part(root / "listen", labels=("seven",), rate=24_000)
    write_sums(root)
    (root / "README.md").write_text("a data card")
    monkeypatch.setenv("ASRLIB_BUNDLE", str(root))
    return root


@pytest.fixture
def dataset(bundle):
    return datasets.digits()


def edit(folder, pattern, replacement):
    path = folder / "metadata.csv"
    text, count = re.subn(pattern, replacement, path.read_text(), count=1, flags=re.MULTILINE)
    assert count
    path.write_text(text)


# ------------------------------------------------------------------------------------------ the sequence


def test_a_dataset_counts_and_tells(dataset):
    assert len(dataset) == 18
    assert repr(dataset) == (
        "SpeechDataset(digits: 18 clips, 6 speakers, 3 labels, 0.0 min; train 9, validation 3, test 6)"
    )
    assert "validation" in dataset.summary() and dataset.summary().splitlines()[-1].split()[:4] == [
        "all",
        "18",
        "6",
        "3",
    ]
    for column in ("labels", "speakers", "groups", "splits"):
        values = getattr(dataset, column)
        assert values.shape == (18,) and values.dtype.kind == "U"
    assert dataset.takes.dtype.kind == "i"
    assert dataset.seconds.dtype == np.float64


def test_indexing_gives_clips_and_smaller_datasets(dataset):
    clip = dataset[1]
    assert (clip.label, clip.speaker, clip.group, clip.take, clip.split) == ("1", "ann", "x", 0, "train")
    assert clip.samples.dtype == np.float32
    assert clip.seconds == pytest.approx(dataset.seconds[1])
    assert clip.file.name == "ann_1.flac"
    assert "'1' by ann (x), take 0, train, 0.12 s" in repr(clip)
    assert dataset[-1].file == dataset.files[-1]
    assert [c.file for c in dataset[2:5]] == list(dataset.files[2:5])
    assert dataset[[4, 0]].files == (dataset.files[4], dataset.files[0])
    assert len(dataset[dataset.speakers == "eve"]) == 3
    assert dataset[[]].arrays() == []
    assert "0 clips" in repr(dataset[[]])
    with pytest.raises(IndexError, match="has 18 clips; there is no clip 18"):
        dataset[18]
    with pytest.raises(IndexError, match="positions reach"):
        dataset[[0, 99]]
    for wrong in ("ann", 1.5, True, [[1]], np.array([0.5])):
        with pytest.raises((TypeError, IndexError)):
            dataset[wrong]


def test_iteration_ends(dataset):
    assert [clip.label for clip in dataset] == dataset.labels.tolist()


def test_samples_are_what_audio_load_reads_and_are_shared(dataset):
    arrays = dataset.arrays()
    assert len(arrays) == 18
    for file, array in zip(dataset.files, arrays, strict=True):
        np.testing.assert_array_equal(array, audio.load(file))
    assert dataset.audio(3) is arrays[3]
    assert dataset.where(speaker="bob").audio(0) is arrays[3]
    assert datasets.digits("train").audio(3) is arrays[3]


def test_samples_cannot_be_changed_by_accident(dataset):
    with pytest.raises(ValueError, match="read-only"):
        dataset[0].samples[:] = 0
    with pytest.raises(ValueError, match="read-only"):
        dataset.labels[0] = "9"
    with pytest.raises(AttributeError):
        dataset.name = "other"


def test_a_clip_plays_at_its_rate(dataset):
    player = dataset[0].play()
    assert player.data[24:28] == (16_000).to_bytes(4, "little")


def test_a_damaged_clip_is_named(bundle):
    (bundle / "digits" / "cat_1.flac").write_bytes(b"not audio")
    with pytest.raises(AudioError, match=r"cat_1\.flac"):
        datasets.digits().arrays()


def test_columns_of_another_length_are_refused(dataset):
    columns = {name: getattr(dataset, name) for name in ("speakers", "groups", "takes", "splits", "seconds")}
    with pytest.raises(ValueError, match="labels has the shape"):
        datasets.SpeechDataset(name="x", files=dataset.files, labels=dataset.labels[:-1], **columns)


# --------------------------------------------------------------------------------------------- choosing


def test_where_takes_values_collections_and_functions(dataset):
    assert set(dataset.where(label="1").labels) == {"1"}
    assert set(dataset.where(speaker=["ann", "fay"]).speakers) == {"ann", "fay"}
    assert set(dataset.where(speaker=dataset.speakers[:4]).speakers) == {"ann", "bob"}
    short = dataset.where(seconds=lambda s: s < 0.12, split="train")
    assert (short.seconds < 0.12).all() and set(short.splits) == {"train"}
    assert len(dataset.where(take=0)) == 18
    assert dataset.where(file="eve_2.flac").labels.tolist() == ["2"]
    assert len(dataset.where(label=lambda label: False)) == 0
    assert len(dataset.where()) == 18


@pytest.mark.parametrize(
    ("conditions", "message"),
    [
        ({"label": 1}, r"no clip has label=1.*say '1'"),
        ({"label": "seven"}, "It holds '0', '1', '2'"),
        ({"speaker": "anne"}, "Did you mean 'ann'"),
        ({"speaker": ["x1", "x2"]}, "no clip has speaker"),
        ({"speakers": "ann"}, r"no column 'speakers'.*file, label, speaker"),
        ({"split": "training"}, "Did you mean 'train'"),
    ],
)
def test_where_refuses_what_cannot_match(dataset, conditions, message):
    with pytest.raises(ValueError, match=message):
        dataset.where(**conditions)


def test_by_speaker_covers_every_clip_once(dataset):
    parts = dataset.by_speaker()
    assert list(parts) == sorted(SPLIT_OF)
    assert sum(map(len, parts.values())) == len(dataset)
    assert all(set(part.speakers) == {name} for name, part in parts.items())


@pytest.mark.parametrize("fraction", [0.2, 0.5, 0.75])
def test_random_split_covers_every_clip_once(dataset, fraction):
    first, second = dataset.random_split(fraction, np.random.default_rng(1))
    assert len(first) == round(18 * fraction)
    assert sorted(first.files + second.files) == sorted(dataset.files)
    again, _ = dataset.random_split(fraction, np.random.default_rng(1))
    assert again.files == first.files
    other, _ = dataset.random_split(fraction, np.random.default_rng(2))
    assert other.files != first.files


@pytest.mark.parametrize("seed", range(10))
def test_split_by_speaker_never_shares_a_voice_and_balances_groups(dataset, seed):
    first, second = dataset.split_by_speaker(0.5, np.random.default_rng(seed))
    datasets.assert_speaker_disjoint(first, second)
    assert sorted(first.files + second.files) == sorted(dataset.files)
    assert len(np.unique(first.speakers[first.groups == "x"])) == 2
    assert len(np.unique(first.speakers[first.groups == "y"])) == 1


@pytest.mark.parametrize("fraction", [0, 1, -0.5, 2, "half", None, True, float("nan"), 0.001])
def test_absurd_fractions_are_refused(dataset, fraction):
    rng = np.random.default_rng(1)
    with pytest.raises(ValueError, match="fraction="):
        dataset.random_split(fraction, rng)
    with pytest.raises(ValueError, match="fraction="):
        dataset.split_by_speaker(fraction, rng)


def test_shared_speakers_are_named(dataset):
    train, test = datasets.digits("train"), datasets.digits("test")
    datasets.assert_speaker_disjoint(train, test)
    with pytest.raises(ValueError, match="share 2 speakers: ann, bob"):
        datasets.assert_speaker_disjoint(train, dataset.where(speaker=["ann", "bob", "eve"]))


def test_sets_put_together_keep_every_column_in_order(dataset):
    one, other = dataset.where(speaker="bob"), dataset.where(speaker="ann")
    first = one.audio(0)
    both = datasets.together(one, other)
    assert both.files == one.files + other.files
    for column in ("labels", "speakers", "groups", "takes", "splits", "seconds"):
        np.testing.assert_array_equal(
            getattr(both, column), np.concatenate([getattr(one, column), getattr(other, column)])
        )
    assert both.audio(0) is first
    np.testing.assert_array_equal(both.audio(len(one)), other.audio(0))
    assert both.name == "digits and digits" and datasets.together(one, other, name="all").name == "all"


def test_what_cannot_be_put_together_is_refused(dataset):
    with pytest.raises(ValueError, match="Name at least one"):
        datasets.together()
    with pytest.raises(ValueError, match=r"twice: .* Leave them out"):
        datasets.together(dataset, dataset.where(speaker="ann"))
    others = dataset.where(speaker="bob")
    with pytest.raises(ValueError, match=r"different rates.*8000"):
        datasets.together(dataset.where(speaker="ann"), replace(others, sample_rate=8000))


# --------------------------------------------------------------------------------------------- the bundle


def test_each_part_of_the_bundle_is_read(bundle):
    assert datasets.bundle_folder() == bundle
    assert set(datasets.strings().labels) == {"5 0 3", "1 2"}
    assert set(datasets.words("test", groups="y").speakers) == {"fay"}
    heard = datasets.listen()
    assert heard.sample_rate == heard[0].sample_rate == 24_000
    assert heard[0].seconds == pytest.approx(heard.seconds[0])


@pytest.mark.parametrize("split", datasets.SPLITS)
def test_splits_hold_their_speakers(bundle, split):
    part = datasets.digits(split)
    assert set(part.speakers) == {speaker for speaker, s in SPLIT_OF.items() if s == split}
    assert part.name == f"digits {split}"
    assert set(datasets.digits(split, groups=["x", "y"]).files) == set(part.files)


@pytest.mark.parametrize("split", ["dev", "Train", "", 0])
def test_unknown_split_is_refused(bundle, split):
    with pytest.raises(ValueError, match="Expected one of train, validation, test"):
        datasets.digits(split)


def test_unknown_group_is_refused(bundle):
    with pytest.raises(ValueError, match=r"no clip has group='robots'.*'x', 'y'"):
        datasets.digits(groups="robots")


def test_missing_bundle_says_what_to_do(tmp_path, monkeypatch):
    monkeypatch.setenv("ASRLIB_BUNDLE", str(tmp_path / "nowhere"))
    with pytest.raises(DatasetUnavailable, match=r"metadata\.csv.* is not there.*ASRLIB_BUNDLE"):
        datasets.digits()
    with pytest.raises(DatasetUnavailable, match="SHA256SUMS"):
        datasets.verify()


def test_missing_files_are_counted_and_named(bundle):
    (bundle / "digits" / "bob_1.flac").unlink()
    (bundle / "digits" / "eve_0.flac").unlink()
    with pytest.raises(DatasetUnavailable, match=r"2 files .*'bob_1\.flac'"):
        datasets.digits()


@pytest.mark.parametrize(
    ("pattern", "replacement", "message"),
    [
        (HEADER, "file,label,voice,group,take,split,seconds", "lacks speaker; it has file, label, voice"),
        (r"^ann_0.flac,0,ann", "ann_0.flac,0,", "line 2: speaker is empty"),
        (r"^ann_0.flac,0,ann,x,0,train", "ann_0.flac,0,ann,x,0,dev", "line 2: split is 'dev'"),
        (r"^eve_0.flac,0,eve,x,0,test", "eve_0.flac,0,eve,x,0,train", "speaker 'eve' in train and in test"),
        (r"^ann_0.flac", "../ann_0.flac", r"line 2: file is '\.\./ann_0\.flac'.*inside"),
        (r"^ann_0.flac", "/ann_0.flac", "line 2: file is"),
        (r"train,0\.10$", "train,long", "line 2: seconds is 'long'"),
        (r"train,0\.10$", "train,-1", "line 2: seconds is '-1'"),
        (r"train,0\.10$", "train,nan", "line 2: seconds is 'nan'"),
        (r"train,0\.10$", "train", "line 2: seconds is empty"),
    ],
)
def test_wrong_metadata_is_refused_with_its_line(bundle, pattern, replacement, message):
    edit(bundle / "digits", pattern, replacement)
    with pytest.raises(ValueError, match=message):
        datasets.digits()


def test_empty_metadata_is_refused(bundle):
    (bundle / "digits" / "metadata.csv").write_text("")
    with pytest.raises(ValueError, match="lacks file"):
        datasets.digits()
    (bundle / "digits" / "metadata.csv").write_text(HEADER + "\n")
    with pytest.raises(ValueError, match="lists no clip"):
        datasets.digits()


def test_changed_metadata_is_read_again(bundle):
    assert "zed" not in datasets.digits().labels
    edit(bundle / "digits", r"^ann_0.flac,0", "ann_0.flac,zed")
    assert "zed" in datasets.digits().labels


def test_own_folder_with_one_voice_for_everything(bundle):
    folder = bundle / "digits"
    edit(folder, r"^eve_0.flac,0,eve,x,0,test", "eve_0.flac,0,eve,x,0,train")
    mine = datasets.from_folder(folder, name="mine", allow_shared_speakers=True)
    assert (mine.name, len(mine)) == ("mine", 18)


def test_own_folder_with_extra_columns_text_takes_and_a_spreadsheet_mark(tmp_path):
    audio.write(tmp_path / "a.wav", tone(0.2, rate=8000), sample_rate=8000)
    text = HEADER + ",notes\r\na.wav,yes,me,real,first,train,0.2,loud\r\n"
    (tmp_path / "metadata.csv").write_text(text, encoding="utf-8-sig", newline="")
    mine = datasets.from_folder(tmp_path)
    assert mine[0].take == "first"
    assert len(mine[0].samples) == 3200


def test_the_projects_own_bundle(monkeypatch):
    monkeypatch.delenv("ASRLIB_BUNDLE", raising=False)
    folder = datasets.bundle_folder()
    assert folder == Path(datasets.__file__).parent.parent / "data"
    result = datasets.verify()
    assert result.ok, str(result)
    assert set(datasets.digits().labels) == set("0123456789")
    for part in (datasets.digits, datasets.strings, datasets.words):
        for a, b in [("train", "validation"), ("train", "test"), ("validation", "test")]:
            datasets.assert_speaker_disjoint(part(a), part(b))
    for clip in [*datasets.digits("test")[:20], *datasets.strings("test")[:5], *datasets.listen()]:
        info = audio.info(clip.file)
        assert info.sample_rate == clip.sample_rate
        assert clip.seconds == pytest.approx(info.seconds, abs=1e-3)


# ------------------------------------------------------------------------------------------------- hashes


def test_an_intact_folder_verifies(bundle):
    result = datasets.verify()
    assert result and result.checked == 18 + 12 + 12 + 6 + 4
    assert "52 files checked, all as listed" in str(result)
    assert datasets.digits(check_files=True).files == datasets.digits().files


def test_missing_changed_and_unlisted_files_are_reported(bundle):
    (bundle / "digits" / "ann_0.flac").unlink()
    (bundle / "words" / "bob_1.flac").write_bytes(b"changed")
    (bundle / "strings" / "new.flac").write_bytes(b"new")
    (bundle / "strings" / ".DS_Store").write_bytes(b"hidden files are not ours")
    (bundle / "build").mkdir()
    (bundle / "build" / "recipe.py").write_text("beside the recordings")
    result = datasets.verify(bundle)
    assert not result.ok
    assert result.missing == ("digits/ann_0.flac",)
    assert result.changed == ("words/bob_1.flac",)
    assert result.unlisted == ("strings/new.flac",)
    for text in ("1 missing (digits/ann_0.flac)", "1 changed (words/bob_1.flac)", "1 unlisted"):
        assert text in str(result)
    assert datasets.verify(part="words").missing == ()
    with pytest.raises(DatasetUnavailable, match="1 changed"):
        datasets.words(check_files=True)
    assert datasets.listen(check_files=True)


@pytest.mark.parametrize("line", ["nonsense", "0" * 64 + "  ../outside", "0" * 64 + "  /etc/passwd"])
def test_a_wrong_line_of_hashes_is_refused(bundle, line):
    with (bundle / "SHA256SUMS").open("a") as stream:
        stream.write(line + "\n")
    with pytest.raises(ValueError, match="line 53"):
        datasets.verify()


def test_a_part_that_is_not_listed_is_refused(bundle):
    with pytest.raises(ValueError, match="lists nothing in 'noises'"):
        datasets.verify(part="noises")


def test_the_content_digest_depends_on_names_and_contents_only(tmp_path):
    contents = {"1_a_0.wav": b"x", "0_b_1.wav": b"y"}
    lines = [f"{hashlib.sha256(c).hexdigest()}  {n}\n" for n, c in sorted(contents.items())]
    expected = hashlib.sha256("".join(lines).encode()).hexdigest()
    for name, content in contents.items():
        (tmp_path / name).write_bytes(content)
    (tmp_path / "README.md").write_text("not a recording")
    assert datasets.recordings_digest(tmp_path) == expected
    (tmp_path / "1_a_0.wav").write_bytes(b"z")
    assert datasets.recordings_digest(tmp_path) != expected


# -------------------------------------------------------------------------------- a server that misbehaves


class Server:
    """Serves one body; what it does wrong is set by attributes."""

    def __init__(self):
        self.body = b""
        self.tag = '"one"'
        self.ranges = True
        self.states_length = True
        self.break_after: list[int] = []  # bytes sent before each of the first answers breaks off
        self.statuses: list[int] = []  # statuses of the first answers
        self.seen: list[str | None] = []  # the Range header of each request

    @property
    def url(self):
        return f"http://127.0.0.1:{self.port}/archive.zip"

    def answer(self, handler):
        wanted = handler.headers.get("Range")
        self.seen.append(wanted)
        if self.statuses and (status := self.statuses.pop(0)) != 200:
            handler.send_error(status)
            return
        start = 0
        if wanted and self.ranges and handler.headers.get("If-Range") == self.tag:
            start = int(re.fullmatch(r"bytes=(\d+)-", wanted)[1])
            if start >= len(self.body):
                handler.send_error(416)
                return
        handler.send_response(206 if start else 200)
        if start:
            handler.send_header("Content-Range", f"bytes {start}-{len(self.body) - 1}/{len(self.body)}")
        if self.states_length:
            handler.send_header("Content-Length", str(len(self.body) - start))
        if self.tag:
            handler.send_header("ETag", self.tag)
        handler.end_headers()
        end = start + self.break_after.pop(0) if self.break_after else None
        handler.wfile.write(self.body[start:end])


@pytest.fixture
def server(monkeypatch):
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    monkeypatch.setattr(_download.time, "sleep", lambda seconds: None)
    state = Server()

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self):
            state.answer(self)

        def log_message(self, *args):
            pass

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler) as running:
        state.port = running.server_address[1]
        thread = threading.Thread(target=functools.partial(running.serve_forever, poll_interval=0.01))
        thread.start()
        yield state
        running.shutdown()
        thread.join()


def wav_bytes(seed):
    buffer = io.BytesIO()
    import soundfile

    samples = np.random.default_rng(seed).uniform(-0.3, 0.3, 4000)
    soundfile.write(buffer, samples, 8000, format="WAV", subtype="PCM_16")
    return buffer.getvalue()


@functools.cache
def recordings():
    names = [
        f"{label}_{speaker}_{take}.wav" for label in (0, 7) for speaker in ("ann", "bob") for take in (4, 5)
    ]
    return {name: wav_bytes(seed) for seed, name in enumerate(names)}


def digest_of(contents):
    lines = [f"{hashlib.sha256(c).hexdigest()}  {n}\n" for n, c in sorted(contents.items())]
    return hashlib.sha256("".join(lines).encode()).hexdigest()


def zip_of(members, *, prefix="fsdd-1.0/recordings/"):
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("fsdd-1.0/", "")
        archive.writestr("fsdd-1.0/README.md", "about")
        for name, content in members.items():
            archive.writestr(prefix + name, content)
    return buffer.getvalue()


def tar_of(members, *, extra=()):
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w:gz") as archive:
        for name, content in members.items():
            member = tarfile.TarInfo(f"fsdd-1.0/recordings/{name}")
            member.size = len(content)
            archive.addfile(member, io.BytesIO(content))
        for member in extra:
            archive.addfile(member)
    return buffer.getvalue()


@pytest.fixture
def fetched(server, tmp_path, monkeypatch):
    """The data set as one would get it from this server, the cache in a fresh folder."""
    server.body = zip_of(recordings())
    server.cache = tmp_path / "cache" / "fsdd" / "recordings"
    monkeypatch.delenv("ASRLIB_DATA", raising=False)
    monkeypatch.setattr(datasets, "_fsdd_cache", lambda: server.cache)
    monkeypatch.setattr(datasets, "FSDD_SOURCES", (server.url,))
    monkeypatch.setattr(datasets, "FSDD_DIGEST", digest_of(recordings()))
    return server


def assert_nothing_is_left(server):
    assert not server.cache.exists()
    left = list(server.cache.parent.iterdir()) if server.cache.parent.exists() else []
    assert all(path.name.endswith((".part", ".tag")) for path in left), left
    assert {p.name for p in server.cache.parent.parent.parent.iterdir()} <= {"cache"}


@pytest.mark.parametrize("make", [zip_of, tar_of])
def test_fsdd_is_downloaded_once_and_checked(fetched, make, capsys):
    fetched.body = make(recordings())
    everything = datasets.fsdd()
    assert len(everything) == 8
    assert "CC BY-SA 4.0" in capsys.readouterr().out
    assert sorted(p.name for p in fetched.cache.parent.iterdir()) == ["recordings"]
    assert everything.labels.tolist() == ["0"] * 4 + ["7"] * 4
    assert everything.groups.tolist() == ["real"] * 8
    assert datasets.fsdd("test").takes.tolist() == [4] * 4
    assert datasets.fsdd("train").takes.tolist() == [5] * 4
    assert len(everything[0].samples) == 8000  # half a second at 16 kHz, stored at 8 kHz
    assert len(fetched.seen) == 1


CHUNK = 1 << 14  # what is lost of a broken answer is less than this


def resumed_at(server):
    return [int(re.fullmatch(r"bytes=(\d+)-", wanted)[1]) if wanted else 0 for wanted in server.seen]


def test_a_broken_download_goes_on_where_it_broke(fetched):
    fetched.break_after = [20_000, 21_000]
    assert len(datasets.fsdd()) == 8
    first, second, third = resumed_at(fetched)
    assert first == 0 < 20_000 - CHUNK < second <= 20_000 < third <= 41_000


def test_a_stopped_download_goes_on_in_the_next_run(fetched, monkeypatch):
    fetched.break_after = [20_000]
    monkeypatch.setattr(datasets, "download", functools.partial(download_with, attempts=1), raising=True)
    with pytest.raises(DatasetUnavailable, match="broke off"):
        datasets.fsdd()
    assert_nothing_is_left(fetched)
    assert len(datasets.fsdd()) == 8
    first, second = resumed_at(fetched)
    assert first == 0 < second <= 20_000


def download_with(url, *, folder, attempts):
    import pooch

    name = hashlib.sha256(url.encode()).hexdigest()[:16] + ".archive"
    downloader = _download.ResumingDownloader(partial=folder / f"{name}.part", attempts=attempts)
    return Path(pooch.retrieve(url, known_hash=None, fname=name, path=folder, downloader=downloader))


def test_a_server_that_cannot_resume_is_asked_for_the_whole(fetched):
    fetched.ranges = False
    fetched.break_after = [20_000]
    assert len(datasets.fsdd()) == 8
    assert resumed_at(fetched)[1] > 0  # asked for, not given


def test_a_server_without_tags_is_asked_for_the_whole(fetched):
    fetched.tag = ""
    fetched.break_after = [20_000]
    assert len(datasets.fsdd()) == 8
    assert fetched.seen == [None, None]


def test_content_that_changed_meanwhile_is_not_glued_together(fetched):
    fetched.break_after = [20_000]
    original, changed = fetched.answer, zip_of(dict(reversed(recordings().items())))
    assert changed[:20_000] != fetched.body[:20_000]

    def answer(handler):
        original(handler)
        fetched.tag, fetched.body = '"two"', changed

    fetched.answer = answer
    assert len(datasets.fsdd()) == 8
    assert resumed_at(fetched)[1] > 0  # asked for, but of the old content


def test_a_whole_part_from_an_earlier_run_is_not_fatal(fetched):
    fetched.cache.parent.mkdir(parents=True)
    name = hashlib.sha256(fetched.url.encode()).hexdigest()[:16] + ".archive.part"
    (fetched.cache.parent / name).write_bytes(fetched.body)
    (fetched.cache.parent / f"{name}.tag").write_text(fetched.tag)
    assert len(datasets.fsdd()) == 8


def test_a_download_of_unknown_length_works(fetched):
    fetched.states_length = False
    assert len(datasets.fsdd()) == 8


def test_a_busy_server_is_asked_again(fetched):
    fetched.statuses = [503, 429, 500]
    assert len(datasets.fsdd()) == 8
    assert len(fetched.seen) == 4


def test_a_server_that_stays_broken_is_given_up(fetched):
    fetched.statuses = [500] * 50
    with pytest.raises(DatasetUnavailable, match=r"127\.0\.0\.1 answers 500.*ASRLIB_DATA"):
        datasets.fsdd()
    assert len(fetched.seen) == 5
    assert_nothing_is_left(fetched)


def test_the_next_source_is_tried_when_one_is_gone(fetched, monkeypatch):
    monkeypatch.setattr(datasets, "FSDD_SOURCES", (fetched.url, fetched.url + "?other"))
    fetched.statuses = [404]
    assert len(datasets.fsdd()) == 8
    assert len(fetched.seen) == 2


def test_without_a_network_both_ways_out_are_told(fetched, monkeypatch, tmp_path):
    monkeypatch.setattr(datasets, "FSDD_SOURCES", ("http://127.0.0.1:9/fsdd.zip", fetched.url))
    monkeypatch.setenv("ASRLIB_DATA", str(tmp_path))
    with pytest.raises(DatasetUnavailable) as caught:
        datasets.fsdd()
    message = str(caught.value)
    assert "127.0.0.1 cannot be reached" in message
    assert "get online" in message and "ASRLIB_DATA" in message and "fsdd/recordings" in message
    assert f"names {str(tmp_path)!r} now, which does not" in message
    assert len(message) < 600
    assert not fetched.seen  # where there is no network, no other source helps
    assert_nothing_is_left(fetched)


def test_download_false_stays_offline(fetched):
    with pytest.raises(DatasetUnavailable, match="is not here"):
        datasets.fsdd(download=False)
    assert not fetched.seen
    assert not fetched.cache.parent.exists()


def test_a_cache_that_cannot_be_written_is_an_answer(fetched):
    fetched.cache.parent.parent.mkdir(parents=True)
    fetched.cache.parent.write_text("a file where the folder should be")
    with pytest.raises(DatasetUnavailable, match="could not be downloaded"):
        datasets.fsdd()


@pytest.mark.parametrize(
    "change",
    [
        lambda members: members | {"0_ann_4.wav": b"changed"},
        lambda members: dict(list(members.items())[:-1]),
        lambda members: members | {"9_new_0.wav": b"new"},
        lambda members: {},
    ],
    ids=["changed", "missing", "more", "none"],
)
def test_a_wrong_content_is_refused_and_not_kept(fetched, change):
    fetched.body = zip_of(change(recordings()))
    with pytest.raises(DatasetUnavailable, match=r"have the digest [0-9a-f]{12}\.\.\., not"):
        datasets.fsdd()
    assert_nothing_is_left(fetched)
    fetched.body = zip_of(recordings())
    assert len(datasets.fsdd()) == 8


@pytest.mark.parametrize(
    "body",
    [
        b"<html>log in to the hotel's network</html>",
        zip_of({"0_ann_4.wav": b"x" * 500})[:-30],
        tar_of(recordings())[:3000],
        zip_of(recordings())[:1000] + b"damage" + zip_of(recordings())[1006:],
        b"",
    ],
    ids=["a web page", "a cut zip", "a cut tar", "a damaged zip", "nothing"],
)
def test_what_is_no_archive_is_refused(fetched, body):
    fetched.body = body
    with pytest.raises(DatasetUnavailable, match=r"archive|digest"):
        datasets.fsdd()
    assert_nothing_is_left(fetched)


HOSTILE_NAMES = [
    "../0_ann_4.wav",
    "recordings/../../0_ann_4.wav",
    "/tmp/recordings/0_ann_4.wav",
    "..\\recordings\\0_ann_4.wav",
    "C:/recordings/0_ann_4.wav",
    "\\\\host\\recordings\\0_ann_4.wav",
]


@pytest.mark.parametrize("name", HOSTILE_NAMES)
def test_a_zip_that_points_outside_is_refused_whole(fetched, name):
    fetched.body = zip_of(recordings() | {}, prefix="fsdd-1.0/recordings/")
    buffer = io.BytesIO(fetched.body)
    with zipfile.ZipFile(buffer, "a") as archive:
        archive.writestr(zipfile.ZipInfo(name), b"hostile")
    fetched.body = buffer.getvalue()
    with pytest.raises(DatasetUnavailable, match="nothing was unpacked"):
        datasets.fsdd()
    assert_nothing_is_left(fetched)


def test_a_zip_with_a_link_is_refused_whole(fetched):
    buffer = io.BytesIO(fetched.body)
    with zipfile.ZipFile(buffer, "a") as archive:
        link = zipfile.ZipInfo("fsdd-1.0/recordings/9_link_0.wav")
        link.create_system, link.external_attr = 3, (stat.S_IFLNK | 0o777) << 16
        archive.writestr(link, "/etc/passwd")
    fetched.body = buffer.getvalue()
    with pytest.raises(DatasetUnavailable, match="a link"):
        datasets.fsdd()
    assert_nothing_is_left(fetched)


@pytest.mark.parametrize("kind", [tarfile.SYMTYPE, tarfile.LNKTYPE, tarfile.FIFOTYPE, tarfile.CHRTYPE])
def test_a_tar_with_anything_but_files_is_refused_whole(fetched, kind):
    link = tarfile.TarInfo("fsdd-1.0/recordings/9_link_0.wav")
    link.type, link.linkname = kind, "/etc/passwd"
    fetched.body = tar_of(recordings(), extra=[link])
    with pytest.raises(DatasetUnavailable, match="a link"):
        datasets.fsdd()
    assert_nothing_is_left(fetched)


@pytest.mark.parametrize("name", HOSTILE_NAMES)
def test_a_tar_that_points_outside_is_refused_whole(fetched, name):
    fetched.body = tar_of(recordings(), extra=[tarfile.TarInfo(name)])
    with pytest.raises(DatasetUnavailable, match="nothing was unpacked"):
        datasets.fsdd()
    assert_nothing_is_left(fetched)


def test_an_archive_that_swells_is_refused(tmp_path):
    archive = tmp_path / "bomb.zip"
    archive.write_bytes(zip_of({"0_ann_4.wav": bytes(5 << 20)}))
    assert archive.stat().st_size < 1 << 16
    (tmp_path / "out").mkdir()
    with pytest.raises(_download.NotThere, match="more than 1 MiB"):
        _download.unpack(archive, into=tmp_path / "out", wanted=lambda member: True, largest=1 << 20)


def test_an_archive_that_states_too_much_is_refused(tmp_path, monkeypatch):
    archive = tmp_path / "many.tar.gz"
    archive.write_bytes(tar_of(recordings()))
    for limit in ("_MOST_MEMBERS", "_LARGEST_UNPACKED"):
        with monkeypatch.context() as patch:
            patch.setattr(_download, limit, 3)
            with pytest.raises(_download.NotThere, match="more than"):
                _download.unpack(archive, into=tmp_path, wanted=lambda member: True)


def test_a_download_without_end_is_cut(fetched, monkeypatch):
    monkeypatch.setattr(_download, "_LARGEST_DOWNLOAD", 1 << 14)
    fetched.states_length = False
    with pytest.raises(DatasetUnavailable, match="MiB came"):
        datasets.fsdd()
    assert_nothing_is_left(fetched)


def test_an_interruption_leaves_nothing_half_done(fetched, monkeypatch):
    copy = _download._copy_out

    def interrupted(chosen, **options):
        copy(dict(list(chosen.items())[:3]), **options)
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(_download, "_copy_out", interrupted)
        with pytest.raises(KeyboardInterrupt):
            datasets.fsdd()
    assert not fetched.cache.exists()
    assert len(datasets.fsdd()) == 8
    assert len(fetched.seen) == 1  # the archive was whole; it is not downloaded again
    assert sorted(p.name for p in fetched.cache.parent.iterdir()) == ["recordings"]


def test_two_processes_at_once_end_well(fetched, tmp_path):
    fetched.cache.mkdir(parents=True)
    for name, content in recordings().items():
        (fetched.cache / name).write_bytes(content)
    datasets._fetch_recordings(
        datasets.FSDD_SOURCES, into=fetched.cache, digest=datasets.FSDD_DIGEST
    )  # the other was quicker
    assert sorted(p.name for p in fetched.cache.parent.iterdir()) == ["recordings"]


def test_a_damaged_cache_is_not_used(fetched):
    datasets.fsdd()
    datasets._checked_recordings.cache_clear()
    (fetched.cache / "0_ann_4.wav").unlink()
    with pytest.raises(DatasetUnavailable, match=r"holds 7 recordings.*Remove that folder"):
        datasets.fsdd()


@pytest.mark.parametrize("below", ["fsdd/recordings", "recordings"])
def test_the_named_folder_comes_first(fetched, monkeypatch, tmp_path, below):
    folder = tmp_path / "mine" / below
    folder.mkdir(parents=True)
    for name, content in recordings().items():
        (folder / name).write_bytes(content)
    monkeypatch.setenv("ASRLIB_DATA", str(tmp_path / "mine"))
    assert datasets.fsdd_folder() == folder
    assert len(datasets.fsdd("train")) == 4
    assert not fetched.seen


def test_unknown_official_split_is_refused(fetched):
    with pytest.raises(ValueError, match="'train' or 'test'"):
        datasets.fsdd("validation")
    assert not fetched.seen


# --------------------------------------------------------------------------------------- the real recordings


@pytest.fixture
def fsdd():
    named = os.environ.get("ASRLIB_DATA")
    if not named:
        pytest.skip("ASRLIB_DATA is not set; it names the folder with the real recordings")
    if not any(datasets._holds_recordings(Path(named) / b) for b in ("fsdd/recordings", "recordings")):
        pytest.skip(f"ASRLIB_DATA names {named!r}, which holds no fsdd/recordings")
    return datasets.fsdd()


def test_real_recordings_are_complete(fsdd):
    assert len(fsdd) == datasets.FSDD_CLIPS
    assert datasets.recordings_digest(fsdd.files[0].parent) == datasets.FSDD_DIGEST
    assert set(fsdd.speakers) == {"george", "jackson", "lucas", "nicolas", "theo", "yweweler"}
    for part in fsdd.by_speaker().values():
        assert np.unique(part.labels, return_counts=True)[1].tolist() == [50] * 10
    assert (len(fsdd.where(split="train")), len(fsdd.where(split="test"))) == (2700, 300)


def test_real_recordings_arrive_at_the_course_rate(fsdd):
    chosen = fsdd[::50]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", audio.AudioWarning)
        arrays = chosen.arrays()
    for clip_file, samples, seconds in zip(chosen.files, arrays, chosen.seconds, strict=True):
        assert audio.info(clip_file).sample_rate == 8000
        assert len(samples) == pytest.approx(seconds * 16_000, abs=2)
        assert np.abs(samples).max() <= 1
        assert samples.any()


def test_scaled_clips_are_told_in_one_line(fsdd):
    loud = fsdd.where(file=[f"6_jackson_{take}.wav" for take in (22, 23, 47, 49)])
    loud._cache.clear()
    with pytest.warns(audio.AudioWarning) as caught:
        loud.arrays()
    assert len(caught) == 1
    assert "fsdd: this happened to 3 of its clips" in str(caught[0].message)


# ----------------------------------------------------------------------------------------------- imports


def test_importing_datasets_loads_no_heavy_library():
    code = (
        "import sys, asrlib.datasets; "
        "print([m for m in ('tensorflow', 'librosa', 'soundfile', 'pooch', 'requests') if m in sys.modules])"
    )
    root = Path(__file__).parent.parent
    result = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=root
    )
    assert result.stdout.strip() == "[]"
