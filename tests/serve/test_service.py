import json
import socket
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from io import BytesIO

import numpy as np
import pytest
from PIL import Image

from hevitpose.core.skeleton import MPII16
from hevitpose.inference.network import DEFAULT, find_weights
from hevitpose.serve.settings import Refused, parse_options

JPEG = {"Content-Type": "image/jpeg"}


@pytest.fixture(scope="module")
def large():
    """A PNG of 4 megapixels in few bytes."""
    file = BytesIO()
    Image.new("1", (2000, 2000)).save(file, "PNG")
    return file.getvalue()


@pytest.mark.parametrize(
    ("query", "boxes", "names"),
    [
        ("", None, None),
        ("keypoints=right%20dot,nose", None, ["right dot", "nose"]),
        ("boxes=5,6,20,30&boxes=1,1,30,20", [[5, 6, 25, 36], [1, 1, 31, 21]], None),
        ("min_person_score=0", None, None),
    ],
)
def test_an_answer_is_what_predict_writes(serving, estimator, photos, query, boxes, names):
    expected = estimator(photos[0], boxes).to_json()
    for person in expected["people"] if names else []:
        person["keypoints"] = {name: person["keypoints"][name.replace(" ", "_")] for name in names}
    with serving() as client:
        status, body, headers = client.pose(photos[0], query)
    assert (status, json.loads(body)) == (200, expected)
    assert len(expected["people"]) == len(boxes or [1])
    assert expected["file"] is None
    assert headers["Cross-Origin-Opener-Policy"] == "same-origin"
    assert headers["server"] is None


def test_limits_of_a_request_leave_people_out(serving, photos):
    with serving() as client:
        assert json.loads(client.pose(photos[0], "min_person_score=1")[1])["people"] == []
        assert len(json.loads(client.pose(photos[0])[1])["people"]) == 1


def test_of_given_boxes_only_the_best_people_are_kept(serving, estimator, photos):
    boxes = [[5, 6, 25, 36], [1, 1, 31, 21]]
    query = "boxes=5,6,20,30&boxes=1,1,30,20"
    both = estimator(photos[0], boxes).to_json()["people"]
    best = max(both, key=lambda person: person["score"])
    with serving() as client:
        assert json.loads(client.pose(photos[0], query)[1])["people"] == both
        assert json.loads(client.pose(photos[0], f"{query}&max_people=1")[1])["people"] == [best]
        assert json.loads(client.pose(photos[0], f"{query}&max_people=2")[1])["people"] == both


def test_requests_with_other_limits_in_one_batch_get_their_own(serving, network, photos, until):
    boxes = "boxes=5,6,20,30&boxes=1,1,30,20"
    queries = {boxes: 2, f"{boxes}&max_people=1": 1, "min_person_score=1": 0, "max_people=1": 1}
    network.gate.clear()
    with serving() as client, ThreadPoolExecutor(5) as pool:
        first = pool.submit(client.pose, photos[1])
        until(lambda: b"hevitpose_batch_images_count 1.0" in client("GET", "/metrics")[1])
        waiting = [pool.submit(client.pose, photos[0], query) for query in queries]
        until(lambda: b"hevitpose_requests 5.0" in client("GET", "/metrics")[1])
        time.sleep(0.1)  # the last body may be on its way still
        network.gate.set()
        assert [len(json.loads(each.result()[1])["people"]) for each in waiting] == list(queries.values())
        assert first.result()[0] == 200
        assert b"hevitpose_batch_images_sum 5.0" in (shown := client("GET", "/metrics")[1])
        assert b"hevitpose_batch_images_count 2.0" in shown


def test_bad_requests_are_refused_with_a_reason_and_nothing_of_this_machine(serving, photos, large):
    photo = photos[0]
    scans = b"\xff\xd8" + b"\xff\xda\x00\x0c" * 200
    cases = [
        (400, "unknown option", "format=xml", photo, JPEG),
        (400, "boxes", "boxes=1,2,3", photo, JPEG),
        (400, "empty", "", b"", JPEG),
        (413, "3 megapixels", "", large, JPEG),
        (413, "0.05 MB", "", bytes(50_001), JPEG),
        (415, "Content-Type", "", photo, {"Content-Type": "application/x-www-form-urlencoded"}),
        (415, "Content-Type", "", photo, {}),
        (415, "not an image", "", b"%PDF-1.4", JPEG),
        (415, "not an image", "", b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n", JPEG),
        (422, "broken", "", photo[: len(photo) // 2], JPEG),
        (422, "scans", "", scans, JPEG),
        (422, "outside", "boxes=500,500,10,10", photo, JPEG),
    ]
    with serving(max_megapixels=3, max_megabytes=0.05) as client:
        for status, words, query, body, headers in cases:
            found, text, _ = client.pose(body, query, headers)
            assert (found, list(json.loads(text))) == (status, ["error"]), text
            assert words in json.loads(text)["error"]
            assert b"/" not in text.replace(b"image/", b"")
        assert client("GET", "/v1/pose")[0] == 405
        assert client("GET", "/none")[0] == 404
        assert client.pose(photo)[0] == 200


@pytest.mark.parametrize(
    "query",
    [
        [("max_people", "0")],
        [("max_people", "1"), ("max_people", "2")],
        [("min_person_score", "nan")],
        [("min_person_score", "1_0e-1")],
        [("min_person_score", "1.1")],
        [("boxes", "1,2,0,4")],
        [("boxes", "1,2,3,4"), ("min_person_score", "0.5")],
        [("boxes", "1,2,inf,4")],
        [("boxes", "")],
        [("boxes", "1,2,3,4")] * 101,
        [("keypoints", "coco17")],
        [("keypoints", "")],
    ],
)
def test_malformed_options_are_refused(query):
    with pytest.raises(Refused) as refusal:
        parse_options(query, MPII16.keypoints)
    assert refusal.value.status == 400


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({}, 200),
        ({"Host": "localhost:9000"}, 200),  # through a tunnel from another port
        ({"Host": "[::1]:8080"}, 200),
        ({"Host": "localhost", "Origin": "http://localhost"}, 200),
        ({"Host": "evil.example"}, 403),
        ({"Host": "127.0.0.1.evil.example"}, 403),
        ({"Host": "0.0.0.0"}, 403),
        ({"Origin": "http://evil.example"}, 403),
        ({"Host": "localhost", "Origin": "http://localhost:3000"}, 403),
        ({"Origin": "null"}, 403),
        ({"Host": "["}, 403),
        ({"Origin": "http://["}, 403),
    ],
)
def test_other_sites_are_refused(serving, headers, status):
    with serving() as client:
        assert client("GET", "/healthz", headers=headers)[0] == status


def test_the_token_guards_poses_and_metrics(serving, photos):
    with serving(token="correct horse", loopback=False) as client:
        for headers in ({}, {"Authorization": "Bearer wrong"}, {"Authorization": "Basic correct horse"}):
            status, _, answered = client.pose(photos[0], headers=JPEG | headers)
            assert (status, answered["WWW-Authenticate"]) == (401, "Bearer")
            assert client("GET", "/metrics", headers=headers)[0] == 401
        right = {"Authorization": "Bearer correct horse", "Host": "pose.example"}
        assert client.pose(photos[0], headers=JPEG | right)[0] == 200
        assert client("GET", "/healthz", headers={})[0] == 200


def raw(client, *parts, pause=0.0):
    """Send the parts, and give all that comes back until the connection is closed."""
    with socket.create_connection(("127.0.0.1", client.port), timeout=20) as connection:
        for part in parts:
            connection.sendall(part)
            time.sleep(pause)
        received = b""
        try:
            while more := connection.recv(65536):
                received += more
        except ConnectionResetError:
            pass
        return received


HEAD = b"POST /v1/pose HTTP/1.1\r\nHost: localhost\r\nContent-Type: image/jpeg\r\nConnection: close\r\n"


def test_large_slow_and_truncated_requests_are_ended(serving, photos, until):
    with serving(max_megabytes=0.01, read_seconds=0.4) as client:
        assert b" 413 " in raw(client, HEAD + b"Content-Length: 99999999999\r\n\r\n")
        chunk = b"2000\r\n" + bytes(0x2000) + b"\r\n"
        assert b" 413 " in raw(client, HEAD + b"Transfer-Encoding: chunked\r\n\r\n", chunk, chunk)
        assert b" 408 " in raw(client, HEAD + b"Content-Length: 50\r\n\r\n", b"few")
        started = time.monotonic()
        assert raw(client, HEAD) == b""  # a head that never ends
        assert time.monotonic() - started < 10
        with socket.create_connection(("127.0.0.1", client.port)) as connection:
            connection.sendall(HEAD + b"Content-Length: 50\r\n\r\nfew")
        until(lambda: b"hevitpose_requests 0.0" in client("GET", "/metrics")[1])
        for request in (b"nonsense\r\n\r\n", b"POST /v1/pose HTTP/1.1\r\nHost: localhost\r\nContent-Length: x\r\n\r\n"):
            answer = raw(client, request)
            assert b" 400 " in answer
            assert answer.endswith(b'{"error": "Invalid HTTP request received"}')
        assert client.pose(photos[0])[0] == 200


def test_a_full_service_says_when_to_come_back(serving, network, photos, until):
    network.gate.clear()
    with serving(max_requests=2) as client, ThreadPoolExecutor(2) as pool:
        waiting = [pool.submit(client.pose, photos[0]) for _ in range(2)]
        until(lambda: b"hevitpose_requests 2.0" in client("GET", "/metrics")[1])
        status, _, headers = client.pose(photos[0])
        assert (status, headers["Retry-After"]) == (429, "1")
        assert client("GET", "/readyz")[0] == 503
        network.gate.set()
        assert [each.result()[0] for each in waiting] == [200, 200]
        assert client("GET", "/readyz")[0] == 200


def test_what_takes_too_long_is_given_up(serving, network, photos):
    network.gate.clear()
    with serving(answer_seconds=0.2) as client:
        status, _, headers = client.pose(photos[0])
        assert (status, headers["Retry-After"]) == (503, "5")
        network.gate.set()
        assert client.pose(photos[0])[0] == 200


def test_a_failure_of_one_image_spoils_no_other(serving, estimator, photos, caplog):
    stream = estimator.__class__.stream

    class Fragile(estimator.__class__):
        def stream(self, frames):
            frames = list(frames)
            assert all(frame.image.shape[1] != 50 for frame in frames), "/secret/path"
            return stream(self, frames)

    estimator.__class__ = Fragile
    with serving() as client, ThreadPoolExecutor(8) as pool:
        answers = list(pool.map(client.pose, photos))
    assert [status for status, _, _ in answers] == [200, 500] + [200] * 6
    assert json.loads(answers[1][1]) == {"error": "internal error"}
    assert "/secret/path" in caplog.text


def test_many_at_a_time_get_what_single_ones_get(serving, estimator, network, photos):
    expected = [estimator(photo).to_json() for photo in photos]
    broken = photos[0][:-100]
    with serving() as client, ThreadPoolExecutor(16) as pool:
        network.batches.clear()
        bodies = [broken if n % 5 == 4 else photos[n % 8] for n in range(100)]
        answers = list(pool.map(client.pose, bodies))
    for n, (status, body, _) in enumerate(answers):
        assert status == (422 if n % 5 == 4 else 200)
        if status == 200:
            for person, other in zip(json.loads(body)["people"], expected[n % 8]["people"], strict=True):
                for name, keypoint in person["keypoints"].items():
                    assert keypoint == pytest.approx(other["keypoints"][name], abs=0.01)
    assert max(network.batches) == 4


def test_what_was_accepted_is_answered_before_the_end(serving, network, photos, until):
    network.gate.clear()
    with serving() as client, ThreadPoolExecutor(1) as pool:
        waiting = pool.submit(client.pose, photos[0])
        until(lambda: b"hevitpose_requests 1.0" in client("GET", "/metrics")[1])
        client.server.should_exit = True
        threading.Timer(0.3, network.gate.set).start()
        assert waiting.result()[0] == 200


def test_the_page_is_served_where_there_is_one(serving, tmp_path):
    (tmp_path / "page").mkdir()
    (tmp_path / "page" / "index.html").write_text("<title>poses</title>")
    (tmp_path / "secret").write_text("secret")
    with serving(page=tmp_path / "page") as client:
        weights = find_weights(DEFAULT)
        assert client("GET", f"/models/{weights.name}?0123")[1] == weights.read_bytes()
        assert client("GET", "/models/none.onnx")[0] == 404
        status, body, headers = client("GET", "/")
        assert (status, body) == (200, b"<title>poses</title>")
        assert headers["Cross-Origin-Embedder-Policy"] == "require-corp"
        assert client("GET", "/../secret")[0] == 404
        assert client("GET", "/%2e%2e/secret")[0] == 404
    with serving(page=tmp_path) as client:
        assert b"make web" in client("GET", "/")[1]


def test_the_description_names_every_path_and_option(serving):
    with serving(token="correct horse") as client:
        found = json.loads(client("GET", "/openapi.json")[1])
    assert set(found["paths"]) == {"/v1/pose", "/healthz", "/readyz", "/metrics"}
    post = found["paths"]["/v1/pose"]["post"]
    assert [each["name"] for each in post["parameters"]] == ["keypoints", "min_person_score", "max_people", "boxes"]
    assert set(post["responses"]) == {"200", "400", "401", "403", "408", "413", "415", "422", "429", "503"}


def test_deep_images_and_transparent_ones_are_read(serving):
    for mode in ("I;16", "RGBA", "CMYK"):
        file = BytesIO()
        Image.fromarray(np.full((40, 40), 9, np.uint16)).save(file, "PNG") if mode == "I;16" else Image.new(
            mode, (40, 40)
        ).save(file, "TIFF")
        with serving() as client:
            assert client.pose(file.getvalue())[0] == 200
