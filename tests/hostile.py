"""Hostile calls, as a property-based generator makes them: JSON of any shape in place of what an endpoint takes, and HTTP that
no page would write."""

from __future__ import annotations

import json

from hypothesis import strategies as st

SECRET = "a prompt that is nobody's business"
GOOD = {
    "generate": ["an ankle boot", "", 7, 1, 1.0, "ddim", "constant", "32 x 32", "fashion", "cfg", True, 1],
    "sweep": ["a handbag", "1,2", "7", "constant", 1, "fashion", "steps", "1,2", "seed", ""],
    "reconstruct": [
        {"path": "/visitors/x.png", "meta": {"_type": "gradio.FileData"}},
        ["fashion"],
        "mean",
        "float32",
        False,
    ],
}
PATHS = [
    "/etc/passwd",
    "",
    "../../etc/passwd",
    "/visitors/../../etc/passwd",
    "http://127.0.0.1:1/x",
    "\0",
    "file:///etc/hosts",
]
TEXTS = [
    SECRET,
    f"{SECRET}\x1b[31m\nsecond line",
    "\ud800",
    "NaN",
    "1-8(0)",
    "0-1e9(1e-9)",
    "\u202e\U0001f600",
    "9" * 400,
]

numbers = st.one_of(st.integers(), st.floats(), st.sampled_from([10**400, -(2**63), 2**32, 1e308, 1.5, True, 0]))
texts = st.one_of(st.sampled_from(TEXTS), st.text(max_size=60), st.text(min_size=401, max_size=900))
files = st.fixed_dictionaries(
    {},
    optional={
        "path": st.one_of(st.sampled_from(PATHS), st.none(), st.integers(), st.text(max_size=30)),
        "url": st.sampled_from([*PATHS, "data:image/png;base64,AAAA"]),
        "meta": st.sampled_from([{"_type": "gradio.FileData"}, {}, None]),
        "orig_name": texts,
        "size": numbers,
    },
)
values = st.recursive(
    st.one_of(st.none(), numbers, texts, files),
    lambda inner: st.one_of(st.lists(inner, max_size=4), st.dictionaries(texts, inner, max_size=3)),
    max_leaves=8,
)


@st.composite
def arguments(draw: st.DrawFn, name: str) -> list:
    """What an endpoint takes, with one to three values in place of its own, or too many, or too few."""
    data = list(GOOD[name])
    for _ in range(draw(st.integers(1, 3))):
        data[draw(st.integers(0, len(data) - 1))] = draw(values)
    return (
        data[: draw(st.integers(0, len(data)))]
        if draw(st.integers(0, 9)) == 0
        else data + draw(st.sampled_from([[]] * 9 + [[1]]))
    )


@st.composite
def calls(draw: st.DrawFn) -> tuple[str, str, bytes, dict[str, str]]:
    """A call of an endpoint by name or by index, on every way in: method, path, body, headers."""
    name, way = draw(st.sampled_from(sorted(GOOD))), draw(st.integers(0, 5))
    data = draw(arguments(name))
    body: object = {"data": data, "session_hash": draw(st.one_of(st.none(), texts, st.just("tab")))}
    path = f"call/{name}"
    if way == 0:
        named = draw(
            st.dictionaries(st.sampled_from(["prompt", "seed", "guidance_scales", "photo", "x"]), values, max_size=3)
        )
        path, body = f"call/v2/{name}", {"steps": 1} | named
    elif way == 1:
        path, body = "queue/join", body | {"fn_index": draw(st.one_of(st.integers(-2, 60), values))}
    elif way == 2:
        path, body = (
            "run/predict",
            body | {"fn_index": draw(st.one_of(st.integers(-2, 60), values)), "event_data": draw(values)},
        )
    elif way == 3:
        path = draw(
            st.sampled_from(
                ["cancel", "reset", "component_server", "call/nope", "login", "stream/x", "process_recording"]
            )
        )
        body = draw(st.one_of(values, st.just(body | {"event_id": SECRET, "fn_index": 1})))
    return "POST", f"/gradio_api/{path}", json.dumps(body).encode(), {"content-type": "application/json"}


raw_paths = st.one_of(
    st.sampled_from(
        ["/", "/config", "/gradio_api/upload", "/gradio_api/queue/data", "/gradio_api/info", "/gradio_api/queue/join"]
    ),
    st.sampled_from([f"/gradio_api/file={path}" for path in PATHS if "\0" not in path]),
    st.text(st.characters(min_codepoint=33, max_codepoint=126), max_size=40).map(lambda text: f"/gradio_api/{text}"),
)
headers = st.fixed_dictionaries(
    {},
    optional={
        "host": st.sampled_from(["evil.example", "localhost", "[::1", "127.0.0.1:99999"]),
        "origin": st.sampled_from(["http://evil.example", "null", "http://["]),
        "x-forwarded-for": st.sampled_from(["1.2.3.4", "nonsense, ::1"]),
        "content-type": st.sampled_from(
            ["multipart/form-data; boundary=a", "multipart/form-data", "application/json", "text/x"]
        ),
        "content-encoding": st.sampled_from(["gzip", "br"]),
        "range": st.sampled_from(["bytes=0-10", "bytes=9-1", "x"]),
        "cookie": st.just(f"access-token={SECRET}".replace(" ", "-")),
    },
)
raw = st.tuples(
    st.sampled_from(["GET", "POST", "PUT", "DELETE", "OPTIONS", "HEAD", "PATCH"]),
    raw_paths,
    st.one_of(
        st.binary(max_size=300),
        st.just(b'--a\r\nContent-Disposition: form-data; name="files"; filename="../x"\r\n\r\nx\r\n--a--'),
    ),
    headers,
)
requests = st.one_of(calls(), calls(), raw)
