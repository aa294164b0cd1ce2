#!/usr/bin/python3
"""An RTSP camera for the tests: GStreamer's server, x264 with B-frames, a bar code that counts.

Each picture holds four bands of 24 bars: 20 bits of a counter (25 a second, by the wall clock) and
their checksum, so that a test knows which picture it sees and whether any part of it is damaged.
Says `listening` when it does. SIGUSR1 changes to the other size in mid-stream.
"""

import argparse
import signal
import sys
import time

import gi

gi.require_version("Gst", "1.0")
gi.require_version("GstRtsp", "1.0")
gi.require_version("GstRtspServer", "1.0")
from gi.repository import GLib, Gst, GstRtsp, GstRtspServer  # noqa: E402

FPS = 25
BANDS = 4


def arguments():
    parser = argparse.ArgumentParser()
    parser.add_argument("--port", required=True)
    parser.add_argument("--size", default="480x272")
    parser.add_argument("--other-size", default="384x208")
    parser.add_argument("--codec", default="h264", choices=["h264", "h265", "jpeg"])
    parser.add_argument("--bframes", type=int, default=2)
    parser.add_argument("--key", type=int, default=12)
    parser.add_argument("--login", help="user:password, digest")
    parser.add_argument("--basic", action="store_true", help="basic in digest's place")
    parser.add_argument("--tcp-only", action="store_true")
    return parser.parse_args()


def size(text):
    return tuple(int(side) for side in text.split("x"))


def bars(counter, width):
    check = (counter ^ counter >> 4 ^ counter >> 8 ^ counter >> 12 ^ counter >> 16) & 15 ^ 10
    code = counter << 4 | check
    row = b"".join((b"\xd0" if code >> bit & 1 else b"\x20") * (width // 24) for bit in range(24))
    return row.ljust(width, b"\x20")


def picture(counter, width, height):
    """I420: bands of bars, and between them stripes that move."""
    stripes = bytes((n * 5 % 120) + 60 for n in range(width + 256))
    rows = []
    for band in range(BANDS):
        bar_rows = height // BANDS // 2
        begin = counter * (band + 1) % 256
        rows.append(bars(counter, width) * bar_rows)
        rows.append(stripes[begin : begin + width] * (height // BANDS - bar_rows))
    colour = width // 2 * (height // 2)
    return b"".join(rows) + b"\x80" * colour + bytes([96 + counter % 64]) * colour


class Camera(GstRtspServer.RTSPMediaFactory):
    def __init__(self, options):
        super().__init__()
        self.sizes = [size(options.size), size(options.other_size)]
        encoder = {
            "h264": f"x264enc bframes={options.bframes} b-adapt=false key-int-max={options.key} "
            "speed-preset=veryfast bitrate=1200 threads=1 rc-lookahead=0 sync-lookahead=0 "
            "mb-tree=false option-string=scenecut=0 ! video/x-h264,profile=main "
            "! rtph264pay config-interval=1",
            "h265": "x265enc speed-preset=ultrafast ! rtph265pay",
            "jpeg": "jpegenc ! rtpjpegpay",
        }[options.codec]
        self.set_launch(f"( appsrc name=source is-live=true format=time ! {encoder} name=pay0 pt=96 )")
        self.set_shared(True)
        if options.tcp_only:
            self.set_protocols(GstRtsp.RTSPLowerTrans.TCP)
        self.connect("media-configure", self.configure)

    def configure(self, _factory, media):
        source = media.get_element().get_by_name_recurse_up("source")
        state = {"next": time.time(), "begin": time.time(), "size": None}
        source.connect("need-data", self.feed, state)

    def caps(self):
        width, height = self.sizes[0]
        return Gst.Caps.from_string(
            f"video/x-raw,format=I420,width={width},height={height},framerate={FPS}/1"
        )

    def feed(self, source, _length, state):
        time.sleep(max(0, state["next"] - time.time()))
        state["next"] += 1 / FPS
        if state["size"] != self.sizes[0]:
            state["size"] = self.sizes[0]
            source.set_caps(self.caps())
        counter = int(time.time() * FPS) & 0xFFFFF
        buffer = Gst.Buffer.new_wrapped(picture(counter, *self.sizes[0]))
        buffer.pts = int((time.time() - state["begin"]) * 1e9)
        buffer.duration = Gst.SECOND // FPS
        source.emit("push-buffer", buffer)


def ask_for_login(server, factory, login, basic):
    user, password = login.split(":")
    auth = GstRtspServer.RTSPAuth()
    token = GstRtspServer.RTSPToken()
    token.set_string("media.factory.role", "watcher")
    if basic:
        auth.add_basic(GstRtspServer.RTSPAuth.make_basic(user, password), token)
    else:
        auth.set_supported_methods(GstRtsp.RTSPAuthMethod.DIGEST)
        auth.add_digest(user, password, token)
    server.set_auth(auth)
    permissions = GstRtspServer.RTSPPermissions()
    permissions.add_permission_for_role("watcher", "media.factory.access", True)
    permissions.add_permission_for_role("watcher", "media.factory.construct", True)
    factory.set_permissions(permissions)


def main():
    options = arguments()
    Gst.init(None)
    server = GstRtspServer.RTSPServer()
    server.set_address("127.0.0.1")
    server.set_service(options.port)
    camera = Camera(options)
    server.get_mount_points().add_factory("/test", camera)
    if options.login:
        ask_for_login(server, camera, options.login, options.basic)
    if server.attach(None) == 0:
        sys.exit(f"port {options.port} is taken")
    loop = GLib.MainLoop()
    GLib.unix_signal_add(GLib.PRIORITY_DEFAULT, signal.SIGUSR1, lambda: camera.sizes.reverse() or True)
    GLib.unix_signal_add(GLib.PRIORITY_DEFAULT, signal.SIGTERM, loop.quit)
    print("listening", flush=True)
    loop.run()


main()
