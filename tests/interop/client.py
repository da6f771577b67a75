"""aioquic as a viewer: what an HTTP/3 stack that we did not write makes of Mirror.

    client.py get URL                      the answer: status, headers, how many bytes, their SHA-256
    client.py follow URL SECONDS           LL-HLS over server push (RFC 9114 4.6): reloads the media playlist
                                           and takes the parts that are pushed with it
    client.py webtransport URL SECONDS     a push session (docs/push-protocol.md): what came on which stream

Prints one JSON document. Runs in a Debian 13 chroot (see chroot), since Debian 12 has no aioquic.
"""

import asyncio
import hashlib
import json
import re
import ssl
import sys
import time
from urllib.parse import urlsplit

from aioquic.asyncio.client import connect
from aioquic.asyncio.protocol import QuicConnectionProtocol
from aioquic.buffer import encode_uint_var
from aioquic.h3.connection import H3_ALPN, FrameType, H3Connection, encode_frame
from aioquic.h3.events import DataReceived, HeadersReceived, PushPromiseReceived, WebTransportStreamDataReceived
from aioquic.quic.configuration import QuicConfiguration

PUSHES_MAX = 100_000


class Viewer(QuicConnectionProtocol):
    def __init__(self, *args, **kwargs):
        super().__init__(*args, **kwargs)
        # Here and not later: the server's SETTINGS come with its first flight.
        self.h3 = H3Connection(self._quic, enable_webtransport=True)
        self.answers = {}  # stream: {"headers", "body", "done"}
        self.pushes = {}  # push id: {"path", "headers", "body", "done"}
        self.streams = {}  # WebTransport: stream: [bytes, time of the end]
        self.arrived = time.time()

    def allow_pushes(self):
        # aioquic says MAX_PUSH_ID 8 by itself and has no call to say more.
        frame = encode_frame(FrameType.MAX_PUSH_ID, encode_uint_var(PUSHES_MAX))
        self._quic.send_stream_data(self.h3._local_control_stream_id, frame)

    def quic_event_received(self, event):
        self.arrived = time.time()
        for each in self.h3.handle_event(event):
            self.take(each)

    def take(self, event):
        if isinstance(event, PushPromiseReceived):
            headers = dict(event.headers)
            self.push(event.push_id)["path"] = headers[b":path"].decode()
            return
        if isinstance(event, WebTransportStreamDataReceived):
            stream = self.streams.setdefault(event.stream_id, [b"", None])
            stream[0] += event.data
            if event.stream_ended:
                stream[1] = self.arrived
            return
        if not isinstance(event, (HeadersReceived, DataReceived)):
            return
        push_id = getattr(event, "push_id", None)
        answer = self.answer(event.stream_id) if push_id is None else self.push(push_id)
        if isinstance(event, HeadersReceived):
            answer["headers"] = {name.decode(): value.decode() for name, value in event.headers}
        else:
            answer["body"] += event.data
        if event.stream_ended:
            answer["done"].set()

    def answer(self, stream):
        return self.answers.setdefault(stream, {"headers": {}, "body": b"", "done": asyncio.Event()})

    def push(self, push_id):
        empty = {"path": None, "headers": {}, "body": b"", "done": asyncio.Event()}
        return self.pushes.setdefault(push_id, empty)

    def request(self, authority, path, extra=(), method=b"GET", end=True):
        stream = self._quic.get_next_available_stream_id()
        headers = [(b":method", method), (b":scheme", b"https"), (b":authority", authority.encode()), (b":path", path.encode())]
        self.h3.send_headers(stream, [*headers, *extra], end_stream=end)
        self.transmit()
        return stream, self.answer(stream)

    async def get(self, authority, path):
        _, answer = self.request(authority, path)
        await asyncio.wait_for(answer["done"].wait(), 20)
        return answer


def digest(data):
    return hashlib.sha256(data).hexdigest()


async def get(viewer, authority, path):
    answer = await viewer.get(authority, path)
    return {"headers": answer["headers"], "bytes": len(answer["body"]), "sha256": digest(answer["body"])}


async def follow(viewer, authority, path, seconds):
    """Asks for each part's playlist; the part itself should be pushed with it."""
    viewer.allow_pushes()
    playlist = (await viewer.get(authority, path))["body"].decode()
    folder = path.rsplit("/", 1)[0]
    reloads, ends = 0, time.time() + seconds
    while time.time() < ends:
        parts = re.findall(r'#EXT-X-PRELOAD-HINT:TYPE=PART,URI="([^"]+)"', playlist)
        msn, part = re.search(r"/(\d+)\.(\d+)\.m4s", parts[-1]).groups()
        answer = await viewer.get(authority, f"{path}?_HLS_msn={msn}&_HLS_part={part}")
        playlist = answer["body"].decode()
        reloads += 1
    await asyncio.sleep(0.5)  # for what was promised last
    pushes = []
    for push in viewer.pushes.values():
        # aioquic gives no end when it comes in one read with the promise.
        pushes.append({"path": push["path"], "status": push["headers"].get(":status"), "bytes": len(push["body"]),
                       "sha256": digest(push["body"])})
    return {"reloads": reloads, "folder": folder, "pushes": pushes}


def read_varint(data, at):
    size = 1 << (data[at] >> 6)
    value = data[at] & 0x3F
    for byte in data[at + 1 : at + size]:
        value = value << 8 | byte
    return value, at + size


def frames_of(data):
    """The frames of docs/push-protocol.md: type, length, payload."""
    at, frames = 0, []
    while at < len(data):
        kind, next_at = read_varint(data, at)
        length, next_at = read_varint(data, next_at)
        if next_at + length > len(data):
            break
        frames.append((kind, data[next_at : next_at + length]))
        at = next_at + length
    return frames, len(data) - at


async def webtransport(viewer, authority, path, seconds):
    extra = [(b":protocol", b"webtransport"), (b"sec-webtransport-http3-draft02", b"1"), (b"origin", b"https://interop.example")]
    stream, answer = viewer.request(authority, path, extra, b"CONNECT", end=False)
    for _ in range(200):
        if answer["headers"]:
            break
        await asyncio.sleep(0.05)
    if answer["headers"].get(":status") != "200":
        return {"headers": answer["headers"]}
    await asyncio.sleep(seconds)
    streams = []
    for data, ended in list(viewer.streams.values()):
        frames, rest = frames_of(data)
        streams.append({"bytes": len(data), "rest": rest, "ended": ended is not None, "types": [kind for kind, _ in frames],
                        "frames": [{"type": kind, "bytes": len(payload), "sha256": digest(payload)} for kind, payload in frames]})
    return {"headers": answer["headers"], "streams": streams}


async def main():
    mode, url = sys.argv[1:3]
    target = urlsplit(url)
    path = target.path + (f"?{target.query}" if target.query else "")
    configuration = QuicConfiguration(alpn_protocols=H3_ALPN, is_client=True, max_datagram_frame_size=65536)
    configuration.verify_mode = ssl.CERT_NONE
    async with connect(target.hostname, target.port, configuration=configuration, create_protocol=Viewer) as viewer:
        if mode == "get":
            result = await get(viewer, target.netloc, path)
        else:
            result = await {"follow": follow, "webtransport": webtransport}[mode](viewer, target.netloc, path, float(sys.argv[3]))
    print(json.dumps(result))


asyncio.run(main())
