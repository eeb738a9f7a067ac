"""Objects that are written once, and what names an input's bytes."""

from concurrent.futures import ThreadPoolExecutor

import pytest

from app.errors import StoreUnavailable
from app.storage.s3_parts import S3Parts, listing_version, version_of
from tests.jobs import aws_faults
from tests.machine.conftest import Cloud


def test_the_first_one_stays(cloud: Cloud) -> None:
    """Of several writers of one name one wins, the others hear of it, and its bytes stay; replacing is said so."""
    kept = S3Parts(cloud.bucket, "out/")
    assert kept.add("a", b"first", "text/plain")
    with ThreadPoolExecutor(4) as pool:
        assert [False] * 4 == list(pool.map(lambda body: kept.add("a", body, "text/plain"), [b"1", b"2", b"3", b"4"]))
    assert {"out/a": b"first"} == cloud.objects()

    kept.replace("a", b"second", "text/plain")
    assert {"out/a": b"second"} == cloud.objects()


def test_versions(cloud: Cloud) -> None:
    """The version changes with the bytes and the files, and is none where nothing is."""
    assert (None, None) == (version_of(cloud.bucket, "in/a"), listing_version(cloud.bucket, "in/"))
    found = set()
    for key, body in (("in/a", b"1"), ("in/a", b"2"), ("in/b", b"2")):
        cloud.put(key, body)
        found.add((version_of(cloud.bucket, "in/a"), listing_version(cloud.bucket, "in/")))

    assert 3 == len(found)
    assert 2 == len({version for version, _ in found})


def test_another_no_is_not_there(cloud: Cloud) -> None:
    """Only S3's word that an object is there makes it one; whatever else it refuses is told, or a part would count that nobody has."""
    cloud.server.fail("PUT", aws_faults.answer(400, ""))
    with pytest.raises(StoreUnavailable):
        S3Parts(cloud.bucket, "out/").add("a", b"", "text/plain")
