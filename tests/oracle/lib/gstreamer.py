"""Plays a URL with GStreamer and prints a line for each decoded buffer, "video,PTS,DURATION" in
nanoseconds; errors and warnings of the pipeline go to standard error. Runs until it is ended.

    gstreamer.py hlsdemux|hlsdemux2 URL video|audio...

hlsdemux (of plugins-bad) is driven by decodebin, hlsdemux2 (of plugins-good) needs decodebin3. Debian's own
python3 runs this, since the bindings are Debian's: python3-gst-1.0.
"""

import os
import sys

import gi

gi.require_version("Gst", "1.0")
from gi.repository import GLib, Gst  # noqa: E402

Gst.init(None)

DECODERS = {"hlsdemux": "uridecodebin", "hlsdemux2": "uridecodebin3"}


def prefer(demuxer):
    registry = Gst.Registry.get()
    for name in DECODERS:
        feature = registry.find_feature(name, Gst.ElementFactory.__gtype__)
        if feature is None and name == demuxer:
            sys.exit(f"GStreamer has no {name} here")
        if feature is not None:
            feature.set_rank(Gst.Rank.PRIMARY + 100 if name == demuxer else Gst.Rank.NONE)


def tell(_pad, info, kind):
    buffer = info.get_buffer()
    # One write: each kind comes on a thread of its own.
    os.write(1, f"{kind},{buffer.pts},{buffer.duration}\n".encode())
    return Gst.PadProbeReturn.OK


def main(demuxer, url, kinds):
    prefer(demuxer)
    sinks = " ".join(
        f"d. ! {kind}/x-raw ! queue ! fakesink name={kind} sync=false" for kind in kinds
    )
    pipeline = Gst.parse_launch(f'{DECODERS[demuxer]} uri="{url}" name=d {sinks}')
    for kind in kinds:
        pad = pipeline.get_by_name(kind).get_static_pad("sink")
        pad.add_probe(Gst.PadProbeType.BUFFER, tell, kind)

    loop = GLib.MainLoop()

    def on_message(_bus, message):
        parse = {
            Gst.MessageType.ERROR: message.parse_error,
            Gst.MessageType.WARNING: message.parse_warning,
        }.get(message.type)
        if parse is not None:
            error, debug = parse()
            print(f"{message.src.get_name()}: {error.message}: {debug}", file=sys.stderr)
        if message.type in (Gst.MessageType.ERROR, Gst.MessageType.EOS):
            loop.quit()

    bus = pipeline.get_bus()
    bus.add_signal_watch()
    bus.connect("message", on_message)
    pipeline.set_state(Gst.State.PLAYING)
    loop.run()
    pipeline.set_state(Gst.State.NULL)


main(sys.argv[1], sys.argv[2], sys.argv[3:])
